"""Funding rates from CSV files: small ones, read whole; one bad row refuses the file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from markets.imports import Fields, ImportRefused, check_number, opened, plain_lines, understood
from markets.surface import Rate

# Names of the column with the rate; candle files of funding have it in `open`.
RATE_COLUMNS = ("fundingrate", "funding_rate", "rate", "open")


def read(path: Path) -> list[Rate]:
    """The rates of a .csv or .csv.gz file, ascending. Raises ImportRefused naming the line that is wrong."""
    with opened(path) as file, understood(path):
        rows = csv.reader(plain_lines(file), quoting=csv.QUOTE_NONE)
        time_at, rate_at = _columns(next(rows, None), path)
        rates: list[Rate] = []
        for row in rows:
            rate = _rate(row, time_at, rate_at, f"line {rows.line_num} of {path}")
            if rates and rate.time <= rates[-1].time:
                raise ImportRefused(f"line {rows.line_num} of {path}: timestamp must be after {rates[-1].time}.")
            rates.append(rate)
    if not rates:
        raise ImportRefused(f"{path} has no funding rates.")
    return rates


def _columns(header: Fields | None, path: Path) -> tuple[int, int]:
    names = [name.strip().lower() for name in header or ()]
    for column in RATE_COLUMNS:
        if "timestamp" in names and column in names:
            return names.index("timestamp"), names.index(column)
    raise ImportRefused(
        f"{path} must begin with a line that names timestamp and {', '.join(RATE_COLUMNS)}, not "
        f"{','.join(header or ())[:100]!r}."
    )


def _rate(row: Fields, time_at: int, rate_at: int, where: str) -> Rate:
    if len(row) <= max(time_at, rate_at):
        raise ImportRefused(f"{where}: {max(time_at, rate_at) + 1} columns are needed, not {len(row)}.")
    time, rate = check_number(row[time_at], whole=True), check_number(row[rate_at], whole=False)
    if time is None or time < 0:
        raise ImportRefused(f"{where}: timestamp is not a time: {row[time_at][:30]!r}.")
    if rate is None or not math.isfinite(rate) or not abs(rate) < 1:
        raise ImportRefused(f"{where}: rate must be a fraction between -1 and 1, not {row[rate_at][:30]!r}.")
    return Rate(int(time), rate)
