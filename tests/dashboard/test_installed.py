"""The site as an app that a browser installs."""

from __future__ import annotations

import re
import struct

from django.contrib.staticfiles import finders

from tests.dashboard.cast import make_bot


def icon_size(address):
    with open(finders.find(address.removeprefix("/static/")), "rb") as file:
        head = file.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return "{}x{}".format(*struct.unpack(">II", head[16:24]))


def test_its_manifest_has_what_a_browser_asks_for_to_install_it(client, db):
    answer = client.get("/app.webmanifest")
    assert answer.headers["Content-Type"] == "application/manifest+json"
    about = answer.json()
    assert (about["start_url"], about["scope"], about["display"]) == ("/", "/", "standalone")
    icons = [icon for icon in about["icons"] if icon["type"] == "image/png"]
    assert {(icon["sizes"], icon["purpose"]) for icon in icons} >= {("192x192", "any"), ("512x512", "maskable")}
    assert [icon_size(icon["src"]) for icon in icons] == [icon["sizes"] for icon in icons]


def test_every_page_leads_to_the_manifest(page, client, bot):
    link = '<link rel="manifest" href="/app.webmanifest">'
    assert link in page("/").text_
    client.logout()
    assert link in page("/login/").text_


def test_the_page_for_when_it_is_away_is_the_same_for_everybody(client, owner, market):
    nobody = client.get("/offline/").content
    make_bot(owner, market)
    client.force_login(owner)
    assert client.get("/offline/").content == nobody
    assert b"No connection" in nobody


def test_the_worker_keeps_what_that_page_is_made_of_and_nothing_else(client, db):
    answer = client.get("/service-worker.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "no-cache" in answer.headers["Cache-Control"]
    kept = re.search(r"KEPT = \[(.*)\];", answer.content.decode())[1].replace('"', "").split(", ")
    page = client.get("/offline/").content.decode()
    needed = re.findall(r'<(?:link rel="(?:icon|stylesheet)" href|script src)="(?!data:)([^"]+)"', page)
    assert sorted(kept) == sorted(["/offline/", *needed])


def test_another_release_has_another_worker(client, db, settings):
    first = client.get("/service-worker.js").content
    assert client.get("/service-worker.js").content == first
    settings.STATIC_URL = "/static/next/"
    assert client.get("/service-worker.js").content != first
