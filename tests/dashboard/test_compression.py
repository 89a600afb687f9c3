from __future__ import annotations

import gzip

import pytest

from tests.dashboard.cast import make_bot

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", ["/", "/bots/", "/trades/", "/markets/{market}/chart.json", "/api/bots"])
def test_pages_and_data_are_compressed_for_who_takes_it(page, client, owner, market, bot, path):
    for number in range(5):
        make_bot(owner, market, name=f"Grid {number}")
    path = path.format(market=market.pk)
    plain, packed = client.get(path), client.get(path, headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.content) < len(plain.content) / 2
    assert len(gzip.decompress(packed.content)) == pytest.approx(len(plain.content), abs=50)


def test_the_length_of_a_page_tells_nothing(page, client, bot):
    found = [client.get("/bots/", headers=GZIP).content for _ in range(30)]
    assert all(b"Swing grid" in gzip.decompress(content) for content in found)
    assert len({len(content) for content in found}) > 5


def test_a_compressed_page_is_still_answered_with_304(page, client, bot, one_minute):
    first = client.get("/", headers=GZIP)
    answer = client.get("/", headers={**GZIP, "If-None-Match": first.headers["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "Content-Encoding" not in answer.headers


def test_the_page_that_shows_a_new_token_is_not_compressed(page, client):
    form = {"name": "script", "scope": "read", "lasts": "90"}
    answer = client.post("/settings/tokens/", form, headers=GZIP)
    assert "script" in answer.content.decode()
    assert "Content-Encoding" not in answer.headers


def test_the_admin_is_not_compressed(client, admin_user):
    client.force_login(admin_user)
    answer = client.get("/admin/", headers=GZIP)
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_an_export_is_compressed_as_it_is_streamed(page, client, bot):
    answer = client.get("/trades.csv", headers=GZIP)
    assert answer.streaming
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(b"".join(answer.streaming_content)).decode().count("\n") == 5
