"""Candles from CSV files: read once, in constant memory, judged row by row, stored all or not at all."""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from markets import series
from markets.series import VALUES, Candles, Column, Row

HEADER = ["timestamp", *VALUES]
CHUNK = 50_000  # rows held at once
LISTED = 20  # bad rows told one by one; the rest is counted
_MOST_DECIMALS = 18  # of a price or an amount, as the database keeps them
_LONGEST_LINE = 4096
_BIGGEST_TIME = 2**53

Fields = list[str]


class ImportRefused(Exception):
    """The file cannot be imported; one sentence."""


@dataclass(slots=True)
class Reading:
    """What has been read so far. bad: number of malformed rows; faults: the first of them, with their line."""

    timeframe: int
    now: int
    rows: int = 0
    bad: int = 0
    faults: list[str] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
    gaps: int = 0
    price_decimals: int = 0
    volume_decimals: int = 0

    @property
    def tick(self) -> Decimal:
        return Decimal(1).scaleb(-self.price_decimals)

    @property
    def lot(self) -> Decimal:
        return Decimal(1).scaleb(-self.volume_decimals)

    def fault(self, line: int, sentence: str) -> None:
        self.bad += 1
        if len(self.faults) < LISTED:
            self.faults.append(f"line {line}: {sentence}")

    def take(self, candles: Candles) -> None:
        """Note what good candles say about the whole."""
        if not len(candles):
            return
        times = candles.time if self.last is None else np.insert(candles.time, 0, self.last)
        self.gaps += len(series.gaps(times, self.timeframe))
        prices = np.concatenate([candles.open, candles.high, candles.low, candles.close])
        self.price_decimals = _decimals(prices, self.price_decimals)
        self.volume_decimals = _decimals(candles.volume, self.volume_decimals)
        self.first = int(candles.time[0]) if self.first is None else self.first
        self.last = int(candles.time[-1])


def read(path: Path, reading: Reading) -> Iterator[Candles]:
    """Good candles of a .csv or .csv.gz file, chunk by chunk; `reading` keeps the account of all rows.

    Raises ImportRefused when the file is not what it should be as a whole.
    """
    with opened(path) as file, understood(path):
        # Numbers need no quotes; taken as plain characters they cannot swallow the lines that follow.
        rows = csv.reader(plain_lines(file), quoting=csv.QUOTE_NONE)
        _check_header(next(rows, None), path)
        while chunk := [(rows.line_num, row) for row in itertools.islice(rows, CHUNK)]:
            reading.rows += len(chunk)
            candles = _chunk(chunk, reading)
            reading.take(candles)
            yield candles


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """A .csv or .csv.gz file as text."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        file = opener(path, "rt", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ImportRefused(f"{path} cannot be opened: {error.strerror}.") from None
    with file:
        yield file


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """A file that is broken as a file, in one sentence."""
    try:
        yield
    except UnicodeDecodeError:
        raise ImportRefused(f"{path} is not text in UTF-8.") from None
    except EOFError:
        raise ImportRefused(f"{path} ends in the middle of its gzip data; it is incomplete.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(f"{path} is not a sound gzip file: {error}.") from None
    except csv.Error as error:
        raise ImportRefused(f"{path} is not a sound CSV file: {error}.") from None
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror or error}.") from None


def plain_lines(file: IO[str]) -> Iterator[str]:
    """Lines of bounded length, so that no file needs more memory than another."""
    for line in iter(partial(file.readline, _LONGEST_LINE), ""):
        if "\0" in line:
            raise csv.Error("it holds null bytes")
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"it has a line of {_LONGEST_LINE} characters or more")
        yield line


def _check_header(header: Fields | None, path: Path) -> None:
    if header is None:
        raise ImportRefused(f"{path} is empty; its first line must be {','.join(HEADER)}.")
    if [name.strip().lower() for name in header] != HEADER:
        raise ImportRefused(f"{path} must begin with the line {','.join(HEADER)}, not {','.join(header)[:100]!r}.")


def _chunk(chunk: list[tuple[int, Fields]], reading: Reading) -> Candles:
    """The fast way for sound rows; where one is not, each is looked at by itself."""
    candles = _converted([row for _, row in chunk])
    if candles is None or series.bad_rows(candles, reading.timeframe, reading.last).any() or _future(candles, reading):
        return _sifted(chunk, reading)
    return candles


def _future(candles: Candles, reading: Reading) -> bool:
    """Whether the last candle is not closed yet."""
    return bool(candles.time[-1] + reading.timeframe * 1000 > reading.now)


def _converted(rows: list[Fields]) -> Candles | None:
    """Candles of rows that are all numbers, else None."""
    text = "".join(itertools.chain.from_iterable(rows))
    if "_" in text or not text.isascii():  # Python reads 1_000 and the digits of every script
        return None
    try:
        time, *values = zip(*rows, strict=True)
        if len(values) != len(VALUES):
            return None
        return Candles(np.array(list(map(int, time)), np.int64), *(np.array(list(map(float, v))) for v in values))
    except (ValueError, OverflowError):
        return None


def _sifted(chunk: list[tuple[int, Fields]], reading: Reading) -> Candles:
    kept: list[Row] = []
    previous = reading.last
    for line, fields in chunk:
        row, sentence = _judged(fields, reading, previous)
        if row is None:
            reading.fault(line, sentence)
        else:
            previous = row[0]
            kept.append(row)
    return Candles.from_rows(kept)


def _judged(fields: Fields, reading: Reading, previous: int | None) -> tuple[Row | None, str]:
    """The row as numbers, or None and what is wrong with it."""
    if len(fields) != len(HEADER):
        return None, f"{len(HEADER)} columns are needed, not {len(fields)}."
    numbers = []
    for name, text in zip(HEADER, fields, strict=True):
        number = check_number(text, whole=name == "timestamp")
        if number is None:
            return None, f"{name} is not a number: {text[:30]!r}."
        numbers.append(number)
    time, open_, high, low, close, volume = numbers
    row = (int(time), open_, high, low, close, volume)
    if row[0] + reading.timeframe * 1000 > reading.now:
        return None, f"timestamp {row[0]} is of a candle that has not closed yet."
    sentence = series.fault(row, reading.timeframe, previous)
    return (None, sentence) if sentence else (row, "")


def check_number(text: str, whole: bool) -> float | None:
    """The number a text is, or None."""
    if "_" in text or not text.isascii():
        return None
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        return None
    return number if not whole or abs(number) < _BIGGEST_TIME else None


def _decimals(values: Column, least: int) -> int:
    """Digits behind the point that all values need, from `least` to 18; digits beyond a float's own are noise."""
    enough = (digits for digits in range(least, _MOST_DECIMALS) if np.array_equal(np.round(values, digits), values))
    return next(enough, _MOST_DECIMALS)
