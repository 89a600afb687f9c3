from __future__ import annotations

import json
import os
import platform
from typing import Any

import django
import numba
import numpy as np
from django.core.management.base import BaseCommand, CommandParser

from bots.benchmarks import cycle, engine
from dashboard.benchmarks import api, browser, live, load, nginx, pages, preview, start, web
from markets.benchmarks import candles, gateway, indicators
from orchestrator.benchmarks import Row, Subject

SUBJECTS: dict[str, tuple[Subject, str]] = {
    "api": (api, "Calls of the API over a million trades, against their budgets."),
    "browser": (browser, "First loads in a headless Chromium, from the web server, against their budgets."),
    "engine": (engine, "Every kind against a bare compiled pass over the same candles."),
    "cycle": (cycle, "What a worker needs for one closed candle of many bots."),
    "gateway": (gateway, "Loading one exchange of ccxt, and a turn in the request budget."),
    "candles": (candles, "Storing and loading candles against Django's own ways."),
    "load": (load, "Users on the pages of the real processes, beside ever more running bots."),
    "live": (live, "The event stream with thousands of open pages, the real process; the pages are held beside it."),
    "nginx": (
        nginx,
        "Pages through the shipped nginx over thousands of connections, with the load generator beside it.",
    ),
    "pages": (pages, "The pages over a thousand bots and a million trades, against their budgets."),
    "preview": (preview, "What the server needs to try a bot while its form is filled in."),
    "start": (start, "`make run`: the first page of a later start, and the memory of all its processes."),
    "web": (web, "Pages straight from the web server, cached and not, with the load generator beside it."),
    "indicators": (indicators, "A closed candle of many markets, and reading indicators from the cache."),
}


class Command(BaseCommand):
    help = "Measure a part of the system on this machine; nothing that is stored is touched."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
        for name, (subject, help_text) in SUBJECTS.items():
            chosen = subjects.add_parser(name, help=help_text, description=help_text)
            chosen.add_argument("--json", action="store_true", help="Print one JSON document.")
            subject.add_arguments(chosen)

    def handle(self, **options: Any) -> None:
        subject, _ = SUBJECTS[options["subject"]]
        rows = subject.rows(options)
        if options["json"]:
            self.stdout.write(json.dumps({"machine": _machine(), "versions": _versions(), "rows": rows}))
            return
        for row in rows:
            self.stdout.write(_line(row))


def _machine() -> dict[str, Any]:
    return {"system": platform.platform(), "cores": os.cpu_count()}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "django": django.__version__}
    return found | {"numba": numba.__version__, "numpy": np.__version__}


def _line(row: Row) -> str:
    ratio = f"{row['ratio']:>8.1f} of {row['baseline']:.3g} {row['unit']}" if row["baseline"] else ""
    return f"{row['job']:<76} {row['value']:>8.2f} {row['unit']}  {ratio}"
