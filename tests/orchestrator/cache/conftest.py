from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import pytest
import redis as redis_client

from orchestrator.cache import Cache
from orchestrator.servers import ports
from orchestrator.servers.redis import Redis


class Server(Redis):
    """A Redis of one test, which it may stop, kill and start again."""

    @contextmanager
    def hanging(self):
        os.kill(self.child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.child.pid, signal.SIGCONT)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def start(self):
        self.launch()
        self.wait_ready()


@pytest.fixture
def server(tmp_path):
    own = Server(tmp_path / "redis", tmp_path / "redis.log", ports.any_free(), "secret", durable=False)
    own.start()
    yield own
    own.stop()


@pytest.fixture
def url(redis):
    """Of the Redis of all tests, empty."""
    return os.environ["REDIS_URL"]


@pytest.fixture
def cache(url):
    return Cache(url)


@pytest.fixture
def other(url):
    """The cache of another process, as far as the cache can tell."""
    return Cache(url)


@pytest.fixture
def client(server):
    with redis_client.Redis.from_url(server.url) as connection:
        yield connection
