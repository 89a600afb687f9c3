from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model

from orchestrator.models import Finding
from orchestrator.observability import requests, samples


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_user("staff", password="secret", is_staff=True)


def counts(view):
    found = samples.current().get(("request", view))
    return found[-1] if found else 0


def test_every_request_is_counted_under_its_view(client, db):
    before, unknown = counts("login"), counts(requests.NO_VIEW)
    client.get("/login/")
    client.generic("BREW", "/nowhere/")
    assert counts("login") == before + 1
    assert counts(requests.NO_VIEW) == unknown + 1


def test_staff_alone_is_told_where_the_time_went(client, staff, owner, redis):
    client.force_login(staff)
    assert 'cache;desc="0 of 1 there"' in client.get("/bots/")["Server-Timing"]
    assert re.search(r'db;dur=\d+\.\d;desc="\d+ queries"', client.get("/bots/")["Server-Timing"])
    client.force_login(owner)
    assert "Server-Timing" not in client.get("/bots/")


def test_a_slow_page_is_a_finding_with_view_and_user(client, owner, monkeypatch):
    monkeypatch.setattr(requests, "SLOW_SECONDS", -1.0)
    client.force_login(owner)
    client.get("/bots/?q=1")
    found = Finding.objects.get(kind="slow_request")
    assert (found.place, found.path, found.user) == ("bots", "/bots/", owner)
    assert found.count > 2
