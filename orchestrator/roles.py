"""What the processes of the platform have different: their connections to the database, their patience with the broker.

Imports nothing: the settings ask here, and a process that was forked from one with the settings of all asks again.
"""

from __future__ import annotations

from typing import Any

WEB, LIVE, WORKER, BEAT, STREAM = "granian", "live", "worker", "beat", "stream"

# Long enough for a machine under load. A worker waits for work as long as there is none, and is left alone.
BROKER_SECONDS = 1.5
# One try: whoever asks has something better to do, and the schedule finds work that lies in the database.
_IMPATIENT = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS, "max_retries": 0}


def connect(database: dict[str, Any], role: str, most: int) -> None:
    """Write into an entry of DATABASES how this role keeps connections, `most` of them.

    Only the threads of the web processes share some; tasks and commands keep one each.
    """
    database["OPTIONS"].pop("pool", None)
    database["CONN_MAX_AGE"] = 0 if role == WEB else 600
    if role == WEB:
        # A connection lives an hour at most, and rests ten minutes at most.
        pool = {"min_size": 1, "max_size": most, "timeout": 10, "max_lifetime": 3600, "max_idle": 600}
        database["OPTIONS"]["pool"] = pool
    # A connection that died with its server is replaced before a page or task meets it.
    database["CONN_HEALTH_CHECKS"] = True


def broker_options(role: str) -> dict[str, Any]:
    return {"visibility_timeout": 600, **({} if role == WORKER else _IMPATIENT)}
