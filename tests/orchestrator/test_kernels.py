"""numba's cache, filled by several processes at once."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import pytest

from orchestrator import home, kernels
from tests.orchestrator.small_kernels import compile_part

TOLD = """
from tests.orchestrator.small_kernels import doubled, tripled
print(doubled(1), tripled(1), sum(sum(one.stats.cache_hits.values()) for one in (doubled, tripled)))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="needs compiled code")
def test_what_several_processes_compiled_is_found_by_the_next_one(tmp_path):
    cache = tmp_path / "kernels" / "digest"
    kernels.fill(cache, compile_part, parts=2, processes=2)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    told = subprocess.run(
        [sys.executable, "-c", TOLD], cwd=home.PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == "4 6 2\n"
    assert list(cache.parent.iterdir()) == [cache], "the folders of the processes are gone"
    indexes = [path.name.partition("-")[0] for path in cache.rglob("*.nbi")]
    assert sorted(indexes) == sorted(f"small_kernels.{name}" for name in ("doubled", "shared", "tripled"))
