"""No address a person can type leads to a server error."""

from __future__ import annotations

import pytest

WORDS = ["abc", "-1", "0", "1e9", "nan", "9" * 40, "٣", "%00", "'", "<script>", "../..", "13m", "²"]


@pytest.mark.parametrize("path", ["/bots/", "/markets/"])
def test_the_lists_ignore_what_they_cannot_use(page, bot, path):
    for word in WORDS:
        answer = page(f"{path}?page={word}&sort={word}&status={word}&kind={word}&market={word}&q={word}")
        assert answer.status_code == 200, word
        assert "<script>" not in answer.text_, word


@pytest.mark.parametrize("path", ["/", "/equity.json", "/bots/{bot}/", "/bots/{bot}/equity.json", "/markets/{market}/"])
def test_the_pages_ignore_what_they_cannot_use(page, bot, path):
    path = path.format(bot=bot.pk, market=bot.market_id)
    for word in WORDS:
        asked = f"{path}?tab={word}&page={word}&period={word}&book={word}&timeframe={word}"
        assert page(asked).status_code == 200, word


def test_the_charts_ignore_or_refuse_what_they_cannot_use(page, bot):
    chart = f"/markets/{bot.market_id}/chart.json"
    for word in WORDS:
        assert page(f"{chart}?before={word}&after={word}&limit={word}&indicators={word}").status_code == 200, word
        refusal = page(f"{chart}?timeframe={word}")
        assert refusal.status_code == 400, word
        assert refusal.json() == {"error": "timeframe must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d."}
        assert page(f"/bots/{bot.pk}/chart.json?timeframe={word}&from={word}&to={word}").status_code == 200, word
        candles = page(f"/markets/{bot.market_id}/candles/?timeframe={word}&before={word}")
        assert candles.status_code == 200, word


@pytest.mark.parametrize("path", ["/bots/{}/", "/bots/{}/chart.json", "/markets/{}/", "/markets/{}/chart.json"])
def test_a_number_too_large_for_the_database_is_not_found(page, path):
    assert page(path.format(10**30)).status_code == 404


@pytest.mark.parametrize("path", ["/admin/bots/bot/", "/admin/bots/run/"])
def test_a_null_byte_in_an_address_of_the_admin_is_a_bad_request(admin_client, caplog, path):
    assert admin_client.get(f"{path}?kind=%00").status_code == 400
    assert not any(record.exc_info for record in caplog.records)


def test_a_null_byte_in_a_session_is_a_bad_request_that_fills_no_log(client, db, caplog):
    client.cookies.load('sessionid="no\\000key-of-ours"')
    assert client.get("/").status_code == 400
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/%00", "/bots/%00/", "/static/%00.css", "/admin/%00", "/api/%00", "/health%00"])
def test_a_null_byte_in_any_path_is_a_bad_request_that_fills_no_log(admin_client, caplog, path):
    answer = admin_client.get(path)
    assert (answer.status_code, "Go to the overview" in answer.content.decode()) == (400, True)
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("form", ["bots/bot/add/?market", "markets/feed/add/?market", "markets/market/add/?exchange"])
def test_admin_forms_ignore_what_cannot_be_filled_in(admin_client, form):
    told = {word: admin_client.get(f"/admin/{form}={word}").status_code for word in [*WORDS[:-1], "", "1"]}
    assert told == dict.fromkeys(told, 200) | {"%00": 400}


def test_an_unknown_action_is_not_found(page, bot):
    assert page(f"/bots/{bot.pk}/explode/").status_code == 404
