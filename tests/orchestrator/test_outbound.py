from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator import outbound
from orchestrator.home import PROJECT

PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip
NEVER = [
    "169.254.169.254",
    "fe80::1%eth0",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "x.org",
    "",
]


def test_private_addresses_are_for_those_who_allow_them_and_some_for_nobody():
    assert {host: outbound.is_allowed(host, local=False) for host in PUBLIC + PRIVATE + NEVER} == {
        **dict.fromkeys(PUBLIC, True),
        **dict.fromkeys(PRIVATE + NEVER, False),
    }
    assert {host: outbound.is_allowed(host, local=True) for host in PUBLIC + PRIVATE + NEVER} == {
        **dict.fromkeys(PUBLIC + PRIVATE, True),
        **dict.fromkeys(NEVER, False),
    }


# What a library may do in a confined process, whatever it was told by a user; a listener is there to be reached.
TRIALS = """
import json, os, socket, subprocess, sys
from orchestrator import outbound
listener = socket.create_server(("127.0.0.1", 0))
path = os.path.join(sys.argv[2], "socket")
unix = socket.socket(socket.AF_UNIX); unix.bind(path); unix.listen()
port = listener.getsockname()[1]
outbound.confine(local=sys.argv[1] == "local")
def name(): socket.create_connection(("localhost", port), 5).close()
def number(): socket.create_connection(("127.0.0.1", port), 5).close()
def mapped():
    with socket.socket(socket.AF_INET6) as one: one.connect(("::ffff:127.0.0.1", port))
def datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as one: one.sendto(b"x", ("127.0.0.1", port))
def file():
    with socket.socket(socket.AF_UNIX) as one: one.connect(path)
def program(): subprocess.run(["true"])
def shell(): os.system("true")
def requested():
    import requests
    requests.post(f"http://127.0.0.1:{port}/", timeout=0.2)
done = {}
for trial in (name, number, mapped, datagram, file, program, shell, requested):
    try: trial(); done[trial.__name__] = "done"
    except Exception as error:
        refused = isinstance(error, outbound.Forbidden) or "not a public" in str(error)
        done[trial.__name__] = "refused" if refused else type(error).__name__
print(json.dumps(done))
"""


@pytest.mark.parametrize(
    ("mode", "reached"),
    [
        ("public", {}),
        ("local", {"name": "done", "number": "done", "mapped": "done", "datagram": "done", "requested": "ReadTimeout"}),
    ],
)
def test_a_confined_process_reaches_what_it_may_and_starts_nothing(tmp_path, mode, reached):
    command = [sys.executable, "-c", TRIALS, mode, str(tmp_path)]
    done = json.loads(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)
    names = ("name", "number", "mapped", "datagram", "file", "program", "shell", "requested")
    assert done == dict.fromkeys(names, "refused") | reached
