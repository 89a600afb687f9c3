"""What a message says: short enough for every service (Pushover takes 1,024 characters), the worst first."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bots.notifications.selection import Line, Told

MOST_LINES = 5
LONGEST_LINE, LONGEST_TITLE = 180, 100
LEVELS = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("note", "notes")}
TYPES = {"error": "failure", "warning": "warning", "info": "info"}  # Apprise's


class Message(NamedTuple):
    title: str
    body: str
    type: str


TEST = Message("Test message", "This channel works: you will be told here of what you chose.", "info")


def compose(told: Told, zone: str) -> Message:
    """Some events as lines, all others as a number. told: not empty; zone: of the times."""
    total = sum(told.counts.values())
    worst = told.lines[0].level
    lines = [_line(line, ZoneInfo(zone)) for line in told.lines[:MOST_LINES]]
    if total > len(lines):
        lines.append(f"… and {total - len(lines):,} more: see Activity.")
    return Message(_title(told), "\n".join(lines), TYPES[worst])


def _title(told: Told) -> str:
    if sum(told.counts.values()) == 1:
        (line,) = told.lines
        return _cut(line.bot or "Orchestrator", LONGEST_TITLE)
    counted = [f"{told.counts[level]:,} {words[told.counts[level] > 1]}" for level, words in LEVELS.items()
               if level in told.counts]  # fmt: skip
    return _cut(", ".join(counted), LONGEST_TITLE)


def _line(line: Line, zone: ZoneInfo) -> str:
    simulated = "" if line.mode in (None, "live") else " (simulated)"
    about = f"{_cut(line.bot, 60)}{simulated}: " if line.bot else ""
    return _cut(f"{_clock(line.time, zone)} {about}{line.message}", LONGEST_LINE)


def _clock(time: datetime, zone: ZoneInfo) -> str:
    return f"{time.astimezone(zone):%m-%d %H:%M}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
