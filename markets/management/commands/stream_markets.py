from __future__ import annotations

import signal
from types import FrameType
from typing import Any, NoReturn

from markets.services.streaming import Follower
from orchestrator.commands import SentenceCommand


class Ended(BaseException):
    """Somebody asked this process to end. Not an Exception: nothing on the way may take it for a failure."""


class Command(SentenceCommand):
    help = (
        "Follow the exchanges' streams: closed candles are stored, and bots led on, at once instead of with the next "
        "beat. Simulated exchanges, and those without a stream, are followed by their clock. Runs until it is stopped."
    )
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
        follower = Follower()
        try:
            follower.refresh()
            self.stdout.write(f"Following {', '.join(follower.exchanges) or 'nothing yet: no feed is enabled'}.")
            self.stdout.flush()
            while True:
                follower.turn()
        except Ended:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            follower.end()
            self.stdout.write("Stopped.")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # What is being stored is undone, and asked for again.
    raise Ended
