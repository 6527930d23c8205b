"""NumPy's npz files as tables: a vector is a column, a matrix as many as it has."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import NUMBER, TEXT, VALUES_AT_ONCE, Array, Layout, Part, Report, Texts, check_names


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
        try:
            with np.load(path) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise TableError(f"{path}: not an npz file of plain arrays ({error}); write it with np.savez") from None
        self._columns: dict[str, Array] = {}
        for name, array in found.items():
            self._add(name, array)
        lengths = {name: len(array) for name, array in self._columns.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            shapes = ", ".join(f"{name} {array.shape}" for name, array in found.items())
            raise TableError(f"{path}: the arrays do not make a table ({shapes}); give each as many rows, and at least one")
        self.names = list(self._columns)
        check_names(path, self.names)

    def _add(self, name: str, array: Array) -> None:
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiubU":
            raise TableError(
                f"{self.path}, array {name!r}: {array.dtype} of shape {array.shape}; give numbers or texts in one or two "
                "dimensions"
            )
        if array.ndim == 1:
            self._columns[name] = array
        else:
            self._columns.update({f"{name}[{place}]": array[:, place] for place in range(array.shape[1])})

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

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`.

        Raises
        ------
        TableError
            If texts stand where numbers should.
        """
        n_rows = len(self._columns[self.names[0]])
        at_once = max(1, VALUES_AT_ONCE // len(self.names))
        for start in range(0, n_rows, at_once):
            part = Part(start, min(at_once, n_rows - start))
            for name, kind in kinds.items():
                values = self._columns[name][start : start + at_once]
                if kind == TEXT:
                    part.texts[name] = Texts.of([str(value) for value in values.tolist()])
                elif values.dtype.kind == "U":
                    raise TableError(f"{self.path}, array {name!r}: holds texts in place of numbers; give numbers")
                else:
                    part.numbers[name] = values.astype(np.float64)
            yield part
            report(self.size * (start + part.n_rows) // n_rows)
