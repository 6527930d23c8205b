"""CSV and Parquet files by Apache Arrow, where it is installed: many times as fast as Python's own reader."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.files.errors import TableError
from fastmlp.files.parts import (
    MISSING,
    NUMBER,
    TEXT,
    VALUES_AT_ONCE,
    Array,
    Layout,
    Part,
    Report,
    Texts,
    as_text,
    check_names,
)
from fastmlp.files.plain import PlainCsv

MISSING_ARROW = 'reading Parquet needs pyarrow: pip install "fastmlp[files]"'
# Larger blocks are no faster, and leave more memory behind.
BYTES_AT_ONCE = 1_000_000


def is_installed() -> bool:
    """Whether pyarrow is there."""
    return find_spec("pyarrow") is not None


class ArrowCsv(PlainCsv):
    """A CSV file whose rows Arrow reads until it meets what it does not understand; from there on the plain reader does.

    So what is read is the same, and what is wrong is told by the plain reader, which knows the line.
    """

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        done = 0
        content, raw = self.open()
        with raw, content:
            counted = _Counted(content)
            for part in self._understood(counted, kinds):
                part.first = done
                done += part.n_rows
                yield part
                report(raw.tell())
        if not self._is_whole:
            yield from self.parts_from(done, kinds, report)
        elif counted.quotes % 2:
            # One that is not closed may have made one value of many lines: the plain reader tells where.
            for _ in self.parts_from(0, kinds, report):
                pass

    def _understood(self, content: Any, kinds: Mapping[str, str]) -> Iterator[Part]:
        """Parts until the end, or until Arrow does not understand the file."""
        import pyarrow as pa

        self._is_whole, batches = False, None
        if not self.delimiter.isascii():
            return
        while True:
            try:
                batches = batches or iter(self._reader(content, kinds))
                batch = next(batches, None)
                if batch is None:
                    self._is_whole = True
                    return
                part = _as_part(batch, kinds)
                self._check_missing(part, batch)
            except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError, OSError, EOFError, zlib.error, _NotUnderstoodError):
                return
            if part.n_rows:
                yield part

    def _check_missing(self, part: Part, batch: Any) -> None:
        """Raise _NotUnderstoodError where Arrow has taken other texts for NaN than those that stand for it."""
        for name, numbers in part.numbers.items():
            if np.isnan(numbers).sum() > batch.column(name).null_count:
                raise _NotUnderstoodError(name)

    def _reader(self, content: Any, kinds: Mapping[str, str]) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        texts = pa.dictionary(pa.int32(), pa.string())
        return csv.open_csv(
            content,
            csv.ReadOptions(
                column_names=self.names,
                skip_rows=self.header_lines,
                block_size=BYTES_AT_ONCE,
                encoding=self.layout.encoding,
            ),
            csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                include_columns=list(kinds),
                column_types={name: pa.float64() if kind == NUMBER else texts for name, kind in kinds.items()},
                null_values=sorted(MISSING),
                decimal_point=self.layout.decimal,
            ),
        )


class _Counted:
    """A file that counts the quotes that are read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.quotes, self.closed = file, 0, False

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        self.quotes += content.count(b'"')
        return content

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


