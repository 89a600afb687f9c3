"""What tells that the broker cannot be reached."""

from __future__ import annotations

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

# On a connection that stood already, kombu lets the errors of redis through as they are.
UNREACHABLE = (OperationalError, RedisError, OSError)
