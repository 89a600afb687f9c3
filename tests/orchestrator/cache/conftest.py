from __future__ import annotations

import os

import pytest
import redis as redis_client

from orchestrator.cache import Cache
from tests.orchestrator.redis_server import Server


@pytest.fixture
def server(tmp_path):
    with Server.running(tmp_path) as own:
        yield own


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
def raw(server):
    with redis_client.Redis.from_url(server.url) as connection:
        yield connection
