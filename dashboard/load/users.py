"""Users of the pages, as Locust plays them: `make load` starts them against processes of its own.

Run by hand (`locust -f dashboard/load/users.py --host http://127.0.0.1:8000`) they need LOAD_USER and LOAD_PASSWORD;
with LOAD_ACCOUNT, LOAD_MARKET and LOAD_PRICE they create and start bots too. On loopback only.
Pages count from when all have logged in, as passwords are slow to check on purpose, then for LOAD_SECONDS if these are
given; LOAD_READY names a file that is made at that moment.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust import HttpUser, between, events, task

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_USERS = 500
# Whether each page is asked for as nobody has before, so that nothing can have been kept.
IS_FRESH = os.environ.get("LOAD_FRESH") == "1"
LIVE_PORT = os.environ.get("LOAD_LIVE_PORT", "")
LOGGED_IN, READY, SECONDS = "logged in", os.environ.get("LOAD_READY"), os.environ.get("LOAD_SECONDS")
_turns = count()
_here: Counter[str] = Counter()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _stay_here(environment: Any, **_: Any) -> None:
    """Nobody else's server is loaded, and this one only so much."""
    host, users = urlsplit(environment.host or "").hostname, environment.parsed_options.num_users or 1
    if host not in LOOPBACK:
        sys.exit(f"--host must be an address of this machine, such as http://127.0.0.1:8000, not {environment.host!r}.")
    if users > MOST_USERS:
        sys.exit(f"--users must be at most {MOST_USERS}, not {users}.")


class _LoggedIn(HttpUser):
    abstract = True
    wait_time = between(1, 3)

    def on_start(self) -> None:
        self.client.get("/login/")
        form = {"username": os.environ["LOAD_USER"], "password": os.environ["LOAD_PASSWORD"]}
        self.send("/login/", form, "/login/")
        _here[LOGGED_IN] += 1
        if _here[LOGGED_IN] == self.environment.parsed_options.num_users:
            self._begin()

    def _begin(self) -> None:
        self.environment.stats.reset_all()
        if READY:
            Path(READY).touch()
        if SECONDS:
            gevent.spawn_later(float(SECONDS), self.environment.runner.quit)

    def open(self, path: str, name: str = "") -> str:
        """The text of a page; one that does not answer with 200 or 304 is a failure of Locust's."""
        fresh = f"{'&' if '?' in path else '?'}fresh={os.getpid()}-{next(_turns)}" if IS_FRESH else ""
        with self.client.get(path + fresh, name=name or path.partition("?")[0], catch_response=True) as answer:
            if urlsplit(answer.url or "").path == "/login/":
                answer.failure("asked to log in")
            return answer.text or ""

    def send(self, path: str, form: dict[str, Any], name: str) -> str:
        """POST a form; the address that it led to."""
        headers = {"X-CSRFToken": self.client.cookies.get("csrftoken", ""), "Referer": f"{self.host}{path}"}
        with self.client.post(path, form, headers=headers, name=f"POST {name}", catch_response=True) as answer:
            if answer.status_code == 200 and not answer.history:
                answer.failure("the form was not accepted")
            return answer.url or ""


class Watcher(_LoggedIn):
    """Looks at the overview, the bots, what they traded; holds the event stream open as a page does."""

    weight = 9
    bots: tuple[str, ...] = ()

    def on_start(self) -> None:
        super().on_start()
        self.bots = tuple(dict.fromkeys(re.findall(r'"/bots/(\d+)/"', self.open("/bots/"))))
        if LIVE_PORT:
            gevent.spawn(self._listen)

    def _listen(self) -> None:
        live = f"http://{urlsplit(self.host or '').hostname}:{LIVE_PORT}/live/?topics=market"
        headers = {"Origin": self.host or ""}
        with self.client.get(live, headers=headers, name="event stream", stream=True, timeout=60) as answer:
            for _ in answer.iter_lines():
                pass

    @task(5)
    def overview(self) -> None:
        self.open("/")
        self.open("/equity.json?period=7d")

    @task(4)
    def see_bots(self) -> None:
        self.open("/bots/")

    @task(5)
    def see_bot(self) -> None:
        if self.bots:
            self.open(f"/bots/{self.bots[next(_turns) % len(self.bots)]}/", "/bots/[id]/")

    @task(3)
    def page_through_trades(self) -> None:
        text = self.open("/trades/")
        for _ in range(2):
            following = re.search(r'href="(\?[^"]*after=[^"]+)"', text)
            if following:
                text = self.open("/trades/" + following[1].replace("&amp;", "&"), "/trades/?after=")

    @task(2)
    def positions(self) -> None:
        self.open("/positions/")

    @task(2)
    def orders(self) -> None:
        self.open("/orders/")

    @task(2)
    def activity(self) -> None:
        self.open("/activity/")

    @task(1)
    def performance(self) -> None:
        self.open("/performance/")

    @task(1)
    def markets(self) -> None:
        self.open("/markets/")


class Trader(_LoggedIn):
    """Creates a bot and starts it, looks at it."""

    weight = 1

    @task
    def create_and_start(self) -> None:
        if "LOAD_MARKET" not in os.environ:
            return
        form = "/bots/new/?kind=grid"
        self.open(form, "/bots/new/")
        led_to = urlsplit(self.send(form, _grid(), "/bots/new/")).path
        if re.fullmatch(r"/bots/\d+/", led_to):
            self.send(f"{led_to}start/", {}, "/bots/[id]/start/")
            self.open(led_to, "/bots/[id]/")


def _grid() -> dict[str, Any]:
    price = float(os.environ["LOAD_PRICE"])
    return {
        "kind": "grid", "name": f"Load {os.getpid()}-{next(_turns)}", "account": os.environ["LOAD_ACCOUNT"],
        "market": os.environ["LOAD_MARKET"], "timeframe": 60, "allocation": "100",
        "param_lower": f"{price * 0.9:.4f}", "param_upper": f"{price * 1.1:.4f}", "param_lines": "5",
        "param_spacing": "arithmetic", "param_size": "base", "param_stop_loss_by": "price",
        "param_take_profit_by": "price", "limit_at_drawdown": "sell",
    }  # fmt: skip
