"""Real candles beside the project, and parameters of every kind for them, with what each can do switched on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bots.kinds import KINDS
from markets.models import Feed, Market
from markets.series import timeframe_seconds
from markets.services.imports import Target, import_candles, import_funding

CAPITAL = 10_000  # of dollars
DATA = Path(__file__).parents[3] / "shared" / "data"
EXCHANGE = "files"
NAME = re.compile(r"[a-z]+_(?P<base>[A-Z]+?)(?P<quote>USDT|BTC|PERP)(_perp_futures)?_(?P<timeframe>\d+[mhd])_.*")
FILES = sorted(path.name for path in DATA.glob("*.csv.gz") if NAME.fullmatch(path.name))
FUNDING = DATA / "ft_XRPUSDT_perp_fundingrate_8h_2021-11.csv.gz"


def imported(name: str, exchange: str = EXCHANGE, folder: Path = DATA) -> tuple[Market, int]:
    """The market of a file on an exchange that is there, its candles stored, and their timeframe in s."""
    words = NAME.fullmatch(name)
    swap, quote = "perp" in name.lower(), words["quote"].replace("PERP", "USD")
    symbol = f"{words['base']}/{quote}:{quote}" if swap else f"{words['base']}/{quote}"
    timeframe = timeframe_seconds(words["timeframe"])
    import_candles(folder / name, Target(exchange, symbol, timeframe, create=True), skip_bad=True)
    if swap and words["base"] == "XRP":
        import_funding(FUNDING, exchange, symbol)
    Feed.objects.update(enabled=True)
    return Market.objects.get(exchange__slug=exchange, symbol=symbol), timeframe


def suiting(market: Market) -> list[str]:
    """Kinds of margin need a swap, the others trade everywhere."""
    return [slug for slug, kind in KINDS.items() if market.type == "swap" or not kind.margin]


def capital(market: Market) -> int:
    """Quote money that a bot may have there: thousands of bitcoin would buy more lots of a coin than a float holds."""
    return 1 if market.quote == "BTC" else CAPITAL


def scaled(price: float, factor: float) -> float:
    """A price of six digits."""
    return float(f"{price * factor:.6g}")


def params(slug: str, price: float, timeframe: int, money: float = CAPITAL) -> dict[str, Any]:
    """timeframe: of the candles, s; money: the bot's, quote."""
    higher = "@1h" if timeframe < 3600 else "@1d" if timeframe < 86_400 else ""
    return {
        "grid": {
            "lower": scaled(price, 0.93), "upper": scaled(price, 1.05), "lines": 25, "size": "quote",
            "trailing_up": True, "active_buys": 4, "active_sells": 6, "stop_loss": scaled(price, 0.6),
        },
        "infinity_grid": {"lower": scaled(price, 0.6), "grid_profit": 0.5, "take_profit": 5, "take_profit_by": "ratio"},
        "trailing": {"buy_distance": 0.4, "sell_activation": 0.8, "sell_distance": 0.3, "reinvest": True},
        "dca": {
            "base_order": money / 20, "safety_order": money / 20, "max_safety_orders": 6, "active_safety_orders": 2,
            "step": 0.5, "volume_scale": 1.2, "take_profit": 0.6, "trailing": 0.2, "stop_loss": 12.0,
            "stop_loss_timeout": 600,
        },
        "accumulation": {"amount": money / 200, "interval": 7200, "multiplier": 1.5, "fall": 1.0, "take_profit": 1.0},
        "signal": {
            "long_entry": "close crosses above sma(12) and rsi(14) < 75", "long_exit": f"close < ema(30){higher}",
            "stop_loss": 1.5, "take_profit": "1: 50, 2", "trailing_activation": 1.0, "trailing_distance": 0.5,
            "size_by": "risk", "cooldown": 1800,
        },
        "prediction": {
            "enter_above": 0.52, "exit_below": 0.5, "stop_loss": 1.5, "take_profit": "1: 50, 2", "time_limit": 20_000,
        },
        "futures_grid": {
            "lower": scaled(price, 0.95), "upper": scaled(price, 1.06), "lines": 30, "direction": "neutral",
            "leverage": 2,
        },
        "futures_position": {
            "side": "short", "size": 30, "leverage": 3, "take_profit_1": 1.0, "share_1": 50, "take_profit_2": 3.0,
            "stop_loss": 2.0, "trailing_activation": 1.5, "trailing_distance": 0.6, "positions": 0,
        },
    }[slug]  # fmt: skip
