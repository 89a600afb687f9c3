"""One request-weight budget per exchange and credential, shared by all processes through Redis.

A leaky bucket, as exchanges count: each request fills it by its weight, and it drains at a pace a little below the one
that ccxt knows of the exchange (GCRA, "virtual scheduling" of ITU-T I.371, Annex A). More urgent lanes may fill it
further, so they are never behind less urgent ones: market data waits until it is empty, a cancellation does not.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import lru_cache
from typing import Any, Literal

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from markets.surface import GatewayError

logger = logging.getLogger(__name__)

Lane = Literal["exit", "entry", "account", "data"]
# How far a lane may fill the bucket: in requests of weight 1, and in milliseconds of the pace, whichever is more.
TOLERANCE: dict[Lane, tuple[int, int]] = {"exit": (4, 2000), "entry": (2, 1000), "account": (1, 500), "data": (0, 0)}
# Slower than allowed by this much, so that a minute holds the fullest bucket too: (60 s + 2 s) / 1.1 < 60 s.
MARGIN = 1.1
PATIENCE_S = 30.0  # a request waits this long, then fails
# Without Redis nobody knows what the others ask for: only what ends a risk is let through, this much slower.
ALONE = 10
SHORTEST_HOLD_S, LONGEST_HOLD_S = 1.0, 3 * 86_400.0
_KEPT_MS = 60_000

_TAKE = """
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + time[2] / 1000
end
local held = tonumber(redis.call('GET', KEYS[2]) or 0)
if held > now then return {math.ceil(held - now), 1} end
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = full - now - tonumber(ARGV[3])
if wait > 0 then return {math.ceil(wait), 0} end
full = full + tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now) + tonumber(ARGV[4]))
return {0, 0}
"""
_HOLD = """
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + time[2] / 1000
end
local till = now + tonumber(ARGV[2])
if till > tonumber(redis.call('GET', KEYS[1]) or 0) then
    redis.call('SET', KEYS[1], string.format('%.3f', till), 'PX', math.ceil(tonumber(ARGV[2])) + tonumber(ARGV[3]))
end
"""


class Clock:
    """Time, and the waiting for it. Tests give one that passes as it is waited for."""

    def shared_ms(self) -> str:
        """Now as all processes see it; "" is Redis' own clock, as those of machines differ."""
        return ""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds; never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


CLOCK = Clock()


@lru_cache(maxsize=4)
def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)


class Budget:
    """What may be asked of one exchange.

    name: of the exchange, for sentences; key: the same in all processes that speak with the same servers; credential:
    whose requests are counted, "" for public data; pace_ms: milliseconds a request of weight 1 takes.
    """

    def __init__(self, name: str, key: str, pace_ms: float, credential: str = "", clock: Clock = CLOCK) -> None:
        self.name, self.pace_ms, self.clock = name, max(pace_ms, 0.0) * MARGIN, clock
        self._filled, self._held = f"budget:{{{key}}}:{credential}", f"budget:{{{key}}}:held"
        self._lock = threading.Lock()
        self._own_turn = self._own_hold = 0.0  # ms of this process' clock

    def take(self, cost: float = 1.0, lane: Lane = "data", patience: float = PATIENCE_S) -> None:
        """Wait until a request of this weight may be made, at most `patience` seconds; it is then counted.

        Raises GatewayError, not permanent, when that would be later, or when Redis cannot be asked and the request does
        not end a risk.
        """
        waited = 0.0
        while True:
            wait, held = self._ask(cost, lane)
            if not wait:
                return
            if waited + wait > patience:
                raise GatewayError(self._refusal(wait, held), permanent=False)
            self.clock.sleep(wait)
            waited += wait

    def hold(self, seconds: float) -> None:
        """Nobody, in no lane and with no credential, asks anything for so long: the exchange has said so."""
        seconds = min(max(seconds, SHORTEST_HOLD_S), LONGEST_HOLD_S)
        self._own_hold = max(self._own_hold, self.clock.now_ms() + seconds * 1000)
        logger.warning("%s is left alone for %.0f s.", self.name, seconds)
        try:
            self._eval(_HOLD, 1, self._held, self.clock.shared_ms(), seconds * 1000, _KEPT_MS)
        except RedisError as error:
            logger.warning("Other processes are not told of it, Redis cannot be reached: %s", error)

    def _ask(self, cost: float, lane: Lane) -> tuple[float, bool]:
        """(seconds to wait before asking again, 0 to go; whether the exchange wants to be left alone)."""
        requests, milliseconds = TOLERANCE[lane]
        tolerance = max(requests * self.pace_ms, float(milliseconds if self.pace_ms else 0))
        try:
            wait, held = self._eval(
                _TAKE, 2, self._filled, self._held, self.clock.shared_ms(), cost * self.pace_ms, tolerance, _KEPT_MS
            )
        except RedisError as error:
            return self._alone(cost, lane, error)
        return wait / 1000, bool(held)

    def _alone(self, cost: float, lane: Lane, error: RedisError) -> tuple[float, bool]:
        if lane != "exit":
            sentence = f"{self.name} is not asked: Redis, which counts the requests of all processes, cannot be reached"
            raise GatewayError(f"{sentence} ({type(error).__name__}).", permanent=False) from error
        with self._lock:
            now = float(self.clock.now_ms())
            wait = max(self._own_hold, self._own_turn) - now
            if wait > 0:
                return math.ceil(wait) / 1000, self._own_hold > now
            self._own_turn = now + cost * self.pace_ms * ALONE
        return 0.0, False

    def _eval(self, script: str, keys: int, *arguments: Any) -> Any:
        return _redis(settings.REDIS_URL).eval(script, keys, *arguments)

    def _refusal(self, wait: float, held: bool) -> str:
        if held:
            return f"{self.name} asked to be left alone; it is asked again in {wait:.0f} s."
        return f"{self.name} is not asked now: its request budget is used up by more urgent requests."
