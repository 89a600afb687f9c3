from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from dashboard.management.commands.benchmark import SUBJECTS
from orchestrator.benchmarks import Row
from orchestrator.commands import SentenceCommand, bad_input
from orchestrator.home import PROJECT

PAGE = PROJECT / "docs/PERFORMANCE.md"
HEAD = """# Performance

Measured by `make bench`, which writes this page; each table says where and when. Machines differ and are noisy: read
the ratios, which compare with the baseline in the same run.
"""


class Command(SentenceCommand):
    help = "Put what a benchmark printed with --json into docs/PERFORMANCE.md, in the place of its last table."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", choices=list(SUBJECTS))
        parser.add_argument("file", type=Path, help="What `manage.py benchmark SUBJECT --json` printed.")
        parser.add_argument("--page", type=Path, default=PAGE)

    def handle(self, **options: Any) -> None:
        try:
            document = json.loads(options["file"].read_text())
            table = section(options["subject"], document, datetime.now(UTC))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise bad_input(f"file {options['file']} is no document of a benchmark: {error}.") from error
        page: Path = options["page"]
        page.write_text(replaced(page.read_text() if page.exists() else HEAD, options["subject"], table))


def section(subject: str, document: dict[str, Any], now: datetime) -> str:
    machine, versions = document["machine"], ", ".join(f"{name} {one}" for name, one in document["versions"].items())
    lines = [
        f"## {subject}",
        f"{SUBJECTS[subject][1]} {now:%Y-%m-%d}, {machine['cores']} cores, {machine['system']}; {versions}.",
        "",
        "| Job | Measured | Baseline | Ratio |",
        "| --- | ---: | ---: | ---: |",
        *map(_line, document["rows"]),
    ]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    baseline = f"{_number(row['baseline'])} {row['unit']}" if row["baseline"] else ""
    ratio = f"{row['ratio']:,.3g}" if row["ratio"] else ""
    return f"| {row['job']} | {_number(row['value'])} {row['unit']} | {baseline} | {ratio} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def replaced(page: str, subject: str, table: str) -> str:
    """The page with the subject's section exchanged, or added at its end."""
    found = re.compile(rf"^## {subject}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if not found.search(page):
        return f"{page.rstrip()}\n\n{table}"
    return found.sub(lambda _: f"{table}\n", page).rstrip() + "\n"
