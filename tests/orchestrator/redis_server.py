"""A Redis of one test, which it may stop, kill and start again."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from orchestrator.servers import ports
from orchestrator.servers.redis import Redis


class Server(Redis):
    @classmethod
    @contextmanager
    def running(cls, folder):
        """One that listens on a port of its own and has its data in the folder."""
        server = cls(folder / "redis", folder / "redis.log", ports.any_free(), "secret", durable=False)
        server.start()
        yield server
        server.stop()

    def start(self):
        self.launch()
        self.wait_ready()

    def kill(self):
        """Returns what brings it back."""
        self.child.kill()
        self.child.wait()
        return self.start

    def hang(self):
        """As kill."""
        os.kill(self.child.pid, signal.SIGSTOP)
        return lambda: os.kill(self.child.pid, signal.SIGCONT)


FAULTS = (Server.kill, Server.hang)
