"""Tables in files for the tests of ``fastmlp.files``: how they are written, read as a whole, and run through commands."""

import csv

import numpy as np
from typer.testing import CliRunner

from fastmlp.cli import app
from fastmlp.files import arrays, arrow, plain
from fastmlp.files.data import Wanted, read
from fastmlp.files.opening import table_with
from fastmlp.files.parts import Layout


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text):
    """The text without line breaks and the frames that messages may have."""
    return " ".join(text.replace("│", " ").split())


def silent(done):
    """A report of how far the reading is, to nobody."""


def in_small_parts(monkeypatch, n_values=20, n_bytes=64, rows_looked_at=None):
    """Have all readers give many small parts; Arrow by bytes, the others by values."""
    for reader in (arrays, arrow, plain):
        monkeypatch.setattr(reader, "VALUES_AT_ONCE", n_values)
    monkeypatch.setattr(arrow, "BYTES_AT_ONCE", n_bytes)
    if rows_looked_at is not None:
        monkeypatch.setattr(plain, "ROWS_LOOKED_AT", rows_looked_at)


def whole(source, kinds=None):
    """All values of the columns: floats, or texts with None where one is missing."""
    kinds = source.kinds() if kinds is None else kinds
    columns, n_rows = {name: [] for name in kinds}, 0
    for part in source.parts(kinds, silent):
        assert part.first == n_rows
        n_rows += part.n_rows
        for name, kind in kinds.items():
            if kind == plain.NUMBER:
                columns[name].extend(part.numbers[name].tolist())
            else:
                values = [*part.texts[name].values, None]
                columns[name].extend(values[code] for code in part.texts[name].codes)
            assert len(columns[name]) == n_rows
    return columns


def same(one, other):
    """Whether two columns are equal, a NaN to a NaN and -0 not to 0."""
    return list(map(repr, one)) == list(map(repr, other))


def data_of(path, target, layout=None, **wanted):
    """The file as ``fastmlp train`` reads it."""
    source, kinds = table_with(target, path, Layout() if layout is None else layout)
    return read(source, kinds, Wanted(target, **wanted), silent)


def write_csv(path, columns, **options):
    """A CSV file of columns by their names."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n", **options)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def read_csv(path):
    """The rows of a CSV file, those of names first."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def contents(folder):
    """Each file below the folder with its bytes: what must be the same where nothing was to be written."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def flowers(n_rows=90, seed=3):
    """Three kinds that numbers and a colour tell apart."""
    random = np.random.default_rng(seed)
    kind = (2 - np.arange(n_rows)) % 3  # the last in the alphabet comes first
    lengths = (kind[:, None] * [2.0, -1.0] + random.normal(0, 0.3, (n_rows, 2))).round(3)
    colours = np.array(["red", "white", "blue"])[np.where(random.random(n_rows) < 0.8, kind, random.integers(0, 3, n_rows))]
    return {
        "length": lengths[:, 0].tolist(),
        "width": lengths[:, 1].tolist(),
        "colour": colours.tolist(),
        "kind": np.array(["iris", "rose", "tulip"])[kind].tolist(),
    }


def houses(n_rows=90, seed=4):
    """A price by area and district."""
    random = np.random.default_rng(seed)
    area, district = random.uniform(30, 200, n_rows).round(1), random.choice(["north", "south"], n_rows)
    price = 1000 * area + 50_000 * (district == "north") + random.normal(0, 2000, n_rows)
    return {"area": area.tolist(), "district": district.tolist(), "price": price.round(2).tolist()}


def check_told(result, code, told):
    text = words(result.output)
    assert result.exit_code == code, text + repr(result.exception)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in text
    for part in told:
        assert words(part) in text, text


def half(content):
    return content[: len(content) // 2]
