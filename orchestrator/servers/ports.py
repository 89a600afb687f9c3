"""Ports: free ones for the private servers, kept from start to start, and whether one is taken."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path

from orchestrator.home import write_private

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could bind host:port now. Raises OSError when the host is not one of this machine."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do, so that connections of a server just stopped are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            # Another process may listen with SO_REUSEPORT or on the wildcard address: only listen() tells.
            probe.listen(1)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def any_free() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def remembered(file: Path, name: str) -> int:
    """The port written down for `name`, another free one (then written down) when it is taken or there is none."""
    ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    port = ports.get(name, 0)
    if port and is_free(port):
        return port
    ports[name] = any_free()
    write_private(file, json.dumps(ports))
    return ports[name]
