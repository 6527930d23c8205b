"""What a safetensors file holds, read without believing it.

The file is neither mapped, so that nobody who shortens it ends this process, nor is memory asked for that it does not fill.
Of a header made to harm, safetensors' own reader takes up to 17 times the file.
"""

from __future__ import annotations

import math
import os
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.headers import HeaderError, check_room, list_of, one_of, parsed, record, row_of, shown, text, whole

# Those of which any bytes are numbers.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip
# safetensors' own limit.
LONGEST_HEADER = 100_000_000
METADATA = "__metadata__"
MOST_DIMENSIONS = 8

_ENTRY = record(
    {
        "dtype": one_of(DTYPES),
        "shape": list_of(whole(), most=MOST_DIMENSIONS),
        "data_offsets": row_of(whole(), whole()),
    }
)


class _Place(NamedTuple):
    """Where an array's bytes are, and what they are."""

    begin: int
    end: int
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Tensors:
    """An open safetensors file, whose header is checked: `metadata` at once, arrays when asked for.

    Parameters
    ----------
    file : at its beginning.
    room : how many times the file's length Python's objects for the header may take beside 40 MB.

    Raises
    ------
    HeaderError
        If the file is no whole safetensors file.
    """

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file = file
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise HeaderError(f"its {size:,} bytes do not hold the header")
        raw = file.read(length)
        if not raw.isascii():
            raise HeaderError("the header holds signs that are not ASCII")
        check_room(raw, room * size)
        header = parsed(raw)
        if not isinstance(header, dict):
            raise HeaderError("the header is no dict")
        self.metadata: dict[str, str] = header.pop(METADATA, None) or {}
        if not isinstance(self.metadata, dict):
            raise HeaderError("the metadata is no dict")
        for name, value in self.metadata.items():
            text(value, f"metadata {shown(name)}")
        self._places = _places_of(header, size - 8 - length)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by their names, each with memory of its own."""
        arrays = {}
        for _, _, name, dtype, shape in self._places:
            array = np.empty(shape, dtype)
            # Files read less than they are asked for where others shorten them meanwhile.
            if array.size and self._file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
                raise HeaderError(f"it ends within the array {shown(name)}")
            arrays[name] = array
        return arrays


def _places_of(entries: dict[str, Any], size: int) -> list[_Place]:
    """The arrays in the order of their bytes, which must be `size` ones, without gaps."""
    places = []
    for name, entry in entries.items():
        _ENTRY(entry, f"array {shown(name)}")
        dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
        # An array of nothing may have what dimensions it likes, as long as they are NumPy's.
        if math.prod(max(1, length) for length in shape) * dtype.itemsize > 1 << 62:
            raise HeaderError(f"array {shown(name)} has a shape too large for any memory")
        begin, end = entry["data_offsets"]
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise HeaderError(f"array {shown(name)} has not as many bytes as its shape asks for")
        places.append(_Place(begin, end, name, dtype, shape))
    places.sort(key=lambda place: place[:3])
    reached = 0
    for place in places:
        if place.begin != reached:
            raise HeaderError(f"array {shown(place.name)} does not begin where the one before it ends")
        reached = place.end
    if reached != size:
        raise HeaderError(f"the arrays are {reached:,} bytes, the file has {size:,} for them")
    return places
