"""The engine's machine code, compiled before anybody waits for it."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO

import numba
import pytest
from django.core.management import call_command

from bots.kinds import KINDS
from orchestrator import home


def test_kernels_are_warmed_for_every_kind():
    out = StringIO()
    call_command("warm_kernels", stdout=out)
    assert out.getvalue().startswith(f"{len(KINDS)} kinds compiled in ")


MEASURE = """
import django; django.setup()
import numpy as np
from numba.core import event
from bots.engine.run import Engine
from bots.engine.simulate import step
from bots.engine.types import TRADE, WORST, Terms
from bots.kinds import KINDS
from bots.performance import Curve, Trades, curve, metrics, trades
from bots.warming import BAR
from orchestrator import warming

warming.begin(after=0).join()
with event.install_recorder("numba:compile") as compiled:
    for kind in KINDS.values():
        if kind.observe is None:
            terms = Terms(tick=0.01, lot=0.001, margin=kind.margin)
            step(Engine.new(kind, kind.validate(kind.example, terms, 5000.0), terms, 5000.0, path=WORST), BAR)
    metrics(Curve(np.arange(2), np.ones(2), 1.0, 60, 1.0, 1.0), Trades.of(np.zeros(2, TRADE)))
missed = sum(sum(found.stats.cache_misses.values()) for found in (curve._scan, trades._settle, trades._count))
print(missed, len(compiled.buffer))
"""


def told_after_warming(script):
    """What a process of its own prints that finds the machine code on disk."""
    call_command("warm_kernels", stdout=StringIO())
    return subprocess.run(
        [sys.executable, "-c", script], cwd=home.PROJECT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")
def test_after_that_a_process_loads_it_all_at_its_start_and_compiles_nothing():
    assert told_after_warming(MEASURE) == "0 0\n"


PARTS = """
from numba.core import event
from bots import warming
with event.install_recorder("numba:compile") as compiled:
    for number in range(len(warming.parts())):
        warming.compile_part(number)
print(number, len(compiled.buffer))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")
def test_what_is_compiled_part_by_part_is_what_the_engine_asks_for():
    """Of two keys the cache would hold everything twice, and the first start compile it twice."""
    assert told_after_warming(PARTS) == "8 0\n"
