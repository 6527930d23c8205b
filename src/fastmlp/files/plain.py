"""CSV files by Python's own reader and NumPy alone: strict, and exact about where something is wrong."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import MISSING, NUMBER, TEXT, VALUES_AT_ONCE, Array, Layout, Part, Report, Texts, check_names

DELIMITERS = ",;\t|"
# What a column is is decided by so many rows, or by more where some columns have no value in them.
ROWS_LOOKED_AT = 1000
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def is_missing(text: str) -> bool:
    """Whether the text stands for a missing value."""
    return text.strip() in MISSING


class PlainCsv:
    """A CSV file, perhaps compressed (.gz).

    Raises
    ------
    TableError
        If it is empty, not text in the encoding told, or its first line names no columns.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.size = path.stat().st_size
        self.delimiter = layout.delimiter or self._found_delimiter()
        first, line = next(self._rows(), ([], 0))
        if not first:
            raise TableError(f"{path}: the file is empty; give one with a line of names and a line for each sample")
        self.header_lines = line if layout.has_header else 0
        if layout.has_header:
            self.names = [name.strip() or f"column {place}" for place, name in enumerate(first, 1)]
            self._check_header(first)
        else:
            self.names = [f"column {place}" for place in range(1, len(first) + 1)]
        check_names(path, self.names)

    def open(self) -> tuple[IO[bytes], IO[bytes]]:
        """The file as bytes, decompressed, and the one on the disk, which knows how far it is."""
        raw = self.path.open("rb")
        if self.path.suffix == ".gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)), raw
        return raw, raw

    def _found_delimiter(self) -> str:
        content, raw = self.open()
        with raw, content:
            line = next((line for line in content if line.strip()), b"")
        if line.startswith(UTF_16):
            raise TableError(f"{self.path}: the file is in UTF-16; save it as UTF-8, or give --encoding utf-16")
        text = line.decode(self._encoding, "replace")
        counts = {delimiter: len(next(csv.reader([text], delimiter=delimiter), [])) for delimiter in DELIMITERS}
        return max(DELIMITERS, key=lambda delimiter: counts[delimiter])

    @property
    def _encoding(self) -> str:
        # The mark that some programs begin with is no part of the first name.
        return "utf-8-sig" if self.layout.encoding.lower() in ("utf-8", "utf8") else self.layout.encoding

    def _check_header(self, first: Sequence[str]) -> None:
        if all(_as_number(name, self.layout.decimal) is not None for name in first):
            raise TableError(
                f"{self.path}, line 1: the first line holds numbers, not the columns' names; add a line of names, or give "
                "--no-header"
            )

    def _rows(self, report: Report | None = None) -> Iterator[tuple[list[str], int]]:
        """Each row that is not blank, and the line it ends in."""
        content, raw = self.open()
        with raw, content, io.TextIOWrapper(content, self._encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self.delimiter, strict=True)
            expected = 0
            try:
                for row in reader:
                    if len(row) < 2 and not "".join(row).strip() and (expected > 1 or not row):
                        continue
                    expected = expected or len(row)
                    if len(row) != expected:
                        self._refuse_ragged(row, reader.line_num, expected)
                    yield row, reader.line_num
                    if report is not None and reader.line_num % 4096 == 0:
                        report(raw.tell())
            except UnicodeDecodeError as error:
                raise self._undecoded(error) from None
            except (csv.Error, EOFError, gzip.BadGzipFile) as error:
                raise TableError(f"{self.path}, line {reader.line_num}: not a CSV file ({error}); save it again") from None

    def _refuse_ragged(self, row: Sequence[str], line: int, expected: int) -> None:
        more = "; a value that holds the delimiter needs quotes" if len(row) > expected else ""
        raise TableError(
            f"{self.path}, line {line}: {len(row)} values, but the first line has {expected} (delimiter "
            f"{self.delimiter!r}){more}; mend the line, or give --delimiter"
        )

    def _undecoded(self, error: UnicodeDecodeError) -> TableError:
        encoding = self.layout.encoding
        content, raw = self.open()
        with raw, content:
            for number, line in enumerate(content, 1):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError as found:
                    return TableError(
                        f"{self.path}, line {number}: the byte 0x{line[found.start]:02x} is not {encoding}; save the file "
                        "as UTF-8, or give its --encoding, such as latin-1"
                    )
        return TableError(f"{self.path}: not in {encoding} ({error.reason}); give its --encoding")

    def data_rows(self, report: Report | None = None) -> Iterator[tuple[list[str], int]]:
        """The rows below the header, each with the line it ends in."""
        rows = self._rows(report)
        if self.layout.has_header:
            next(rows, None)
        return rows

    def where(self, row: int) -> str:
        """See :class:`Source`."""
        for place, (_, line) in enumerate(self.data_rows()):
            if place == row:
                return f"line {line}"
        return f"row {row + 1}"

    def kinds(self) -> dict[str, str]:
        """See :class:`Source`.

        Raises
        ------
        TableError
            If there are no rows, or a column holds numbers and other things.
        """
        wanted = [name for name in self.names if name not in self.layout.left_out]
        places = {name: self.names.index(name) for name in wanted}
        looks = {name: _Look() for name in wanted}
        n_rows = 0
        for row, line in self.data_rows():
            n_rows += 1
            for name, look in looks.items():
                look.at(row[places[name]], line, self.layout.decimal)
            if n_rows >= ROWS_LOOKED_AT and all(look.numbers or look.others for look in looks.values()):
                break
        if not n_rows:
            raise TableError(f"{self.path}: there are names of columns, but no rows below; give at least one")
        return {name: self._kind(name, look) for name, look in looks.items()}

    def _kind(self, name: str, look: _Look) -> str:
        if name in self.layout.texts or look.others > look.numbers:
            return TEXT
        if look.others:
            raise TableError(f"{self.path}, line {look.line}, column {name!r}: {self._mixed(name, look.other)}")
        return NUMBER

    def _mixed(self, name: str, text: str) -> str:
        comma = self.layout.decimal == "." and _as_number(text, ",") is not None
        hint = "give --decimal ',', or " if comma else ""
        return (
            f"{text.strip()!r} is no number, but others of this column are; correct it, {hint}leave the column out with "
            f'--drop "{name}", or take all its values as names with --category "{name}"'
        )

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        yield from self.parts_from(0, kinds, report)

    def parts_from(self, first: int, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """The same, without the first rows."""
        at_once = max(1, VALUES_AT_ONCE // len(self.names))
        places = {name: self.names.index(name) for name in kinds}
        rows = self.data_rows(report)
        start, place = first, 0
        kept: list[list[str]] = []
        lines: list[int] = []
        for row, line in rows:
            place += 1
            if place <= first:
                continue
            kept.append(row)
            lines.append(line)
            if len(kept) == at_once:
                yield self._part(start, kept, lines, kinds, places)
                start, kept, lines = start + len(kept), [], []
        if kept:
            yield self._part(start, kept, lines, kinds, places)
        report(self.size)

    def _part(
        self, first: int, rows: list[list[str]], lines: list[int], kinds: Mapping[str, str], places: Mapping[str, int]
    ) -> Part:
        part = Part(first, len(rows))
        columns = list(zip(*rows, strict=True))
        for name, kind in kinds.items():
            texts = columns[places[name]]
            if kind == NUMBER:
                part.numbers[name] = self._numbers(name, texts, lines)
            else:
                part.texts[name] = Texts.of(texts)
        return part

    def _numbers(self, name: str, texts: Sequence[str], lines: Sequence[int]) -> Array:
        decimal = self.layout.decimal
        if decimal == ".":
            try:
                return np.fromiter(map(float, texts), np.float64, len(texts))
            except ValueError:
                pass  # some are missing, or no numbers
        numbers = np.empty(len(texts))
        for place, text in enumerate(texts):
            value = np.nan if is_missing(text) else _as_number(text, decimal)
            if value is None:
                raise TableError(f"{self.path}, line {lines[place]}, column {name!r}: {self._mixed(name, text)}")
            numbers[place] = value
        return numbers


class _Look:
    """What was seen of a column: how many numbers, how many other texts, and the first of these."""

    def __init__(self) -> None:
        self.numbers = self.others = self.line = 0
        self.other = ""

    def at(self, text: str, line: int, decimal: str) -> None:
        if is_missing(text):
            return
        if _as_number(text, decimal) is not None:
            self.numbers += 1
            return
        if not self.others:
            self.other, self.line = text, line
        self.others += 1


def _as_number(text: str, decimal: str) -> float | None:
    if decimal != ".":
        if "." in text:
            return None
        text = text.replace(decimal, ".")
    try:
        return float(text)
    except ValueError:
        return None
