"""What a process remembers of the pages it found: until when, and how many."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest

from orchestrator import page_memory
from orchestrator.page_memory import Memory, Moment, Page


def test_a_page_is_remembered_until_somebody_is_to_renew_it_by_either_clock():
    entry = b'5000000 all\n["home","200 OK","W/1",[]]\npage'
    page = Page.of(entry, b"5200000", Moment(steady=50.0, wall=900.0))
    memory = Memory()
    memory.keep(("/",), page)
    assert page.born == pytest.approx((49.8, 899.8))
    for steady, wall, found in [(50.3, 900.3, page), (50.5, 900.3, None), (50.3, 960.0, None), (50.3, 100.0, page)]:
        assert memory.get(("/",), Moment(steady, wall), 600) is found
    assert memory.get(("/bots/",), Moment(50.0, 900.0), 600) is None


def test_the_memory_for_pages_is_bounded(monkeypatch):
    monkeypatch.setattr(page_memory, "ENTRY_BYTES", 0)
    monkeypatch.setattr(page_memory, "MOST_BYTES", 12)
    memory, now = Memory(), Moment(1.0, 1.0)
    for name in ("a", "b", "a", "c"):
        memory.keep((name,), Page.of(b'1 all\n["home","200 OK","W/1",[]]\nbytes', b"1", now))
    assert [name for name in "abc" if memory.get((name,), now, 1)] == ["a", "c"]


def test_small_pages_of_long_addresses_take_no_more_memory_than_large_ones(monkeypatch):
    monkeypatch.setattr(page_memory, "MOST_BYTES", 400_000)
    head = orjson.dumps(["home", "200 OK", "W/1", [[f"Header-{number}", "value " * 5] for number in range(12)]])
    memory, now = Memory(), Moment(1.0, 1.0)
    tracemalloc.start()
    try:
        for number in range(1_000):
            memory.keep((f"{number:0>3000}", None), Page.of(b"1 all\n%b\nsmall" % head, b"1", now))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory.get((f"{999:0>3000}", None), now, 1)
    assert taken < 1.5 * 400_000
