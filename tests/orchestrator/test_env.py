from __future__ import annotations

import re

import pytest

from orchestrator import env
from orchestrator.home import PROJECT


def test_the_settings_page_lists_the_table_of_variables_row_by_row():
    page = (PROJECT / "docs/settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)` )?\| (.*) \|$", page, re.MULTILINE)
    assert rows == [tuple(variable) for variable in env.ENV]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("eighty", "PORT must be a whole number from 1 to 65535, not 'eighty'."),
        ("0", "PORT must be from 1 to 65535, not 0."),
        ("65536", "PORT must be from 1 to 65535, not 65536."),
    ],
)
def test_a_bad_number_is_one_sentence_with_its_bounds(monkeypatch, value, sentence):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(env.EnvError) as caught:
        env.integer("PORT", 1, 65535)
    assert str(caught.value) == sentence


def test_a_bad_switch_is_one_sentence(monkeypatch):
    monkeypatch.setenv("DEBUG", "maybe")
    with pytest.raises(env.EnvError, match=r"^DEBUG must be 1 or 0, not 'maybe'\.$"):
        env.boolean("DEBUG")


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    monkeypatch.setenv("HOST", "  ")
    assert env.text("HOST") == "127.0.0.1"
    assert env.given("HOST") == ""
