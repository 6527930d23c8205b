"""What memory is to Numba: where an array's elements begin, and how they are read and written by index."""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable


class MemoryType(types.Type):
    """Where an array's elements begin, in rows of `columns` or, where that is 0, one after the other.

    An array is seven values to Numba, which hands each of them from function to function; a kernel needs one of them.
    """

    def __init__(self, dtype: Any, columns: int) -> None:
        self.dtype = dtype
        self.columns = columns
        super().__init__(name=f"memory({dtype}, {columns})")


@register_model(MemoryType)
class _MemoryModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: MemoryType) -> None:
        super().__init__(manager, kind, manager.lookup(kind.dtype).get_data_type().as_pointer())


# Elements of memory, by one index, or by row and column.


def _index(kind: Any, index: Any) -> bool:
    if isinstance(kind, MemoryType) and kind.columns:
        return isinstance(index, types.BaseTuple) and len(index) == 2
    return isinstance(kind, MemoryType) and isinstance(index, types.Integer | types.IntEnumMember)


@type_callable(operator.getitem)
def _type_getitem(context: Any) -> Any:
    return lambda kind, index: kind.dtype if _index(kind, index) else None


@type_callable(operator.setitem)
def _type_setitem(context: Any) -> Any:
    return lambda kind, index, value: types.none if _index(kind, index) else None


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, index = signature.args[:2]
    if not kind.columns:
        return builder.gep(args[0], [context.cast(builder, args[1], index, types.intp)])
    row, column = (
        context.cast(builder, builder.extract_value(args[1], place), index[place], types.intp) for place in (0, 1)
    )
    return builder.gep(args[0], [builder.add(builder.mul(row, ir.Constant(row.type, kind.columns)), column)])


@lower_builtin(operator.getitem, MemoryType, types.Any)
def _getitem(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.load(_place(context, builder, signature, args))


@lower_builtin(operator.setitem, MemoryType, types.Any, types.Any)
def _setitem(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, value = signature.args[0], signature.args[2]
    builder.store(context.cast(builder, args[2], value, kind.dtype), _place(context, builder, signature, args))
    return context.get_dummy_value()
