"""A process that has loaded everything once and becomes the others by forking: they share its memory.

`python -m orchestrator.preloaded DESCRIPTOR PROGRAMS`, by orchestrator/servers/forks.py. It loads Django, the apps, the
pages, the tasks and the machine code of the engine, then waits on its end of a socket for names of programs. Each is
run as its command says, as if it had been started by it, in a process that leads its own session, logs to its own file
and ends with this one. What has ended is told with its status.

Nothing that a fork would break may be there by then: no thread, no connection to a database or to Redis.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import sys
import threading
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path

import django
from django.conf import settings
from django.db import connections
from django.urls import get_resolver
from django.utils.module_loading import import_string

from orchestrator import roles
from orchestrator.celery import app
from orchestrator.servers.forks import Plan
from orchestrator.servers.privileges import end_with_parent

# What the first program, the web server, has no use for: loaded once it runs, for all that follow.
LATER = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "dashboard.live",
    "kombu.transport.redis",
    "orchestrator.beat",
)
_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46  # in /proc/self/stat, counted from the state: proc(5)


def main() -> None:
    channel = Connection(int(sys.argv[1]))
    plans = {name: Plan(**plan) for name, plan in json.loads(sys.argv[2]).items()}
    _show(["orchestrator-preloaded"])
    # Next to nothing of what is loaded is garbage, and to search it for some takes a quarter of the time.
    gc.disable()
    load()
    plan = _serve(channel, plans)
    if plan:
        _run(plan)


def load() -> None:
    """Load what the processes share."""
    django.setup()
    get_resolver().url_patterns  # noqa: B018  the views with it
    app.loader.import_default_modules()
    import_string(settings.WARM_UP)()
    _freeze()


def _freeze() -> None:
    """Leave what is loaded out of all searches for garbage in the forks, which would copy every page of it.

    Raises RuntimeError where something was begun that no fork survives.
    """
    begun = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    begun += [f"connection {one.alias}" for one in connections.all(initialized_only=True) if one.connection]
    if begun:
        raise RuntimeError(f"Loading must begin nothing, and it began {', '.join(begun)}.")
    gc.freeze()


@cache
def _load_later() -> None:
    for module in LATER:
        import_module(module)
    _freeze()


def _serve(channel: Connection, plans: dict[str, Plan]) -> Plan | None:
    """Fork on demand: a plan in the process that is to follow it, None when nobody is there to ask any more."""
    living: dict[int, int] = {}
    has_forked = False
    while True:
        for ready in wait([channel, *living]):
            if isinstance(ready, int):
                pid = living.pop(ready)
                os.close(ready)
                channel.send(("ended", pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                continue
            try:
                plan = plans[channel.recv()]
            except EOFError:
                return None
            if has_forked:
                _load_later()
            has_forked = True
            parent, pid = os.getpid(), os.fork()
            if pid == 0:
                for descriptor in living:
                    os.close(descriptor)
                _leave(parent, plan, channel)
                return plan
            living[os.pidfd_open(pid)] = pid


def _leave(parent: int, plan: Plan, channel: Connection) -> None:
    """Be a process of its own, and say so."""
    os.setsid()
    end_with_parent(parent, plan.death_signal)
    log = os.open(plan.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    channel.send(("started", os.getpid(), 0))
    channel.close()


def _run(plan: Plan) -> None:
    """What the command would do in a new process: `python -m MODULE …` or `python FILE …`."""
    gc.enable()
    os.environ.update(plan.environment)
    _take_on(plan.environment.get("ORCHESTRATOR_PROCESS", ""))
    _show(plan.command)
    _, *arguments = plan.command
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


def _take_on(role: str) -> None:
    """Exchange what the settings say for a process without a role by what they would say for this one."""
    for database in settings.DATABASES.values():
        roles.connect(database, role, settings.DB_POOL_MAX)
    settings.PROCESS = role
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = app.conf.broker_transport_options = roles.broker_options(role)


def _show(command: list[str]) -> None:
    """Have `ps` show this command, in the place of the arguments this process was started with.

    setproctitle would do that too, and write over the environment behind it, by which a home's processes are found.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
    shown = "".join(f"{part}\0" for part in command).encode()[: end - begin - 1]
    ctypes.memmove(begin, shown.ljust(end - begin, b"\0"), end - begin)


if __name__ == "__main__":
    main()
