"""The rules of docs/architecture.md, read off the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from orchestrator.home import KERNEL_SOURCES, PROJECT

# Each package may import itself and those after it.
ARROWS = ("dashboard", "bots", "markets", "orchestrator")
PURE = (
    "markets/series.py",
    "markets/forming.py",
    "markets/indicators.py",
    "markets/formulas.py",
    "markets/blocks.py",
    "markets/packing.py",
    "markets/precision.py",
    "markets/quality.py",
    "bots/engine/*.py",
    "bots/kinds/**/*.py",
    "bots/forecasts/*.py",
    "bots/rules/*.py",
    "bots/risk.py",
    "bots/limits.py",
    "bots/exactness.py",
    "bots/performance/*.py",
    "dashboard/charts.py",
)
IMPURE = {
    "django", "celery", "redis", "psycopg", "ccxt", "os", "io", "socket", "subprocess", "threading", "asyncio", "time",
    "datetime", "pathlib", "urllib", "http", "requests", "random", "secrets", "logging", "orchestrator",
}  # fmt: skip
BANNED = re.compile(r"(^|_)(manager|helper|util|handler|base|misc|processor)s?(_|$)", re.IGNORECASE)
# Names that Django looks for.
REQUIRED_BY_DJANGO = {"handle"}
LONGEST_MODULE, LONGEST_TEMPLATE = 500, 150


def relative(path):
    return str(path.relative_to(PROJECT))


SOURCES = sorted(path for package in (*ARROWS, "tests") for path in (PROJECT / package).rglob("*.py"))
PRODUCT = [path for path in SOURCES if relative(path).split("/")[0] in ARROWS]
TEMPLATES = sorted((PROJECT / "templates").rglob("*.*"))


def imports(path):
    """Dotted names of everything a module imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path):
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_imports_follow_the_arrows(path):
    package = relative(path).split("/")[0]
    against = set(ARROWS[: ARROWS.index(package)]) | {"tests"}
    assert not roots(path) & against


@pytest.mark.parametrize("path", [path for pattern in PURE for path in sorted(PROJECT.glob(pattern))], ids=relative)
def test_pure_modules_import_no_framework_no_clock_and_do_no_io(path):
    assert not roots(path) & IMPURE
    called = {node.func.id for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    assert not called & {"open", "print", "input"}


def test_the_gateway_alone_imports_ccxt():
    importers = {relative(path) for path in PRODUCT if "ccxt" in roots(path)}
    assert {name for name in importers if not re.fullmatch(r"markets/gateway\w*(/\w+)?\.py", name)} == set()


def test_the_cache_of_kernels_is_named_by_all_their_sources():
    """Benchmarks compile for themselves alone; all others call each other across files, which numba does not see."""
    compiled = {
        path
        for path in PRODUCT
        if "benchmark" not in relative(path) and {"numba", "bots.engine.kernel"} & {*roots(path), *imports(path)}
    }
    assert compiled - {path for pattern in KERNEL_SOURCES for path in PROJECT.glob(pattern)} == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parent.name != "migrations"], ids=relative)
def test_no_module_is_too_long(path):
    assert len(path.read_text().splitlines()) < LONGEST_MODULE


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_names_say_what_things_are(path):
    defined = {node.name for node in ast.walk(ast.parse(path.read_text()))
               if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}  # fmt: skip
    words = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name) for name in {path.stem, *defined}}
    assert {name for name in words if BANNED.search(name)} == set()


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_no_signals_and_no_hidden_save(path):
    tree = ast.parse(path.read_text())
    assert not [name for name in imports(path) if name.startswith("django.db.models.signals")]
    if "models" in relative(path):
        assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "save"]


def test_templates_are_short():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in TEMPLATES}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_TEMPLATE} == {}


def test_templates_load_nothing_from_elsewhere():
    assert {relative(path): found for path in TEMPLATES if (found := foreign(path.read_text()))} == {}


def foreign(text):
    return re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)


def test_an_address_elsewhere_is_noticed():
    assert foreign('<script defer src="https://cdn.example.org/a.js">')
    assert not foreign('<script src="/static/a.js"></script> <a href="https://example.org">')


def test_the_sources_are_found():
    assert {relative(path).split("/")[0] for path in SOURCES} == {*ARROWS, "tests"}
    assert Path(__file__) in SOURCES
