"""CSV and Parquet files by Apache Arrow, where it is installed: many times as fast as Python's own reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import MISSING, NUMBER, TEXT, VALUES_AT_ONCE, Layout, Part, Report, Texts, check_names
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
        import pyarrow as pa

        done = 0
        content, raw = self.open()
        with raw, content:
            try:
                for batch in self._reader(content, kinds):
                    part = _as_part(done, batch, kinds)
                    done += part.n_rows
                    yield part
                    report(raw.tell())
                return
            except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError):
                pass
        yield from self.parts_from(done, kinds, report)

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
        try:
            self._file = parquet.ParquetFile(path)
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
        if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_) or types.is_boolean(type_):
            return TEXT
        if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
            return TEXT if name in self.layout.texts else NUMBER
        raise TableError(
            f"{self.path}, column {name!r}: holds {type_}, neither numbers nor texts; make numbers of it, or leave it out "
            f'with --drop "{name}"'
        )

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        import pyarrow as pa

        done = 0
        at_once = max(1, VALUES_AT_ONCE // max(1, len(kinds)))
        try:
            for batch in self._file.iter_batches(at_once, columns=list(kinds)):
                part = _as_part(done, batch, kinds)
                done += part.n_rows
                yield part
                report(self.size * done // self._file.metadata.num_rows)
        except (pa.ArrowInvalid, OSError) as error:
            raise TableError(f"{self.path}: damaged ({str(error).splitlines()[0]}); write it again") from None


def _as_part(first: int, batch: Any, kinds: Mapping[str, str]) -> Part:
    import pyarrow as pa

    part = Part(first, len(batch))
    for name, kind in kinds.items():
        column = batch.column(batch.schema.get_field_index(name))
        if kind == NUMBER:
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            part.numbers[name] = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        else:
            part.texts[name] = _texts(column)
    return part


def _texts(column: Any) -> Texts:
    from pyarrow import types

    if not types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts.coded(codes, [_as_text(value) for value in column.dictionary.to_pylist()])


def _as_text(value: Any) -> str | None:
    """As CSV has it."""
    return None if value is None else str(value)
