"""Private Postgres and Redis for the whole run, made before Django reads its settings.

This happens at import, as conftests of folders below import models and are loaded before any hook is called.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from orchestrator import env, home
from orchestrator.servers import addresses
from orchestrator.servers.private import PrivateServers

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_cleanup = ExitStack()


def _start() -> None:
    # Compiling the kernels takes far longer than any test, so their cache outlives the run.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(home.kernel_cache()))
    for variable in ("HOST", "PORT", "LIVE_PORT", "LIVE_URL", "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"):
        os.environ.pop(variable, None)
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ[variable] = env.given(f"TEST_{variable}")
    folder = tempfile.mkdtemp(prefix="orchestrator-tests-")
    _cleanup.callback(shutil.rmtree, folder)
    os.environ["ORCHESTRATOR_HOME"] = folder
    _cleanup.enter_context(PrivateServers("the tests", durable=False))
    os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = addresses.database_url(), addresses.redis_url()
    os.environ["DJANGO_SETTINGS_MODULE"] = "orchestrator.settings"


atexit.register(_cleanup.close)
_start()

import django  # noqa: E402  settings are read here, so the servers come first
from django.conf import settings  # noqa: E402

from orchestrator.observability import counted  # noqa: E402

django.setup()
# Pages name static files as they lie in the sources, which no collectstatic has to precede.
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
settings.STATIC_ROOT.mkdir()
# The real one takes a quarter of a second on purpose.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes a core: tests wait for servers, browsers and other processes for a third of their time."""
    return min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """The processes that share the tests set up for themselves what this one did: servers, home, counts."""
    for variable in ("DJANGO_SETTINGS_MODULE", "ORCHESTRATOR_HOME", "PROMETHEUS_MULTIPROC_DIR"):
        os.environ.pop(variable, None)


def pytest_collection_finish() -> None:
    """What was imported and collected is there to the end, and nothing in it is garbage: nobody looks through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_counts_of_the_dead():
    """What processes that a test started have counted nobody reads after it, and each file takes milliseconds."""
    yield
    for path in counted.ended():
        path.unlink(missing_ok=True)


def pytest_unconfigure() -> None:
    _cleanup.close()


def _counted(most, exact, number, connection=None, info=None):
    from django.db import connection as usual

    from orchestrator.benchmarks import Queries

    @contextmanager
    def counting():
        with Queries(connection or usual) as queries:
            yield queries
        if len(queries) != number and (exact or len(queries) > number):
            told = "\n".join(query["sql"] for query in queries)
            pytest.fail(f"{info or ''} {len(queries)} queries, not {most}{number}:\n{told}".strip())

    return counting()


@pytest.fixture
def django_assert_num_queries():
    """In place of the plugin's own, which counts the note of a slow query too: on a busy machine there may be one."""
    return partial(_counted, "", True)


@pytest.fixture
def django_assert_max_num_queries():
    return partial(_counted, "at most ", False)


@pytest.fixture
def redis():
    """The Redis of the tests, empty; empty again for the next test."""
    from django_redis import get_redis_connection

    connection = get_redis_connection("default")
    connection.flushdb()
    yield connection
    connection.flushdb()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of this machine; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: install `chromium` to run the browser tests")
    from playwright.sync_api import sync_playwright

    arguments = CHROMIUM_ARGUMENTS + (["--no-sandbox"] if os.geteuid() == 0 else [])
    # Django takes playwright's event loop in this thread for an asynchronous caller; the tests are not.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A fresh browser tab in a profile of its own."""
    with browser.new_context() as context:
        yield context.new_page()
