"""CSV files by Python's own reader and NumPy alone: strict, and exact about where something is wrong."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, cast

import numpy as np

from fastmlp.files.errors import TableError
from fastmlp.files.parts import MISSING, NUMBER, TEXT, VALUES_AT_ONCE, Array, Layout, Part, Report, Texts, check_names

# Of those that part the first lines alike, the first: commas stand within values more often than others do.
DELIMITERS = "\t;|,"
# What a column is is decided by so many rows, or by more where some columns have no value in them.
ROWS_LOOKED_AT, MOST_ROWS_LOOKED_AT = 1000, 100_000
# By so many lines the delimiter is found.
LINES_LOOKED_AT = 20
_OTHER = {".": ",", ",": "."}
# What comes of compressed files that are cut off or changed.
DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile)
# What files in these encodings begin with.
MARKS = {"utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"), "utf-16": (b"\xff\xfe", b"\xfe\xff")}


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
        self.notes: list[str] = []
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
        named = zip(self.names, first, strict=True) if layout.has_header else ()
        self._nameless = {given for given, name in named if not name.strip()}
        check_names(path, self.names)
        self._places = {name: place for place, name in enumerate(self.names)}

    def open(self) -> tuple[IO[bytes], IO[bytes]]:
        """The file as bytes, decompressed, and the one on the disk, which knows how far it is."""
        raw = self.path.open("rb")
        if self.path.suffix.lower() == ".gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)), raw
        return raw, raw

    def _found_delimiter(self) -> str:
        """The one that parts the first lines into as many values each; of several, the one with the most."""
        content, raw = self.open()
        with raw, content:
            try:
                lines = [line for line in islice(content, LINES_LOOKED_AT) if line.strip()]
            except DAMAGES as error:
                raise self._damaged(error) from None
        if not lines:
            return ","
        for encoding, marks in MARKS.items():
            if lines[0].startswith(marks) and self._encoding == "utf-8-sig":
                raise TableError(f"{self.path}: the file is in {encoding}; save it as utf-8, or give --encoding {encoding}")
        if b"\0" in lines[0] and self._encoding == "utf-8-sig":
            raise TableError(
                f"{self.path}: holds zero bytes, as utf-16 does; save it as utf-8, or give its --encoding: utf-16-le?"
            )
        texts = b"".join(lines).decode(self._encoding, "replace").splitlines()

        def fields(delimiter: str) -> tuple[bool, int]:
            try:
                counts = [len(row) for row in csv.reader(texts, delimiter=delimiter, skipinitialspace=True) if row]
            except csv.Error:  # told when the rows are read
                return False, 0
            return len(set(counts)) == 1 and counts[0] > 1, counts[0]

        return max(DELIMITERS, key=fields)

    @property
    def _encoding(self) -> str:
        # The mark that some programs begin with is no part of the first name.
        return "utf-8-sig" if codecs.lookup(self.layout.encoding).name == "utf-8" else self.layout.encoding

    def _check_header(self, first: Sequence[str]) -> None:
        if all(as_number(name, self.layout.decimal) is not None for name in first):
            raise TableError(
                f"{self.path}, line 1: the first line holds numbers, not the columns' names; add a line of names, or give "
                "--no-header"
            )

    def _rows(self, report: Report | None = None) -> Iterator[tuple[list[str], int]]:
        """Each row that is not blank, and the line it ends in."""
        content, raw = self.open()
        with raw, content, io.TextIOWrapper(content, self._encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)
            expected = begin = 0
            try:
                for row in reader:
                    begin = reader.line_num
                    if len(row) < 2 and not "".join(row).strip() and (expected > 1 or not row):
                        continue
                    expected = expected or len(row)
                    if len(row) != expected:
                        self._refuse_ragged(row, reader.line_num, expected)
                    yield row, reader.line_num
                    if report is not None and reader.line_num % 4096 == 0:
                        report(raw.tell())
            except UnicodeError as error:
                raise self._undecoded(error) from None
            except csv.Error as error:
                raise TableError(f"{self.path}, line {begin + 1}: not a CSV file ({error}); save it again") from None
            except DAMAGES as error:
                raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> TableError:
        return TableError(f"{self.path}: the file is damaged ({error}); save it again")

    def _refuse_ragged(self, row: Sequence[str], line: int, expected: int) -> None:
        more = "; a value that holds the delimiter needs quotes" if len(row) > expected else ""
        raise TableError(
            f"{self.path}, line {line}: {len(row)} values, but the first line has {expected} (delimiter "
            f"{self.delimiter!r}){more}; mend the line, or give --delimiter"
        )

    def _undecoded(self, error: UnicodeError) -> TableError:
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
        return TableError(f"{self.path}: not in {encoding} ({error}); give its --encoding")

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
        looks = {name: _Look(place) for name, place in self._places.items() if name not in self.layout.left_out}
        still, n_rows = list(looks.values()), 0
        for row, line in self.data_rows():
            n_rows += 1
            for look in still:
                look.at(row[look.place], line, self.layout.decimal)
            if n_rows >= ROWS_LOOKED_AT:
                still = [look for look in still if not look.numbers and not look.others]
                if not still or n_rows >= MOST_ROWS_LOOKED_AT:
                    break
        if not n_rows:
            raise TableError(f"{self.path}: there are names of columns, but no rows below; give at least one")
        self._leave_out_counters(looks)
        return {name: self._kind(name, look) for name, look in looks.items()}

    def _leave_out_counters(self, looks: dict[str, _Look]) -> None:
        """Leave out columns without a name that count the rows, as programs write them unasked."""
        for name in sorted(self._nameless & set(looks)):
            if looks[name].counts:
                del looks[name]
                self.notes.append(f"Column {name!r} has no name and counts the rows: left out.")

    def _kind(self, name: str, look: _Look) -> str:
        if name in self.layout.texts:
            return TEXT
        if look.others and look.others == look.others_with_comma:
            raise TableError(f"{self.path}, line {look.line}, column {name!r}: {self._other_decimal(name, look.other)}")
        if look.others > look.numbers:
            return TEXT
        if look.others:
            raise TableError(f"{self.path}, line {look.line}, column {name!r}: {self._mixed(name, look.other)}")
        if look.leading_zeros:
            self.notes.append(
                f"Column {name!r} is taken for numbers, though some begin with zeros; "
                f'--category "{name}" takes them for names.'
            )
        return NUMBER

    def _other_decimal(self, name: str, text: str) -> str:
        other = _OTHER[self.layout.decimal]
        return (
            f"{text.strip()!r} is a number if its decimal sign is {other!r}; give --decimal {other!r}, write it another "
            f'way, or take the column for names with --category "{name}"'
        )

    def _mixed(self, name: str, text: str) -> str:
        if not self.layout.decides:
            return f"{text.strip()!r} is no number, which the net takes there; correct it, or leave the value empty"
        if as_number(text, _OTHER[self.layout.decimal]) is not None:
            return self._other_decimal(name, text)
        return (
            f"{text.strip()!r} is no number, but others of this column are; correct it, leave the column out with "
            f'--drop "{name}", or take all its values as names with --category "{name}"'
        )

    def check(self, kinds: Mapping[str, str]) -> None:
        """See :class:`Source`: texts alone do not tell."""

    def parts(self, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """See :class:`Source`."""
        yield from self.parts_from(0, kinds, report)

    def parts_from(self, first: int, kinds: Mapping[str, str], report: Report) -> Iterator[Part]:
        """The same, without the first rows."""
        at_once = max(1, VALUES_AT_ONCE // len(self.names))
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
                yield self._part(start, kept, lines, kinds)
                start, kept, lines = start + len(kept), [], []
        if kept:
            yield self._part(start, kept, lines, kinds)
        report(self.size)

    def _part(self, first: int, rows: list[list[str]], lines: list[int], kinds: Mapping[str, str]) -> Part:
        part = Part(first, len(rows))
        columns = list(zip(*rows, strict=True))
        for name, kind in kinds.items():
            texts = columns[self._places[name]]
            if kind == NUMBER:
                part.numbers[name] = self._numbers(name, texts, lines)
            else:
                part.texts[name] = Texts.of(texts)
        return part

    def _numbers(self, name: str, texts: Sequence[str], lines: Sequence[int]) -> Array:
        decimal = self.layout.decimal
        if decimal == "." and "_" not in (joined := "".join(texts)) and joined.isascii():
            try:
                return np.fromiter(map(float, texts), np.float64, len(texts))
            except ValueError:
                pass  # some are missing, or no numbers
        numbers = np.empty(len(texts))
        for place, text in enumerate(texts):
            value = np.nan if is_missing(text) else as_number(text, decimal)
            if value is None:
                raise TableError(f"{self.path}, line {lines[place]}, column {name!r}: {self._mixed(name, text)}")
            numbers[place] = value
        return numbers


class _Look:
    """What was seen of a column: how many numbers, how many other texts, the first of these, and what they look like."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.numbers = self.others = self.others_with_comma = self.leading_zeros = self.line = 0
        self.other = ""
        self.counts, self._last = True, np.nan

    def at(self, text: str, line: int, decimal: str) -> None:
        if is_missing(text):
            self.counts = False
            return
        number = as_number(text, decimal)
        if number is not None:
            self.numbers += 1
            self.leading_zeros += text.strip()[:1] == "0" and text.strip()[1:2].isdigit()
            self.counts = self.counts and (number == self._last + 1 or (np.isnan(self._last) and number in (0, 1)))
            self._last = number
            return
        self.counts = False
        self.others_with_comma += as_number(text, _OTHER[decimal]) is not None
        if not self.others:
            self.other, self.line = text, line
        self.others += 1


def as_number(text: str, decimal: str) -> float | None:
    """The number that a text stands for, with this decimal sign; None if it is none."""
    text = text.strip()
    # Python's own numbers may have underscores, and digits of any script.
    if "_" in text or not text.isascii():
        return None
    if decimal != ".":
        if "." in text:
            return None
        text = text.replace(decimal, ".")
    try:
        return float(text)
    except ValueError:
        return None
