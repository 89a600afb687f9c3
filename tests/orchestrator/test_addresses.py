from __future__ import annotations

import pytest
from django.db import connection

from orchestrator.env import EnvError
from orchestrator.servers import addresses


def test_an_address_becomes_the_database_settings():
    found = addresses.database("postgres://me:p%40ss@db.example.org:5433/trading?sslmode=require")
    assert {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} == {
        "NAME": "trading",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example.org",
        "PORT": "5433",
        "OPTIONS": {**addresses.database("")["OPTIONS"], "sslmode": "require"},
    }


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://a@b/c", r"must start with postgres://, not 'mysql'\.$"),
        ("postgres://a@b", r"must end with the database's name"),
        ("postgres://a@b:99999/c", r"must have a port from 0 to 65535"),
    ],
)
def test_an_address_that_is_none_is_one_sentence(url, sentence):
    with pytest.raises(EnvError, match=f"^DATABASE_URL {sentence}"):
        addresses.database(url)


def test_a_server_that_goes_without_a_word_is_given_up_within_a_minute(db):
    ours = connection.cursor().connection.info.get_parameters()
    assert int(ours["connect_timeout"]) == 10
    assert int(ours["tcp_user_timeout"]) == 30_000
    idle, interval, count = (int(ours[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 30
