"""The way to Redis, behind a circuit breaker: whoever calls gets an answer soon, or Unreachable.

The libraries do not suit: pybreaker holds a lock around every call, and circuitbreaker lets a visitor's request try
whether the server is back, so with one that hangs somebody waits every few seconds. Here a thread of its own tries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[["Redis"], T]
USUAL_SECONDS = 0.1  # a thousand times what Redis needs on the same network
LAST_SECONDS = 0.5  # granted once before Redis counts as gone: it may only have been busy
PROBE_SECONDS = 0.25  # between two tries whether it is back


class Unreachable(Exception):
    """Redis does not answer, or refuses."""


class Outage:
    """since: seconds since the epoch; reason: what Redis or the network said."""

    def __init__(self, reason: str) -> None:
        self.since = time.time()
        self.reason = reason


class Link:
    """Redis for one process. on_return is called with the outage, in a thread of the link, before Redis counts again.

    While it hangs, one thread waits LAST_SECONDS, those that called at the same moment USUAL_SECONDS, and nobody else.
    """

    def __init__(self, url: str, on_return: Callable[[Redis, Outage], None]) -> None:
        self.outage: Outage | None = None
        self._usual, self._last = client(url, USUAL_SECONDS), client(url, LAST_SECONDS)
        self._on_return = on_return
        self._asking_again = threading.Lock()
        self._own = threading.local()  # .usual: the connection of this thread

    def ask(self, *command: str) -> Any:
        """The answer to one command, over a connection that this thread keeps. Raises Unreachable.

        The client's own way (pool, retries, events) needs three times as long, which counts in front of Django.
        """
        return self.run(lambda redis: self._answer(redis, command))

    def _answer(self, redis: Redis, command: tuple[str, ...]) -> Any:
        """The last try is made over a new connection: one kept since such a try would have died with the usual one."""
        if redis is self._last:
            once = _connection(redis)
            try:
                return _answer(once, command)
            finally:
                once.disconnect()  # type: ignore[no-untyped-call]
        if not hasattr(self._own, "usual"):
            self._own.usual = _connection(redis)
        return _answer(self._own.usual, command)

    def run(self, work: Work[T]) -> T:
        """What `work` makes of Redis; it may be called twice. Raises Unreachable."""
        if self.outage or self._asking_again.locked():
            raise Unreachable
        try:
            return work(self._usual)
        except RedisError:
            return self._once_more(work)

    def _once_more(self, work: Work[T]) -> T:
        if not self._asking_again.acquire(blocking=False):
            raise Unreachable
        try:
            if self.outage:
                raise Unreachable
            return work(self._last)
        except RedisError as error:
            self._break(error)
            raise Unreachable from error
        finally:
            self._asking_again.release()

    def _break(self, error: RedisError) -> None:
        self.outage = Outage(f"{type(error).__name__}: {error}"[:200])
        logger.warning("Redis does not answer (%s): this process caches in its own memory", self.outage.reason)
        threading.Thread(target=self._probe, args=(self.outage,), name="cache-probe", daemon=True).start()

    def _probe(self, outage: Outage) -> None:
        pause = threading.Event()
        while not self._is_back(outage):
            pause.wait(PROBE_SECONDS)
        self.outage = None
        logger.warning("Redis answers again after %.1f s: the cache is shared again", time.time() - outage.since)

    def _is_back(self, outage: Outage) -> bool:
        """Whether it takes writes: one that is full or a replica answers a ping."""
        try:
            self._on_return(self._last, outage)
        except RedisError:
            return False
        return True


def _connection(redis: Redis) -> AbstractConnection:
    pool = redis.connection_pool
    made: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
    return made


def _answer(connection: AbstractConnection, command: tuple[str, ...]) -> Any:
    """Connects where it is not, and closes where the answer is not whole: the next one is never that of another."""
    connection.send_command(*command, check_health=False)  # type: ignore[no-untyped-call]
    return connection.read_response()


def client(url: str, seconds: float) -> Redis:
    """One that never waits longer for an answer, and never tries again by itself."""
    return Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0), protocol=2
    )
