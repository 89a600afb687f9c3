from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.core.signals import request_finished, request_started

from bots import equity
from dashboard import live
from dashboard.live_hub import Hub
from tests.dashboard.cast import make_bot, make_market, make_user
from tests.dashboard.conftest import plain_static_files  # noqa: F401  used by every test here as well
from tests.dashboard.live.server import served


@pytest.fixture
def bot(transactional_db):
    market = make_market()
    made = make_bot(make_user("owner"), market, trades=30, orders=20)
    equity.sum_up()
    return made


@contextmanager
def all_answered():
    """Wait in the end for what was asked: a page that was left is rendered all the same, and reads the tables."""
    asked, changed = 0, threading.Condition()

    def count(by):
        nonlocal asked
        with changed:
            asked += by
            changed.notify_all()

    def begins(**_):
        count(1)

    def ends(**_):
        count(-1)

    request_started.connect(begins)
    request_finished.connect(ends)
    yield
    with changed:
        finished = changed.wait_for(lambda: asked <= 0, timeout=30)
    request_started.disconnect(begins)
    request_finished.disconnect(ends)
    assert finished, f"{asked} requests are still being answered"


@pytest.fixture
def site(live_server, settings, bot):
    """The pages and their event stream on real sockets; gives the address."""
    with served(live.Live(Hub())) as application, all_answered():
        settings.PORT = live_server.thread.port
        settings.LIVE_PORT = application.port
        yield live_server.url


class Watched:
    """A page that remembers everything that went wrong in it."""

    def __init__(self, page):
        self.page = page
        self.faults = []
        page.on("console", lambda message: message.type in ("error", "warning") and self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", lambda answer: answer.status >= 400 and self.faults.append(f"{answer.status} {answer.url}"))


@pytest.fixture(params=[1440, 390])
def watched(request, browser, site):
    context = browser.new_context(viewport={"width": request.param, "height": 900}, color_scheme="light", base_url=site)
    yield Watched(context.new_page())
    context.close()
