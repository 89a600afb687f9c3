"""bin/bench over subjects of which one cannot be measured."""

from __future__ import annotations

import shutil
import subprocess

from orchestrator.home import PROJECT

PYTHON = """#!/bin/sh
echo "$*" >>asked
case $* in
*"benchmark browser"*) exit 1 ;;
*"benchmark gateway"*) echo "no document" ;;
*"benchmark"*) echo "a document" ;;
*"write_performance"*) [ "$(cat "$4")" = "a document" ] ;;
esac
"""


def test_a_subject_that_fails_is_named_at_the_end_and_stops_no_other(tmp_path):
    for name, text in (("bin/setup", "#!/bin/sh\n"), (".venv/bin/python", PYTHON)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    shutil.copy(PROJECT / "bin/bench", tmp_path / "bin")
    command = [tmp_path / "bin/bench", "web", "browser", "gateway", "load"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Not measured: browser gateway."
    asked = [line.split()[1:3] for line in (tmp_path / "asked").read_text().splitlines() if "services" not in line]
    written = [subject for command, subject in asked if command == "write_performance"]
    assert written == ["web", "gateway", "load"]
    assert ["benchmark", "browser"] in asked