class Parquet:
    """A Parquet file, a row group at a time.

    Raises
    ------
    TableError
        If it is none.
    ImportError
        If pyarrow is not installed.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        if not is_installed():
            raise ImportError(MISSING_ARROW)
        import pyarrow as pa
        from pyarrow import parquet

        self.path, self.layout = path, layout
        self.size = path.stat().st_size
        self.notes: list[str] = []
        try:
            with parquet.ParquetFile(path) as file:
                texts = [entry.name for entry in file.schema_arrow if _is_text(entry.type)]
            # Texts as places among those that occur: nothing is left to be made of them.
            self._file = parquet.ParquetFile(path, read_dictionary=texts)
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]}); write it again") from None
        self._types = {entry.name: entry.type for entry in self._file.schema_arrow}
        self.names = list(self._file.schema_arrow.names)
        check_names(path, self.names)
        if not self._file.metadata.num_rows:
            raise TableError(f"{path}: the table has no rows; give at least one")

    def where(self, row: int) -> str:
        """See :class:`Source`."""
        return f"row {row + 1}"

    def kinds(self) -> dict[str, str]:
        """See :class:`Source`.

        Raises
        ------
        TableError
            If a column holds neither numbers nor texts.
        """
        return {name: self._kind(name) for name in self.names if name not in self.layout.left_out}

    def _kind(self, name: str) -> str:
        from pyarrow import types

        type_ = self._types[name]
        if types.is_dictionary(type_):
            type_ = type_.value_type
        if _is_text(type_) or types.is_boolean(type_):
            return TEXT
        if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
            return TEXT if name in self.layout.texts else NUMBER
        raise TableError(
            f"{self.path}, column {name!r}: holds {type_}, neither numbers nor texts; make numbers of it, or leave it out "
            f'with --drop "{name}"'
        )

    def check(self, kinds: Mapping[str, str]) -> None:
        """See :class:`Source`."""
        for name, kind in kinds.items():
            if self._kind(name) == TEXT and kind == NUMBER:
                raise TableError(f"{self.path}, column {name!r}: holds texts, where the net takes numbers; give numbers")

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        done = 0
        for batch in self._batches(kinds):
            part = _as_part(batch, kinds)
            part.first = done
            done += part.n_rows
            yield part
            report(self.size * done // self._file.metadata.num_rows)

    def _batches(self, kinds: Mapping[str, str]) -> Iterator[Any]:
        import pyarrow as pa

        at_once = max(1, VALUES_AT_ONCE // max(1, len(kinds)))
        try:
            yield from self._file.iter_batches(at_once, columns=list(kinds))
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(f"{self.path}: damaged ({str(error).splitlines()[0]}); write it again") from None


def _is_text(type_: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_))


class _NotUnderstoodError(Exception):
    """What Arrow reads in another way than is meant."""


# Values are taken from Arrow's memory as they lie there. Its own conversions import pandas wherever that is installed,
# which takes a seventh of a second and, interrupted at the wrong moment, leaves Python's import lock behind.


def _as_part(batch: Any, kinds: Mapping[str, str]) -> Part:
    part = Part(0, len(batch))
    for name, kind in kinds.items():
        column = batch.column(name)
        if kind == NUMBER:
            part.numbers[name] = _numbers(column)
        else:
            part.texts[name] = _texts(column)
    return part


def _numbers(column: Any) -> NDArray[np.float64]:
    from pyarrow import types

    if types.is_decimal(column.type):
        return np.array([np.nan if value is None else float(value) for value in column.to_pylist()], np.float64)
    if types.is_dictionary(column.type):
        codes, known = _lying(column.indices)
        values: Array = np.append(_numbers(column.dictionary), np.nan)[np.where(known, codes, -1)]
    else:
        values, known = _lying(column)
    return np.where(known, values, np.nan).astype(np.float64, copy=False)


def _texts(column: Any) -> Texts:
    from pyarrow import types

    if types.is_dictionary(column.type):
        codes, known = _lying(column.indices)
        values = [as_text(value) for value in column.dictionary.to_pylist()]
    elif types.is_boolean(column.type) or types.is_integer(column.type) or types.is_floating(column.type):
        numbers, known = _lying(column)
        found, codes = np.unique(numbers, return_inverse=True)
        values = [as_text(value) for value in found.tolist()]
    else:
        return Texts.of([as_text(value) for value in column.to_pylist()])
    if any(value.lstrip().startswith('"') and value[0] != '"' for value in values):
        raise _NotUnderstoodError("a quote after a space")
    return Texts.coded(np.where(known, codes, -1).astype(np.int32), values)


def _lying(column: Any) -> tuple[Array, NDArray[np.bool_]]:
    """The values of a column as they lie in memory, and which of them are known."""
    bits, data = column.buffers()
    begin, end = column.offset, column.offset + len(column)
    named = {"double": "float64", "float": "float32", "halffloat": "float16"}
    name = str(column.type)
    if data is None:
        values: Array = np.zeros(len(column))
    elif name == "bool":
        values = _unpacked(data, begin, end)
    else:
        values = np.frombuffer(data, named.get(name, name), end)[begin:]
    return values, np.ones(len(column), np.bool_) if bits is None else _unpacked(bits, begin, end)


def _unpacked(bits: Any, begin: int, end: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=end, bitorder="little")[begin:].astype(np.bool_)
