"""A hint to the processor: this will be looked at soon. It changes no result, and is nothing without compilation."""

from __future__ import annotations

from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic as _intrinsic
from numba.extending import overload as _overload

# numba's stubs know neither the typing context nor what becomes of these.
cgutils, intrinsic, overload = cast(tuple[Any, Any, Any], (_cgutils, _intrinsic, _overload))


def fetch(array: Any, index: int) -> None:
    """Ask the processor for an item that is looked at soon, so that it need not be waited for."""


def _fetch(context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        item = cgutils.get_item_pointer(context, builder, signature.args[0], view, [arguments[1]])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, call, "llvm.prefetch.p0")
        # To read, to be kept in all caches, data.
        builder.call(function, [builder.bitcast(item, pointer), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


_prefetch = intrinsic(_fetch)


def _compiled_fetch(array: Any, index: Any) -> Any:
    def look(array, index):  # type: ignore[no-untyped-def]
        _prefetch(array, index)

    return look


overload(fetch, strict=False, jit_options={"_nrt": False})(_compiled_fetch)
