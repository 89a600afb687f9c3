from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from bots import forecasting
from bots.forecasting import Trained
from bots.forecasts import FORECASTERS
from bots.management.commands._series import iso, stored_market, timeframe
from bots.predictions import Series
from markets.models import Market
from markets.series import TIMEFRAME_NAMES
from orchestrator.commands import SentenceCommand, bad_input


def model(text: str) -> str:
    if text not in FORECASTERS:
        raise ArgumentTypeError(f"must be one of {', '.join(FORECASTERS)}, not {text!r}.")
    return text


class Command(SentenceCommand):
    help = "Predict every stored candle of a market anew, each by what came before it, and store what has changed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--exchange", required=True, metavar="SLUG")
        parser.add_argument("--market", required=True, metavar="SYMBOL", help="For example BTC/USDT.")
        parser.add_argument("--timeframe", required=True, type=timeframe, metavar="TF", help="1m, 5m … 1d.")
        parser.add_argument(
            "--model", type=model, default=next(iter(FORECASTERS)), metavar="SLUG", help=f"{', '.join(FORECASTERS)}."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, **options: Any) -> None:
        began = time.perf_counter()
        market = stored_market(options["exchange"], options["market"])
        series = Series(market.pk, options["timeframe"], options["model"])
        trained = forecasting.train(series)
        document = {**_document(series, market, trained), "seconds": round(time.perf_counter() - began, 3)}
        if options["json"]:
            self.stdout.write(json.dumps(document, allow_nan=False))
            return
        self.stdout.write(
            f"{document['predictions']:,} predictions of {document['candles']:,} candles, {document['written']:,} "
            f"written; from {iso(document['first'])} to {iso(document['last'])}."
        )
        if trained.right is not None:
            self.stdout.write(f"{trained.right:.2%} named the direction; {trained.rose:.2%} of the closes rose.")


def _document(series: Series, market: Market, trained: Trained) -> dict[str, Any]:
    """Moments in ms UTC, shares as fractions. Raises CommandError."""
    known = trained.candles.time[~np.isnan(trained.values)]
    if not len(known):
        raise bad_input(
            f"{series.model} needs about {FORECASTERS[series.model].lead:,} candles in a row before its first "
            f"prediction, and {len(trained.candles):,} candles of {TIMEFRAME_NAMES[series.timeframe]} of "
            f"{market.symbol} are stored: import or sync more."
        )
    return {
        "model": series.model,
        "candles": len(trained.candles),
        "predictions": len(known),
        "written": trained.written,
        "first": int(known[0]),
        "last": int(known[-1]),
        "right": trained.right,
        "rose": trained.rose,
    }
