"""Every kind over whole files of real candles, by the commands that a person uses: do all three modes trade the same?

bin/parity runs this on servers of its own. One line a file and kind; exits with 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from io import StringIO
from itertools import zip_longest
from pathlib import Path

import django

django.setup()

from django.core.management import CommandError, call_command  # noqa: E402

from markets import candles as store  # noqa: E402
from markets.models import Exchange  # noqa: E402
from markets.series import TIMEFRAME_NAMES  # noqa: E402
from orchestrator.benchmarks import own_database  # noqa: E402
from tests.bots.realistic import FILES, capital, imported, params, suiting  # noqa: E402

COMMANDS = ("backtest", "paper_replay", "live_replay")


def main() -> int:
    options = arguments()
    asked = [name for name in FILES if not options.only or any(part in name for part in options.only)]
    if not asked:
        sys.exit(f"no file is named like {' or '.join(options.only)}: there are {', '.join(FILES) or 'none'}.")
    different = 0
    with own_database(), tempfile.TemporaryDirectory() as folder:
        for name in asked:
            exchange = Exchange.objects.create(
                slug=name.partition(".")[0].lower().replace("_", "-"), name=name, ccxt_id="simulated",
                ccxt_config={"seed": 1},
            )  # fmt: skip
            market, timeframe = imported(name, exchange.slug)
            end = cut(market, timeframe, options.candles)
            for kind in suiting(market):
                if not options.kind or kind in options.kind:
                    different += not compare(name, kind, market, timeframe, end, Path(folder))
    print(f"{different} differ" if different else "all are identical")
    return int(different > 0)


def arguments():
    parser = argparse.ArgumentParser(prog="bin/parity", description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", metavar="PART", help="Files whose names hold one of these; default: all.")
    parser.add_argument("--kind", action="append", help="This kind alone; may be given again.")
    parser.add_argument("--candles", type=int, metavar="N", help="The first N of each file; default: all.")
    return parser.parse_args()


def cut(market, timeframe, count):
    """Arguments that leave the first candles alone."""
    times = store.load(market.pk, timeframe).time
    if not count or len(times) <= count:
        return []
    return ["--end", f"{times[count].astype('datetime64[ms]')}"]


def compare(name, kind, market, timeframe, end, folder) -> bool:
    """Print what the three commands made of it."""
    first, money = float(store.load(market.pk, timeframe).open[0]), capital(market)
    words = [
        kind, "--exchange", market.exchange.slug, "--market", market.symbol, "--timeframe", TIMEFRAME_NAMES[timeframe],
        "--params", json.dumps(params(kind, first, timeframe, money)), "--capital", str(money), *end,
    ]  # fmt: skip
    taken, files, documents = [], [], []
    for command in COMMANDS:
        path, out, began = folder / command, StringIO(), time.perf_counter()
        try:
            call_command(command, *words, "--json", "--trades", str(path), stdout=out)
        except CommandError as error:
            print(f"{name} {kind}: {command} refused: {error}", flush=True)
            return False
        taken.append(f"{time.perf_counter() - began:.1f}")
        files.append(path.read_text())
        figures = {key: value for key, value in json.loads(out.getvalue()).items() if not key.startswith("seconds")}
        documents.append(json.dumps(figures, indent=0))
    told = next(filter(None, (difference(parts) for parts in (files, documents))), "")
    trades, bars = files[0].count("\n") - 1, json.loads(documents[0])["bars"]
    what = told or f"identical, {trades:,} trades in {bars:,} candles"
    print(f"{name} {kind}: {what} ({', '.join(taken)} s)", flush=True)
    return not told


def difference(texts) -> str:
    """The first line in which the texts of the three commands differ; nothing when they are the same."""
    for number, lines in enumerate(zip_longest(*(text.splitlines() for text in texts)), 1):
        if len(set(lines)) > 1:
            told = "; ".join(f"{command} {line}" for command, line in zip(COMMANDS, lines, strict=True))
            return f"DIFFERENT in line {number}: {told}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
