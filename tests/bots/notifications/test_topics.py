"""The topics know every event that the product tells."""

from __future__ import annotations

import ast

from bots.kinds import KINDS
from bots.notifications import topics
from bots.records import NOTE_CODES
from orchestrator.home import PROJECT

LEVELS = {"INFO", "WARNING", "ERROR"}


def told_codes():
    """Codes of events, as the sources have them: code="…", and (level, "code", …)."""
    for package in ("bots", "dashboard"):
        for path in (PROJECT / package).rglob("*.py"):
            if "migrations" in path.parts or "benchmarks" in path.parts or path.name in ("load_rows.py", "demo.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Event":
                    values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                elif isinstance(node, ast.Tuple) and len(node.elts) == 4 and is_level(node.elts[0]):
                    values = [node.elts[1]]
                else:
                    continue
                yield from (value.value for value in values if isinstance(value, ast.Constant))


def is_level(node):
    return isinstance(node, ast.Attribute) and node.attr in LEVELS


def test_each_event_has_a_topic_of_its_own():
    known = [code for topic in topics.TOPICS.values() for code in topic.codes]
    assert len(known) == len(set(known))
    found = set(told_codes()) | set(NOTE_CODES.values())
    assert {"failed", "refused", "trade", "gap", "rejected"} <= found
    assert found - set(known) == set()


def test_exits_are_named_as_the_kinds_name_them():
    tags = {tag for kind in KINDS.values() for tag in kind.tags}
    assert set(topics.EXIT_TAGS) - tags == set()


def test_the_expression_needs_no_escapes():
    names = [*topics.TOPICS, *topics.EXIT_TAGS, *(code for topic in topics.TOPICS.values() for code in topic.codes)]
    assert [name for name in names if not name.replace("_", "").replace(" ", "").replace("-", "").isalpha()] == []
