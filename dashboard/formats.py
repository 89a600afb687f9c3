"""Numbers and times as people read them. Pure: text in, text out; the clock is an argument.

Formatting happens here and not in template filters, which cost more than the queries in a page of many rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

Number: TypeAlias = Decimal | float | int | None

NOTHING = "–"
MINUS = "−"
_YEAR_9999 = 253_370_764_800_000
# Money is shown to the cent; a currency worth thousands needs more digits for the same meaning.
_MONEY_DIGITS = {"BTC": 8, "ETH": 6, "BNB": 5}
_NOTHING = mark_safe(NOTHING)
_DIGITS = frozenset("123456789")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


@lru_cache(maxsize=1000)
def decimals(step: Decimal) -> int:
    """Digits after the point that a step such as a tick needs: 2 for 0.01, 0 for 1 and for 10.

    Written again here because markets.precision compiles kernels, which no web process should import.
    """
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def money_digits(currency: str) -> int:
    return _MONEY_DIGITS.get(currency, 2)


def number(value: Number, digits: int) -> str:
    """Grouped thousands, a true minus sign, a dash for nothing; never "−0.00"."""
    if value is None:
        return NOTHING
    text = f"{value:,.{digits}f}"
    if not text.startswith("-"):
        return text
    return text[1:] if _DIGITS.isdisjoint(text) else MINUS + text[1:]


def price(value: Number, tick: Decimal) -> str:
    return number(value, decimals(tick))


def amount(value: Number, lot: Decimal) -> str:
    return number(value, decimals(lot))


def money(value: Number, currency: str) -> str:
    return number(value, money_digits(currency))


def percent(ratio: Number) -> str:
    """0.0123 as "1.23 %"; a narrow space keeps number and unit together."""
    return NOTHING if ratio is None else number(float(ratio) * 100, 2) + "\u202f%"


def times(ratio: Number) -> str:
    """2.5 as "2.50 ×": so many times what it is a part of."""
    return NOTHING if ratio is None else number(ratio, 2) + "\u202f×"


def change(value: Number, text: str) -> SafeString:
    """A gain or loss told three ways: colour, arrow and sign. `text` is the formatted value."""
    if value is None:
        return _NOTHING
    # Put together by hand: format_html takes five times as long, and pages hold hundreds of these.
    escaped = escape(text)
    if value > 0 and not _DIGITS.isdisjoint(text):
        return mark_safe(f'<span class="up"><span class="arrow">▲</span>+{escaped}</span>')
    if text.startswith(MINUS):
        return mark_safe(f'<span class="down"><span class="arrow">▼</span>{escaped}</span>')
    return mark_safe(f'<span class="flat">{escaped}</span>')


def money_change(value: Number, currency: str) -> SafeString:
    return change(value, money(value, currency))


def percent_change(ratio: Number) -> SafeString:
    return change(ratio, percent(ratio))


def share(part: Number, whole: Number) -> float | None:
    """part / whole, or None when there is no whole."""
    return float(part) / float(whole) if part is not None and whole else None


def age(time: datetime, now: datetime) -> str:
    """How long ago, in one unit; the date when it is over thirty days."""
    seconds = (now - time).total_seconds()
    if seconds >= 30 * 86_400:
        return f"{time:%Y-%m-%d}"
    for length, unit in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now" if seconds > -60 else "soon"


def when(time: datetime | None, now: datetime) -> SafeString:
    """A <time> element: relative to read, exact on hover; times.js turns the title to the reader's zone."""
    if time is None:
        return _NOTHING
    return _time(time, age(time, now))


def until(time: datetime | None, now: datetime) -> SafeString:
    """A <time> element of what is to come: "in 3 h 20 min", exact on hover; page.js leaves it as it is."""
    if time is None:
        return _NOTHING
    return _time(time, f"in {duration(time - now)}" if time > now else "now")


def _time(time: datetime, text: str) -> SafeString:
    utc = time.astimezone(UTC).isoformat(" ", "seconds")[:19]
    # Digits and words of ours, put together by hand as in change().
    return mark_safe(f'<time datetime="{utc.replace(" ", "T")}Z" title="{utc} UTC">{text}</time>')


def duration(span: timedelta) -> str:
    """A length of time in its two largest units: "3 d 4 h"."""
    minutes = max(int(span.total_seconds() // 60), 0)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def from_ms(time: int | None) -> datetime | None:
    """Milliseconds UTC, as candles and runs keep them, to a datetime; None beyond the years datetime knows."""
    if time is None or not 0 <= time < _YEAR_9999:
        return None
    return datetime.fromtimestamp(time / 1000, UTC)


def words(name: str) -> str:
    """A registry name as words: "take_profit" becomes "Take profit"."""
    return name.replace("_", " ").strip().capitalize()
