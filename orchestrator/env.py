"""Environment variables: the one table of what can be set, and typed readers that fail with a sentence."""

from __future__ import annotations

import os
from typing import NamedTuple


class EnvError(ValueError):
    """A variable holds something its reader cannot use; the message names variable, bound and value."""


class Variable(NamedTuple):
    name: str
    default: str
    help: str


ENV: tuple[Variable, ...] = (
    Variable("ORCHESTRATOR_HOME", "var/ beside manage.py", "Folder for database, Redis, secret key, logs and caches."),
    Variable("DATABASE_URL", "", "postgres://user:password@host:port/name. Empty: the private server is used."),
    Variable("DATABASE_REPLICA_URL", "", "postgres://… of a replica that pages read from. Empty: there is none."),
    Variable("REDIS_URL", "", "redis://:password@host:port/0. Empty: the private server is used."),
    Variable(
        "SERVER_BINARIES", "auto", "Private servers from the machine or wheels: auto (machine first), system, wheels."
    ),
    Variable("SECRET_KEY", "", "Django's secret key. Empty: made once and kept in ORCHESTRATOR_HOME/secret_key."),
    Variable("SECRET_KEY_FALLBACKS", "", "Earlier secret keys, separated by commas: what they sealed can be read."),
    Variable("DEBUG", "0", "1 turns on development mode: debug toolbar, tracebacks in the browser."),
    Variable("HOST", "127.0.0.1", "Address the web server binds to."),
    Variable("PORT", "8000", "Port of the web server, 1 to 65535."),
    Variable("LIVE_PORT", "PORT + 1", "Port of the event stream, 1 to 65535."),
    Variable("LIVE_URL", "", "Public address of the event stream when a proxy serves it, for example /live/."),
    Variable("ALLOWED_HOSTS", "", "Further host names the site answers to, separated by commas."),
    Variable("CSRF_TRUSTED_ORIGINS", "", "Origins such as https://bots.example.org, separated by commas."),
    Variable("DEMO_PASSWORD", "", "Password of the demo user. Empty: a random one is made and printed."),
    Variable("SIMULATED_SPEED", "1", "How many simulated minutes pass in a minute; above 1 the clock starts back."),
    Variable("STREAM_MARKETS", "0", "1 lets make run follow the exchanges' streams too, a process of about 200 MB."),
    Variable("DB_POOL_MAX", "8", "Most database connections a web process may hold, 1 to 100."),
    Variable("SILK_PERCENT", "0", "How many of a hundred requests of staff django-silk records; 0 leaves it out."),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Address of an OpenTelemetry collector, http://host:4318, that traces are sent to. Empty: none are made.",
    ),
    Variable("METRICS_TOKEN", "", "Who sends it as a bearer token may read /metrics. Empty: staff alone may."),
    Variable("API_READS_PER_MINUTE", "600", "Reads of the API that one user has a minute, 1 to 1000000."),
    Variable("API_WRITES_PER_MINUTE", "60", "Changes through the API that one user has a minute, 1 to 1000000."),
    Variable(
        "ALLOW_LOCAL_NOTIFICATIONS", "0", "1 lets notifications go to private addresses, which users could probe."
    ),
    Variable("BACKTESTS_KEPT_DAYS", "180", "Days that a finished backtest is kept, 0 to 36500; 0 keeps all."),
    Variable("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR."),
    Variable("TEST_DATABASE_URL", "", "Postgres server for the tests. Empty: a private one in a temporary folder."),
    Variable("TEST_REDIS_URL", "", "Redis server for the tests. Empty: a private one in a temporary folder."),
)
_DEFAULTS = {variable.name: variable.default for variable in ENV}


def text(name: str) -> str:
    """Value of a variable of the table; its default when unset or empty."""
    return os.environ.get(name, "").strip() or _DEFAULTS[name]


def given(name: str) -> str:
    """Value of a variable of the table as set by the user; "" when unset, whatever its default."""
    return os.environ.get(name, "").strip() if name in _DEFAULTS else ""


def boolean(name: str) -> bool:
    value = text(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise EnvError(f"{name} must be 1 or 0, not {value!r}.")


def integer(name: str, lowest: int, highest: int, default: int | None = None) -> int:
    value = given(name) or (str(default) if default is not None else text(name))
    try:
        number = int(value)
    except ValueError:
        raise EnvError(f"{name} must be a whole number from {lowest} to {highest}, not {value!r}.") from None
    if not lowest <= number <= highest:
        raise EnvError(f"{name} must be from {lowest} to {highest}, not {number}.")
    return number


def number(name: str, lowest: float, highest: float) -> float:
    value = text(name)
    try:
        result = float(value)
    except ValueError:
        raise EnvError(f"{name} must be a number from {lowest:g} to {highest:g}, not {value!r}.") from None
    if not lowest <= result <= highest:
        raise EnvError(f"{name} must be from {lowest:g} to {highest:g}, not {result:g}.")
    return result


def names(name: str) -> list[str]:
    return [part.strip() for part in text(name).split(",") if part.strip()]
