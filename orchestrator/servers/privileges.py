"""What a child process may do: be somebody less than root, and end with its parent. Linux calls, through ctypes.

Everything here runs between fork and exec. Sources: capabilities(7), prctl(2), capset(2).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522

LINUX = sys.platform == "linux"
# Opened before any fork: a child between fork and exec should not load libraries.
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


class User(NamedTuple):
    name: str
    uid: int
    gid: int


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def unprivileged_user(folder: Path) -> User | None:
    """Who runs a server whose data lies in `folder`: the data's owner, else postgres, else nobody; None if not root."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and folder.stat().st_uid != 0:
        return _user(pwd.getpwuid(folder.stat().st_uid))
    for name in ("postgres", "nobody"):
        try:
            return _user(pwd.getpwnam(name))
        except KeyError:
            continue
    return User("nobody", 65534, 65534)


def _user(entry: pwd.struct_passwd) -> User:
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def become(user: User, needs: Iterable[Path]) -> None:
    """Turn this process into `user` for good, still able to enter the folders in `needs`.

    A checkout below a closed folder (0700) cannot be entered by another user. Loosening that folder is not ours to
    do, so the process keeps one capability, to read past permissions, and only when a folder in fact is closed.
    """
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)
    capability = 0
    if not all(os.access(path, os.X_OK) for path in needs):
        capability = _first_permitted(CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)
    _keep_only(capability)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def end_with_parent(parent: int, signal: int) -> None:
    """Have the kernel send `signal` to this process when its parent dies, even of SIGKILL.

    Only Linux can. Elsewhere what a killed supervisor leaves behind is found and ended by the next start.
    """
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal)
        if os.getppid() != parent:
            os._exit(1)


def _first_permitted(*capabilities: int) -> int:
    """Bit of the first of these capabilities that the process holds, 0 when it holds none."""
    permitted = _capabilities()[0].permitted
    return next((1 << number for number in capabilities if permitted & 1 << number), 0)


def _keep_only(bit: int) -> None:
    if bit and _first_permitted(CAP_SETPCAP):
        # initdb looks for its sister programs with access(2), which without this leaves capabilities out of account.
        _hold(bit | 1 << CAP_SETPCAP)
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    _hold(bit)
    if bit:
        # Ambient capabilities are those that outlive exec of an ordinary program.
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, bit.bit_length() - 1)


def _hold(bits: int) -> None:
    sets = (_Sets * 2)()
    sets[0].effective = sets[0].permitted = sets[0].inheritable = bits
    _call("capset", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets)


def _capabilities() -> ctypes.Array[_Sets]:
    sets = (_Sets * 2)()
    _call("capget", ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets)
    return sets


def _prctl(option: int, first: int, second: int = 0) -> None:
    _call("prctl", option, ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _call(name: str, *arguments: object) -> None:
    if _libc is None:
        return
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name} failed")
