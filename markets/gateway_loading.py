"""One exchange class of ccxt, without the hundred others.

`import ccxt.binance` runs ccxt/__init__.py first, which imports every exchange. So the package is put in place without
being run, which halves the memory (62 to 32 MiB, most of the rest is requests and cryptography) and takes two thirds of
the time: `manage.py benchmark gateway`. The websocket side lies in two further packages, ccxt.async_support and
ccxt.pro, each of a hundred exchanges too (93 to 44 MiB).
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from markets.surface import GatewayError

_lock = threading.Lock()
_STREAMING = ("ccxt.async_support", "ccxt.pro")


def exchange_class(ccxt_id: str) -> Any:
    """The class of an exchange. Raises GatewayError (permanent) when ccxt has none of this id."""
    with _lock:
        _require(ccxt_id)
        return getattr(import_module(f"ccxt.{ccxt_id}"), ccxt_id)


def stream_class(ccxt_id: str) -> Any | None:
    """The class of an exchange's websocket side; None where ccxt has none. Raises GatewayError (permanent)."""
    with _lock:
        _require(ccxt_id)
        for name in _STREAMING:
            _place(name)
        if find_spec(f"ccxt.pro.{ccxt_id}") is None:
            return None
        _fill(ccxt_id)
        return getattr(import_module(f"ccxt.pro.{ccxt_id}"), ccxt_id)


def _fill(ccxt_id: str) -> None:
    """Put the names into the packages that the modules of the websocket side want of them, and no others."""
    whole, rest = (sys.modules[name] for name in ("ccxt", "ccxt.async_support"))
    errors, base = import_module("ccxt.base.errors"), import_module("ccxt.base.exchange")
    for name, value in {**vars(errors), "Exchange": base.Exchange, "async_support": rest}.items():
        if not name.startswith("_") and name not in vars(whole):
            setattr(whole, name, value)
    # One that is a variety of another is derived from that one's websocket side, which wants its own name too.
    for module in _ancestry(ccxt_id):
        setattr(rest, module, getattr(import_module(f"ccxt.async_support.{module}"), module))


def _ancestry(ccxt_id: str) -> list[str]:
    """Names of the exchanges that an exchange's class is derived from, and its own."""
    found = getattr(import_module(f"ccxt.async_support.{ccxt_id}"), ccxt_id)
    return [kind.__name__ for kind in found.__mro__ if kind.__module__ == f"ccxt.async_support.{kind.__name__}"]


def require_exchange(ccxt_id: str) -> None:
    """Raises GatewayError (permanent) when ccxt has no exchange of this id. Imports none."""
    with _lock:
        _require(ccxt_id)


def _require(ccxt_id: str) -> None:
    _place("ccxt")
    # Each exchange has its endpoints there, and nothing else lies there but the package's own __init__.
    if not ccxt_id.isidentifier() or ccxt_id.startswith("_") or find_spec(f"ccxt.abstract.{ccxt_id}") is None:
        raise GatewayError(f"There is no exchange {ccxt_id!r} in ccxt.", permanent=True)


def ccxt_errors() -> Any:
    """ccxt's module of exceptions."""
    with _lock:
        _place("ccxt")
        return import_module("ccxt.base.errors")


def _place(name: str) -> None:
    """Have a package known as imported, its own code not run until somebody wants a name that it defines."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed", name=name)
    package = ModuleType(name)
    package.__spec__, package.__path__ = spec, list(spec.submodule_search_locations or [])
    package.__getattr__ = lambda attribute: _of_the_whole(package, spec, attribute)  # type: ignore[method-assign]
    sys.modules[name] = package


def _of_the_whole(package: ModuleType, spec: ModuleSpec, attribute: str) -> Any:
    if (attribute.startswith("__") and attribute != "__version__") or spec.loader is None:
        raise AttributeError(f"module {package.__name__!r} has no attribute {attribute!r}")
    del package.__getattr__
    spec.loader.exec_module(package)
    return getattr(package, attribute)
