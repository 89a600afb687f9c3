"""What bin/setup says when the machine lacks what it needs: one sentence, before it has made anything."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

import pytest

from orchestrator.home import PROJECT

PROGRAMS = ("sh", "dirname", "mkdir", "rm", "cat", "env", "id")


@pytest.fixture
def setup(tmp_path):
    """Runs a copy of bin/setup where only PROGRAMS and the given scripts, name -> text, are on the PATH."""
    checkout, programs = tmp_path / "checkout", tmp_path / "programs"
    (checkout / "bin").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(PROJECT / "bin/setup", checkout / "bin")
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))

    def run(**scripts):
        for name, text in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        answer = subprocess.run(
            ["sh", checkout / "bin/setup"],
            env={"PATH": str(programs), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert sorted(path.name for path in checkout.iterdir()) == ["bin"]
        return answer.returncode, answer.stdout, answer.stderr

    return run


def test_a_machine_without_python_gets_one_sentence(setup):
    sentence = "Python 3.11 or 3.12 is needed and was not found: there is no python3.\n"
    assert setup() == (2, "", sentence)


def test_an_old_python_is_named(setup):
    old = '[ "$1" = --version ] && echo "Python 3.9.2" && exit 0; exit 1'
    assert setup(python3=old) == (2, "", "Python 3.11 or 3.12 is needed and was not found: Python 3.9.2.\n")


def test_a_missing_npm_is_told_before_anything_is_installed(setup):
    status, output, errors = setup(python3=f'exec {sys.executable} "$@"')
    assert (status, output) == (2, "")
    assert errors == "npm is needed and was not found: install Node.js with npm (Debian: apt-get install npm).\n"


def test_where_all_is_installed_no_python_is_asked(tmp_path):
    checkout, programs = tmp_path / "checkout", tmp_path / "programs"
    for folder in (checkout / "bin", checkout / ".venv/bin", checkout / "node_modules", programs):
        folder.mkdir(parents=True)
    shutil.copy(PROJECT / "bin/setup", checkout / "bin")
    (checkout / ".venv/bin/python").symlink_to(shutil.which("false"))
    for name in (*PROGRAMS, "sha256sum"):
        (programs / name).symlink_to(shutil.which(name))
    for source, stamp in (("requirements.txt", ".venv/requirements.txt"), ("package-lock.json", "node_modules/")):
        (checkout / source).write_text(f"what {source} asks for\n")
        digest = hashlib.sha256((checkout / source).read_bytes()).hexdigest()
        (checkout / f"{stamp}.stamp").write_text(f"{digest}\n")

    def setup():
        environment = {"PATH": str(programs), "HOME": str(tmp_path)}
        done = subprocess.run(
            ["sh", checkout / "bin/setup"], env=environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    assert setup() == (0, "", "")
    (checkout / "requirements.txt").write_text("one package more\n")
    assert setup() == (2, "", "Python 3.11 or 3.12 is needed and was not found: there is no python3.\n")
