from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from bots import forecasting, funding
from bots.bars import STORED
from bots.engine.simulate import NO_FUNDING
from bots.kinds import KINDS
from bots.management.commands._series import Asked, SeriesCommand, parameters
from bots.records import terms_of
from bots.sweep import Result, Series, combinations, sweep
from markets.series import Candles
from orchestrator.commands import bad_input

HEAD = f"{'final equity':>16}{'trades':>10}{'drawdown':>11}  "


class Command(SeriesCommand):
    help = "Run a kind over stored candles once for every combination of values: which would have done best?"
    writes_trades = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--grid",
            required=True,
            type=parameters,
            metavar="JSON",
            help="A list of values by parameter, or by name in braces in the texts of --params: "
            '\'{"fast": [10, 20], "slow": [50, 100]}\'.',
        )
        parser.add_argument("--threads", type=int, default=2, help="Default: 2.")

    def handle(self, **options: Any) -> None:
        if not 1 <= options["threads"] <= 64:
            raise bad_input(f"threads must be from 1 to 64, not {options['threads']}.")
        asked = self.asked(options)
        kind, capital, began = KINDS[asked.kind], float(asked.capital), time.perf_counter()
        try:
            sets = combinations(kind, asked.params, options["grid"])
            for params in sets:
                asked.check(params)
            results = sweep(
                kind, sets, terms_of(asked.market), capital, _series(asked, sets), threads=options["threads"]
            )
        except ValueError as error:  # ParamsError, or a rule about a timeframe that cannot be made
            raise bad_input(str(error)) from None
        results.sort(key=lambda result: result.final_equity, reverse=True)
        if options["json"]:
            seconds = round(time.perf_counter() - began, 6)
            rows = [asdict(result) for result in results]
            document = {"combinations": len(sets), "bars": len(asked.candles), "seconds": seconds, "results": rows}
            self.stdout.write(json.dumps(document, allow_nan=False))
        else:
            self.stdout.write(f"{len(sets):,} combinations over {len(asked.candles):,} candles")
            self.stdout.write("\n".join([HEAD, *(_line(result, asked.params) for result in results)]))


def _series(asked: Asked, sets: list[dict[str, Any]]) -> Series:
    """What a backtest of each set would see: the longest lead of all, predictions, funding."""
    kind, market, candles = KINDS[asked.kind], asked.market, asked.candles
    every = [kind.read(params) for params in sets]
    count = max(kind.lead(params, asked.timeframe) for params in every) if kind.lead else 0
    lead = STORED.before(market.pk, asked.timeframe, int(candles.time[0]), count) if count else Candles.empty()
    models = tuple(sorted({model for params in every for model in kind.columns(params)}))
    shown = Candles.joined([lead, candles])
    columns = forecasting.columns(models, market.pk, asked.timeframe, shown, STORED) if models else {}
    paid = funding.rates_of((market.pk, asked.timeframe, 0), candles) if market.type == "swap" else NO_FUNDING
    return Series(candles, asked.timeframe, columns, paid, lead)


def _line(result: Result, params: dict[str, Any]) -> str:
    """Figures, then the parameters that differ from those of all."""
    own = {name: value for name, value in result.params.items() if params.get(name) != value}
    told = ", ".join(f"{name} {value}" for name, value in own.items())
    return f"{result.final_equity:>16,.2f}{result.trades:>10,}{100 * result.max_drawdown:>9,.2f} %  {told}"
