"""The rules of docs/architecture.md, read off the sources."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

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
LONGEST_MODULE, LONGEST_TEMPLATE, LONGEST_LINE = 500, 150, 150


def relative(path):
    return str(path.relative_to(PROJECT))


SOURCES = sorted(path for package in (*ARROWS, "tests") for path in (PROJECT / package).rglob("*.py"))
PRODUCT = [path for path in SOURCES if relative(path).split("/")[0] in ARROWS]
TEMPLATES = sorted((PROJECT / "templates").rglob("*.*"))


@cache
def parsed(path):
    return ast.parse(path.read_text())


@cache
def imports(path):
    """Dotted names of everything a module imports, at its top or inside its functions."""
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def roots(path):
    return {name.split(".")[0] for name in imports(path)}


def offenders(paths, faults):
    """{module: what is wrong with it} of the modules that have a fault."""
    return {relative(path): found for path in paths if (found := faults(path))}


def test_imports_follow_the_arrows():
    def against(path):
        return roots(path) & {*ARROWS[: ARROWS.index(relative(path).split("/")[0])], "tests"}

    assert offenders(PRODUCT, against) == {}


def test_pure_modules_import_no_framework_no_clock_and_do_no_io():
    def called(path):
        nodes = ast.walk(parsed(path))
        return {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}

    pure = [path for pattern in PURE for path in sorted(PROJECT.glob(pattern))]
    assert len(pure) > len(PURE)
    assert offenders(pure, lambda path: roots(path) & IMPURE) == {}
    assert offenders(pure, lambda path: called(path) & {"open", "print", "input"}) == {}


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


def test_no_module_is_too_long():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in SOURCES if not is_migration(path)}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_MODULE} == {}


def is_migration(path):
    return path.parent.name == "migrations"


def test_names_say_what_things_are():
    def banned(path):
        definitions = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        defined = {node.name for node in ast.walk(parsed(path)) if isinstance(node, definitions)}
        words = {re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name) for name in {path.stem, *defined}}
        return {name for name in words if BANNED.search(name)}

    assert offenders(PRODUCT, banned) == {}


def test_no_signals_and_no_hidden_save():
    def signals(path):
        return [name for name in imports(path) if name.startswith("django.db.models.signals")]

    def saves(path):
        nodes = ast.walk(parsed(path)) if "models" in relative(path) else ()
        return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "save"]

    assert offenders(PRODUCT, signals) == {}
    assert offenders(PRODUCT, saves) == {}


def test_templates_are_short():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in TEMPLATES}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_TEMPLATE} == {}


def test_templates_have_lines_that_can_be_read():
    long = {path: [line for line in path.read_text().splitlines() if len(line) > LONGEST_LINE] for path in TEMPLATES}
    assert {relative(path): lines for path, lines in long.items() if lines} == {}


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
