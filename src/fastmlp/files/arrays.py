"""NumPy's npz files as tables: a vector is a column, a matrix as many as it has."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import NUMBER, TEXT, VALUES_AT_ONCE, Array, Layout, Part, Report, Texts, as_text, check_names


class Npz:
    """Arrays with one row for each sample.

    Raises
    ------
    TableError
        If it is no npz file, or its arrays do not make a table.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.size = path.stat().st_size
        self.notes: list[str] = []
        try:
            with path.open("rb") as file:
                arrays = np.load(file)
                if not isinstance(arrays, np.lib.npyio.NpzFile):
                    raise ValueError("it holds a single array")
                found = {name: arrays[name] for name in arrays.files}
                if not all(isinstance(array, np.ndarray) for array in found.values()):
                    raise ValueError("it holds other files")
        except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise TableError(f"{path}: not an npz file of plain arrays ({error}); write it with np.savez") from None
        columns = [column for name, array in found.items() for column in self._columns_of(name, array)]
        lengths = {len(column) for _, column in columns}
        if len(lengths) != 1 or 0 in lengths:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in found.items())
            raise TableError(f"{path}: the arrays do not make a table ({shapes}); give each as many rows, and at least one")
        self.names = [name for name, _ in columns]
        check_names(path, self.names)
        self._columns = dict(columns)

    def _columns_of(self, name: str, array: Array) -> list[tuple[str, Array]]:
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiubU":
            raise TableError(
                f"{self.path}, array {name!r}: {array.dtype} of shape {array.shape}; give numbers or texts in one or two "
                "dimensions"
            )
        if array.ndim == 1:
            return [(name, array)]
        return [(f"{name}[{place}]", array[:, place]) for place in range(array.shape[1])]

    def where(self, row: int) -> str:
        """See :class:`Source`."""
        return f"row {row + 1}"

    def kinds(self) -> dict[str, str]:
        """See :class:`Source`."""
        return {
            name: TEXT if array.dtype.kind in "Ub" or name in self.layout.texts else NUMBER
            for name, array in self._columns.items()
            if name not in self.layout.left_out
        }

    def check(self, kinds: Mapping[str, str]) -> None:
        """See :class:`Source`."""
        for name, kind in kinds.items():
            if kind == NUMBER and self._columns[name].dtype.kind == "U":
                raise TableError(f"{self.path}, array {name!r}: holds texts, where the net takes numbers; give numbers")

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        n_rows = len(self._columns[self.names[0]])
        at_once = max(1, VALUES_AT_ONCE // len(self.names))
        for start in range(0, n_rows, at_once):
            part = Part(start, min(at_once, n_rows - start))
            for name, kind in kinds.items():
                values = self._columns[name][start : start + at_once]
                if kind == TEXT:
                    part.texts[name] = Texts.of([as_text(value) for value in values.tolist()])
                else:
                    part.numbers[name] = values.astype(np.float64)
            yield part
            report(self.size * (start + part.n_rows) // n_rows)
