from __future__ import annotations

import pytest

from bots import equity
from dashboard import live
from dashboard.live_hub import Hub
from tests.dashboard.cast import make_bot, make_market, make_user
from tests.dashboard.conftest import plain_static_files  # noqa: F401  used by every test here as well
from tests.dashboard.test_live import served


@pytest.fixture
def bot(transactional_db):
    market = make_market()
    made = make_bot(make_user("owner"), market, trades=30, orders=20)
    equity.sum_up()
    return made


@pytest.fixture
def site(live_server, settings, bot):
    """The pages and their event stream on real sockets; gives the address."""
    with served(live.Live(Hub())) as application:
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
