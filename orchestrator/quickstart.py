"""Everything on this machine, under one process: servers, set-up, web, event stream, worker, beat.

Loads the settings but none of the apps, which would cost the start a second and this process its memory.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from orchestrator import home
from orchestrator.servers import addresses, children, ports
from orchestrator.servers.errors import ServerError
from orchestrator.servers.forks import Preloaded
from orchestrator.servers.lock import Lock
from orchestrator.servers.private import PrivateServers
from orchestrator.servers.programs import plans, prepare, programs
from orchestrator.servers.supervisor import (
    MARK,
    POLL_SECONDS,
    Running,
    Say,
    Stopped,
    Supervisor,
    end_left_over,
    ignore_signals,
    stop_on_signals,
)

WEB_SECONDS = 60
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def run(say: Say) -> None:
    """Start everything and keep it running until a signal says stop. Raises ServerError, EnvError."""
    stop_on_signals()
    lock = Lock(home.folder() / "run.lock")
    try:
        if not lock.acquire("make run"):
            holder = lock.holder()
            raise ServerError(
                f"It runs already in {home.home()} (process {holder.pid if holder else 'unknown'}): stop that "
                "first, or set ORCHESTRATOR_HOME and PORT for a second one."
            )
        end_left_over()
        _check_ports()
        _supervise(say)
    except Stopped:
        say("Stopped.")
    finally:
        lock.release()


def _supervise(say: Say) -> None:
    _forget_counts()
    started = programs(settings.HOST, settings.PORT, settings.LIVE_PORT, settings.STREAM_MARKETS)
    preloaded = Preloaded(plans([*started, prepare()], home.folder("logs")))

    def launched(database_url: str, redis_url: str) -> None:
        """The servers take as long to answer as the programs to load. A first start compiles before it loads."""
        environment = _environment(database_url, redis_url)
        if _is_set_up(environment):
            preloaded.start(environment)

    with (
        preloaded,
        _servers(launched) as (servers, environment),
        Supervisor(started, environment, say, preloaded) as supervisor,
    ):
        _bring_up(supervisor, preloaded, environment, say)
        while True:
            time.sleep(POLL_SECONDS)
            supervisor.look()
            for name in servers.revive() if servers else []:
                say(f"{name} ended and was started again: {home.folder('logs')}")


def _forget_counts() -> None:
    """Files of processes that are no more: what is counted is counted from a start on."""
    for path in home.folder("metrics").glob("*.db"):
        path.unlink()


def _bring_up(supervisor: Supervisor, preloaded: Preloaded, environment: dict[str, str], say: Say) -> None:
    """Set up and start, web first: starting all at once, the page somebody waits for would take twice as long."""
    # When nothing changed since the last start the set-up only makes sure of that, and can come after the first page.
    is_set_up = _is_set_up(environment)
    if not is_set_up:
        _prepare(environment)
        preloaded.start(environment)
    # Again: a first set-up takes a minute, and somebody else's page would pass for ours.
    _check_ports()
    supervisor.start("web")
    _wait_for_web(supervisor.running[0])
    say(f"Ready: {_address()}   (Ctrl-C stops everything; logs are in {home.folder('logs')})")
    if is_set_up:
        _make_sure(preloaded, environment, say)
    _stamp(environment).set()
    supervisor.start()


def _stamp(environment: dict[str, str]) -> home.Stamp:
    """Set when everything was set up for these sources, this database and these settings."""
    sources = f"{home.sources_digest()} {home.kernel_cache().name}"
    return home.Stamp(
        "quickstart", f"{sources} {environment['DATABASE_URL']} {settings.DEBUG} {bool(settings.SILK_PERCENT)}"
    )


def _is_set_up(environment: dict[str, str]) -> bool:
    return _stamp(environment).is_set() and Path(os.environ["NUMBA_CACHE_DIR"]).is_dir()


@contextmanager
def _servers(launched: Callable[[str, str], None]) -> Iterator[tuple[PrivateServers | None, dict[str, str]]]:
    """The servers to use and the environment that leads to them; those of `services start` when they run."""
    holder = addresses.lock().holder()
    if holder:
        launched(addresses.database_url(), addresses.redis_url())
        yield None, _environment(addresses.database_url(), addresses.redis_url())
        return
    servers = PrivateServers("make run", launched=launched)
    try:
        with servers:
            yield servers, _environment(addresses.database_url(), addresses.redis_url())
    finally:
        ignore_signals()


def _make_sure(preloaded: Preloaded, environment: dict[str, str], say: Say) -> None:
    """The set-up in a process that has loaded already; what it has to tell is told at its end."""
    log = home.folder("logs") / "prepare.log"
    log.unlink(missing_ok=True)
    child = preloaded.fork("prepare")
    if child is None:
        _prepare(environment)
        return
    try:
        status = child.wait()
    finally:
        children.kill_group(child.pid)
    for line in log.read_text().splitlines():
        say(line)
    if status != 0:
        raise ServerError("The set-up failed, for the reason above.")


def _prepare(environment: dict[str, str]) -> None:
    """`manage.py prepare`, in a process of its own, as this one read its settings before there was a database."""
    child = subprocess.Popen(prepare().command, cwd=home.PROJECT, env=environment, process_group=0)
    try:
        if child.wait() != 0:
            raise ServerError("The set-up failed, for the reason above.")
    finally:
        children.kill_group(child.pid)
        child.wait()


def _environment(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "ORCHESTRATOR_HOME": str(home.home()),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PYTHONUNBUFFERED": "1",
        MARK: str(home.home()),
    }


def _check_ports() -> None:
    if settings.PORT == settings.LIVE_PORT:
        raise ServerError(f"LIVE_PORT must differ from PORT, both are {settings.PORT}.")
    for name, port in (("PORT", settings.PORT), ("LIVE_PORT", settings.LIVE_PORT)):
        try:
            free = ports.is_free(port, settings.HOST)
        except OSError as error:
            raise ServerError(f"HOST {settings.HOST!r} cannot be used: {error.strerror}.") from None
        if not free:
            raise ServerError(
                f"Port {port} on {settings.HOST} is taken: stop what uses it or set {name}, for example "
                f"`{name}={port + 10 if port < 65_000 else 8010} make run`."
            )


def _wait_for_web(web: Running) -> None:
    deadline = time.monotonic() + WEB_SECONDS
    while not _answers():
        if web.child is None or web.child.poll() is not None or time.monotonic() > deadline:
            raise ServerError(f"The web server did not start, see {web.log.path}: {children.last_line(web.log.path)}")
        time.sleep(0.02)


def _answers() -> bool:
    """Whether a page comes back without a server error. A page also makes the processes load what pages need."""
    connection = http.client.HTTPConnection(_reachable_host(), settings.PORT, timeout=WEB_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable_host() -> str:
    return EVERYWHERE.get(settings.HOST, settings.HOST)


def _address() -> str:
    host = _reachable_host()
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}/"
