"""What is true of candles and yet hardly can be: found as they arrive, told once. Pure.

A spike: high or low more than 20 % away from the close of the candle just before. Zero volume: three candles in a row
that nothing was traded in, on a market where that is unusual, or one in which the price moved all the same. Odd volume:
more than 50 times the usual. A stuck price: one and the same for an hour's worth of 60 candles, while it is traded.
Usual is the median of the 60 candles before; it has to be known, and where it is 0 nothing about volume is odd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from markets.series import Candles, Column

WINDOW = 60  # candles before one that it is compared with
SPIKE = 0.2
ODD = 50.0
SILENT = 3  # candles without volume
_AT_ONCE = 20_000  # candles whose windows are laid out side by side: 10 MB

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


class Oddity(NamedTuple):
    """times: open times, ms UTC, ascending, of the candles that show it; sentence: about the last of them."""

    code: str
    times: list[int]
    sentence: str


class Stretch(NamedTuple):
    """Candles of one feed. since: open time, ms UTC, from which on they are judged by those before; timeframe: s."""

    candles: Candles
    since: int
    timeframe: int


class _Rows(NamedTuple):
    """The candles of many feeds, one after the other. begin, owner: of each row, the first one of its feed, and which.

    judged: the rows that something may be said about.
    """

    candles: Candles
    begin: Rows
    owner: Rows
    step: NDArray[np.int64]
    judged: Rows


def oddities(candles: Candles, since: int, timeframe: int) -> list[Oddity]:
    """What is odd in the candles that open at `since` (ms UTC) or later; those before are what they are judged by."""
    return oddities_of_many([Stretch(candles, since, timeframe)])[0]


def oddities_of_many(stretches: Sequence[Stretch]) -> list[list[Oddity]]:
    """The same of many feeds at once: it costs hardly more than of one."""
    found: list[list[Oddity]] = [[] for _ in stretches]
    rows = _laid_out(stretches)
    if rows.judged.size:
        for code, (flags, sentence) in _judgements(rows).items():
            for owner, places in _by_owner(rows.owner[rows.judged], np.flatnonzero(flags)):
                times = rows.candles.time[rows.judged[places]].tolist()
                found[owner].append(Oddity(code, times, sentence(int(places[-1]))))
    return found


def _laid_out(stretches: Sequence[Stretch]) -> _Rows:
    lengths = [len(one.candles) for one in stretches]
    owner = np.repeat(np.arange(len(stretches)), lengths)
    begins = np.cumsum([0, *lengths])[:-1]
    candles = Candles.joined(one.candles for one in stretches)
    since = np.array([one.since for one in stretches], np.int64)
    steps = np.array([one.timeframe * 1000 for one in stretches], np.int64)
    return _Rows(candles, begins[owner], owner, steps[owner], np.flatnonzero(candles.time >= since[owner]))


def _by_owner(owners: Rows, places: Rows) -> Iterator[tuple[int, Rows]]:
    """Places, ascending, of each owner that has some."""
    if places.size:
        starts = np.flatnonzero(np.diff(owners[places], prepend=-1))
        for part in np.split(places, starts[1:]):
            yield int(owners[part[0]]), part


def _judgements(rows: _Rows) -> dict[str, tuple[Flags, Callable[[int], str]]]:
    """Code -> which of the judged rows show it, and the sentence about one of them, by its place."""
    at, candles = rows.judged, rows.candles
    away, usual, volume = _away(rows), _usual(rows), candles.volume[rows.judged]
    moved = candles.high[at] > candles.low[at]
    return {
        "price_spike": (
            np.abs(away) > SPIKE,
            lambda place: (
                f"The price moved {away[place]:+.1%} from {candles.close[at[place] - 1]:.8g} within one candle."
            ),
        ),
        "zero_volume": (
            (volume == 0) & (moved | (_lasting(candles.volume == 0, rows, SILENT) & (usual > 0))),
            lambda place: (
                "The price moved while nothing was traded."
                if moved[place]
                else f"Nothing was traded, where {usual[place]:.8g} a candle are usual."
            ),
        ),
        "odd_volume": (
            (usual > 0) & (volume > ODD * usual),
            lambda place: (
                f"The volume {volume[place]:.8g} is {volume[place] / usual[place]:.0f} times the "
                f"usual {usual[place]:.8g}."
            ),
        ),
        "stuck_price": (
            _stuck(rows),
            lambda place: f"The price has been {candles.close[at[place]]:.8g} for {WINDOW} candles or longer.",
        ),
    }


def _away(rows: _Rows) -> Column:
    """How far a candle reaches from the close just before it, at most, as a fraction; 0 after a hole."""
    at, candles = rows.judged, rows.candles
    before = np.maximum(at - 1, rows.begin[at])
    close = candles.close[before]
    up, down = candles.high[at] / close - 1, candles.low[at] / close - 1
    follows = candles.time[at] - candles.time[before] == rows.step[at]
    return np.where(follows, np.where(up > -down, up, down), 0.0)


def _usual(rows: _Rows) -> Column:
    """Median of the WINDOW candles before each; 0 where there are not so many."""
    usual = np.zeros(rows.judged.size)
    enough = np.flatnonzero(rows.judged - rows.begin[rows.judged] >= WINDOW)
    for part in range(0, enough.size, _AT_ONCE):
        places = enough[part : part + _AT_ONCE]
        windows = rows.judged[places][:, None] + np.arange(-WINDOW, 0)
        usual[places] = np.median(rows.candles.volume[windows], axis=1, overwrite_input=True)
    return usual


def _stuck(rows: _Rows) -> Flags:
    at, candles = rows.judged, rows.candles
    same = np.diff(candles.close, prepend=np.nan) == 0
    same[rows.begin] = True
    traded = np.concatenate([[0], np.cumsum(candles.volume > 0)])
    recently = traded[at + 1] > traded[np.maximum(at + 1 - WINDOW, rows.begin[at])]
    stuck: Flags = _lasting((candles.high == candles.low) & same, rows, WINDOW) & recently
    return stuck


def _lasting(flags: Flags, rows: _Rows, count: int) -> Flags:
    """Of the judged rows, whether their flag and the count - 1 before it of the same feed are all set."""
    numbers = np.arange(len(flags))
    unset = np.maximum.accumulate(np.where(flags, -1, numbers))
    lasting: Flags = (numbers - np.maximum(unset, rows.begin - 1) >= count)[rows.judged]
    return lasting
