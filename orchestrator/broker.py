"""How long a process waits for the broker, and what tells that it cannot be reached."""

from __future__ import annotations

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

# Long enough for a machine under load. A worker waits for work as long as there is none, and is left alone.
SECONDS = 1.5
# One try: whoever asks has something better to do, and the schedule finds work that lies in the database.
IMPATIENT = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS, "max_retries": 0}
# On a connection that stood already, kombu lets the errors of redis through as they are.
UNREACHABLE = (OperationalError, RedisError, OSError)
