"""Programs that are forked from one process that has loaded everything, by the real process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from orchestrator import home, preloaded
from orchestrator.servers import forks
from orchestrator.servers.forks import Plan, Preloaded
from tests.orchestrator.processes import until

TELL = (
    "import os, sys; from django.conf import settings; from django.db import connection; "
    "print(sys.argv[1:], os.environ['ORCHESTRATOR_PROCESS'], os.getsid(0) == os.getpid(), "
    "'numba' in sys.modules, connection.settings_dict['OPTIONS'].get('pool', {}).get('max_size'), "
    "settings.CELERY_BROKER_TRANSPORT_OPTIONS.get('max_retries'))"
)


def plan(tmp_path, name, text, role, *arguments):
    script = tmp_path / f"{name}.py"
    script.write_text(text)
    command = [sys.executable, str(script), *arguments]
    return Plan(command, {"ORCHESTRATOR_PROCESS": role}, str(tmp_path / f"{name}.log"), signal.SIGKILL)


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Starts programs: a web process and a worker that tell what they find, one that fails, one that stays."""
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    stay = "import time\nprint('here', flush=True)\ntime.sleep(600)"
    plans = {
        "web": plan(tmp_path, "web", TELL, "granian", "--port", "1"),
        "worker": plan(tmp_path, "worker", TELL, "worker"),
        "module": Plan([sys.executable, "-m", "json.tool", "--help"], {}, str(tmp_path / "module.log"), 9),
        "failing": plan(tmp_path, "failing", "import sys; sys.exit(3)", ""),
        "staying": plan(tmp_path, "staying", stay, "", "shown"),
    }
    with Preloaded(plans) as process:
        process.start({**os.environ, "DB_POOL_MAX": "7"})
        yield process


def test_a_fork_is_what_its_command_would_be_and_its_end_is_told(loaded, tmp_path, monkeypatch):
    ending = [loaded.fork(name) for name in ("web", "worker", "module", "failing")]
    assert [fork.wait(30) for fork in ending] == [0, 0, 0, 3]
    assert (tmp_path / "web.log").read_text() == "['--port', '1'] granian True True 7 0\n"
    assert (tmp_path / "worker.log").read_text() == "[] worker True True None None\n"
    assert (tmp_path / "module.log").read_text().startswith("usage: python -m json.tool")

    staying, log = loaded.fork("staying"), tmp_path / "staying.log"
    until(lambda: log.read_text() == "here\n", 20, log.read_text)
    shown = Path(f"/proc/{staying.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert shown == [os.fsencode(part) for part in (sys.executable, tmp_path / "staying.py", "shown")]
    assert staying.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        staying.wait(0.01)
    staying.send_signal(signal.SIGTERM)
    assert staying.wait(10) == -signal.SIGTERM

    again = loaded.fork("staying")
    os.kill(parent_of(again), signal.SIGKILL)
    assert again.wait(10) == -signal.SIGKILL, "nobody would hear of its end any more"
    until(lambda: not Path(f"/proc/{again.pid}").exists(), 10, "its parent's death was to end it")
    again = loaded.fork("staying")
    assert again, "it loads again"

    monkeypatch.setattr(forks, "MOST_LOSSES", 1)
    os.kill(parent_of(again), signal.SIGKILL)
    assert again.wait(10) == -signal.SIGKILL
    assert loaded.fork("staying") is None, "and not for ever"


def parent_of(fork):
    return int(Path(f"/proc/{fork.pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_is_loaded_later_is_ours_or_comes_with_an_installation():
    """A module that only happens to lie here would end every program of who installs anew, again and again."""
    required = set(re.findall(r"^([\w-]+)==", (home.PROJECT / "requirements.txt").read_text(), re.MULTILINE))
    found = packages_distributions()
    for module in preloaded.LATER:
        package = module.partition(".")[0]
        assert (home.PROJECT / package).is_dir() or {name.lower() for name in found[package]} & required, module


WITHOUT_PIDFD = """
import ctypes, struct
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 434), (6, 0, 0, 0x50026), (6, 0, 0, 0x7FFF0000)]  # 434 -> ENOSYS, else as ever
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
class Filter(ctypes.Structure):
    _fields_ = [("steps", ctypes.c_ushort), ("text", ctypes.c_void_p)]
libc, rules = ctypes.CDLL(None), Filter(4, ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, ctypes.byref(rules), 0, 0) == 0
"""


@pytest.mark.parametrize(("before", "possible"), [("", True), (WITHOUT_PIDFD, False)], ids=["as here", "old kernel"])
def test_where_no_process_can_be_watched_none_is_forked(before, possible):
    text = f"{before}\nfrom orchestrator.servers import forks\nprint(forks.POSSIBLE)"
    said = subprocess.run([sys.executable, "-c", text], cwd=home.PROJECT, capture_output=True, text=True, check=True)
    assert said.stdout == f"{possible}\n"


def test_where_nothing_can_be_loaded_each_program_is_left_to_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    with Preloaded({}) as process:
        process.start({**os.environ, "LOG_LEVEL": "LOUD"})
        assert process.fork("web") is None
        assert process.fork("web") is None
    assert "ValueError" in (home.folder("logs") / "preloaded.log").read_text()


def test_loading_refuses_to_be_forked_with_a_thread():
    with pytest.raises(RuntimeError, match=r"Loading must begin nothing, and it began .*beside"):
        beside(preloaded.load)


def beside(work):
    """Call this while a thread runs."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, name="beside")
    thread.start()
    try:
        work()
    finally:
        ended.set()
        thread.join()
