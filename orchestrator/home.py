"""Where local state lives: one folder, made on demand, readable by its owner alone."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from orchestrator import env

PROJECT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The state folder: ORCHESTRATOR_HOME, else var/ beside manage.py."""
    given = env.given("ORCHESTRATOR_HOME")
    return Path(given).expanduser().resolve() if given else PROJECT / "var"


def private_file(name: str, make: str) -> str:
    """Content of a file under home(); written with `make`, mode 0600, by whoever comes first."""
    path = home() / name
    home().mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(make)
    return make


def secret_key() -> str:
    return env.given("SECRET_KEY") or private_file("secret_key", secrets.token_urlsafe(50))


def kernel_cache() -> Path:
    """Folder for compiled kernels, one per state of their sources.

    numba notices a changed file but not a changed callee in another file, so the sources' digest is in the name.
    """
    digest = hashlib.sha256()
    for folder in ("bots/engine", "bots/kinds", "markets"):
        for path in sorted((PROJECT / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return home() / "kernels" / digest.hexdigest()[:16]
