"""The event stream in its own server, for the time of a test."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager, suppress

import uvloop

PATIENCE = 10.0


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)


@contextmanager
def served(application):
    """A real server on a free port, in a thread with a loop of its own."""

    async def serve():
        application.loop, application.stopped = asyncio.get_running_loop(), asyncio.Event()
        await application.serve("127.0.0.1", 0, application.stopped)

    thread = threading.Thread(target=uvloop.run, args=[serve()])
    thread.start()
    until(lambda: application.listening)
    try:
        yield application
    finally:
        with suppress(RuntimeError):  # the test has stopped it, and the loop is closed
            application.loop.call_soon_threadsafe(application.stopped.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
