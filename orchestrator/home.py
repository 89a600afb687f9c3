"""Where local state lives: one folder, made on demand, its secrets readable by their owner alone."""

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


def folder(name: str = "") -> Path:
    """A folder below home(), made when missing. Raises EnvError when it cannot be made."""
    root = home()
    path = root / name
    try:
        # Root's servers run as somebody else, who must get through the folder but need not see what is in it.
        root.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise env.EnvError(f"ORCHESTRATOR_HOME {root} cannot be written to: {error.strerror}.") from None
    return path


def write_private(path: Path, content: str) -> None:
    """Replace a file's content in one step, mode 0600: a reader sees the old or the new, never a part."""
    draft = _draft(path, content)
    os.replace(draft, path)


def private_file(name: str, make: str) -> str:
    """Content of a file under home(); written with `make`, mode 0600, by whoever comes first."""
    path = folder() / name
    if not path.exists():
        draft = _draft(path, make)
        try:
            # A link appears complete and only if the name is free, so that all who race read the winner's content.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def _draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    return draft


class Stamp:
    """A file that says for which state of its sources a step was last done."""

    def __init__(self, step: str, state: str) -> None:
        self._path = folder("stamps") / step
        self._state = state

    def is_set(self) -> bool:
        return self._path.exists() and self._path.read_text() == self._state

    def set(self) -> None:
        write_private(self._path, self._state)


def sources_digest() -> str:
    """Changes with everything that may ask for another set-up: packages, tables, static files."""
    digest = hashlib.sha256()
    patterns = ("requirements.txt", "package-lock.json", "*/migrations/*.py", "static/**/*")
    for path in sorted(path for pattern in patterns for path in PROJECT.glob(pattern) if path.is_file()):
        digest.update(f"{path}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def secret_key() -> str:
    return env.given("SECRET_KEY") or private_file("secret_key", secrets.token_urlsafe(50))


KERNEL_SOURCES = (
    "bots/engine/**/*.py",
    "bots/kinds/**/*.py",
    "bots/performance/**/*.py",
    "bots/risk.py",
    "bots/rules/**/*.py",
    "markets/precision.py",
    "markets/simulated.py",
)


def kernel_cache() -> Path:
    """Folder for compiled kernels, one per state of their sources.

    numba notices a changed file but not a changed callee in another file, so the sources' digest is in the name.
    """
    digest = hashlib.sha256()
    for pattern in KERNEL_SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(path.read_bytes())
    return home() / "kernels" / digest.hexdigest()[:16]
