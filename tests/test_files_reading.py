"""The readers of CSV files: Python's and Arrow's give the same values, and refuse the same files in the same words."""

import csv
import gzip

import numpy as np
import pytest

from fastmlp.files import arrow, opening
from fastmlp.files.arrow import ArrowCsv
from fastmlp.files.errors import TableError
from fastmlp.files.parts import MISSING, Layout
from fastmlp.files.plain import PlainCsv
from tables_in_files import data_of, in_small_parts, same, silent, whole

NAN, INF = float("nan"), float("inf")
READERS = [PlainCsv, ArrowCsv]
# What comes first in files whose odd value stands below: enough rows for a column's kind to be known.
HEAD = "a,t\n1,x\n2,y\n3,x\n"

# Name: content, layout, and the columns that are in it.
FILES = {
    "plain": (HEAD, {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "no newline at the end": (HEAD + "4,y", {}, {"a": [1, 2, 3, 4], "t": ["x", "y", "x", "y"]}),
    "CRLF": (HEAD.replace("\n", "\r\n"), {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "CRLF and blank lines": ("\r\na,t\r\n1,x\r\n\r\n2,y\r\n\r\n", {}, {"a": [1, 2], "t": ["x", "y"]}),
    # As old programs of the Macintosh wrote, and as Excel still offers.
    "CR alone": (HEAD.replace("\n", "\r"), {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "ends of lines mixed": ("a,t\n1,x\r\n2,y\n3,x\r\n", {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "mark of UTF-8": ("\ufeff" + HEAD, {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "mark of UTF-8, other spelling": ("\ufeff" + HEAD, {"encoding": "UTF_8"}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "mark of UTF-8, quoted name": ('\ufeff"a ""b""\n, c",t\n2,y\n', {}, {'a "b"\n, c': [2], "t": ["y"]}),
    "mark of UTF-8, no header": ("\ufeff1,x\n2,y\n", {"has_header": False}, {"column 1": [1, 2], "column 2": ["x", "y"]}),
    "blank lines": ("\n\na,t\n\n1,x\n  \n2,y\n\t\n\n3,x\n\n \n", {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "blank lines before names of texts": ("\n\ns,t\nu,x\nv,y\n", {}, {"s": ["u", "v"], "t": ["x", "y"]}),
    "names of two lines above texts": ('"s\ns",t\nu,x\nv,y\n', {}, {"s\ns": ["u", "v"], "t": ["x", "y"]}),
    "blank line among later rows": (HEAD + "4,x\n   \n5,y\n", {}, {"a": [1, 2, 3, 4, 5], "t": [*"xyxxy"]}),
    "row of missing values": (HEAD + ",\n4,y\n", {}, {"a": [1, 2, 3, NAN, 4], "t": ["x", "y", "x", None, "y"]}),
    "newline in quotes": (HEAD + '4,"x\ny"\n5,"\n"\n', {}, {"a": [1, 2, 3, 4, 5], "t": ["x", "y", "x", "x\ny", None]}),
    "CRLF in quotes": (HEAD + '4,"x\r\ny"\n', {}, {"a": [1, 2, 3, 4], "t": ["x", "y", "x", "x\r\ny"]}),
    "delimiters in quotes": (HEAD + '4,"x,y;z\t"\n', {}, {"a": [1, 2, 3, 4], "t": ["x", "y", "x", "x,y;z"]}),
    "quotes in quotes": (HEAD + '4,"""x"" y"\n', {}, {"a": [1, 2, 3, 4], "t": ["x", "y", "x", '"x" y']}),
    "quotes inside a value": (HEAD + '4,x"y\n5,x"\n', {}, {"a": [1, 2, 3, 4, 5], "t": ["x", "y", "x", 'x"y', 'x"']}),
    "quoted numbers": ('"a","t"\n"1","x"\n" 2 ","y"\n', {}, {"a": [1, 2], "t": ["x", "y"]}),
    "spaces round values": (" a , t\n 1 , x \n2,\ty\n\xa03,\xa0x \n", {}, {"a": [1, 2, 3], "t": ["x", "y", "x"]}),
    "spaces inside values": ("a,t u\n1,x  y\n2,z\n", {}, {"a": [1, 2], "t u": ["x  y", "z"]}),
    "semicolons": ("a;t\n1;x,y\n2;z\n", {}, {"a": [1, 2], "t": ["x,y", "z"]}),
    "tabs": ("a\tt\n1\tx\n2\t\n\ty\n", {}, {"a": [1, 2, NAN], "t": ["x", None, "y"]}),
    "bars": ("a|t\n1|x\n2|y\n", {}, {"a": [1, 2], "t": ["x", "y"]}),
    "delimiter told": ("a:t\n1:x\n2:y,z\n", {"delimiter": ":"}, {"a": [1, 2], "t": ["x", "y,z"]}),
    "delimiter beyond ASCII": ("a§t\n1§x\n2§y\n", {"delimiter": "§"}, {"a": [1, 2], "t": ["x", "y"]}),
    "spaces between": ("a t\n1 x\n2 y\n", {"delimiter": " "}, {"a": [1, 2], "t": ["x", "y"]}),
    "decimal comma": (
        "a;t\n1,5;x\n-2,25e1;y\n3;x\n,5;y\n+4,;x\n;y\n",
        {"decimal": ","},
        {"a": [1.5, -22.5, 3, 0.5, 4, NAN], "t": [*"xyxyxy"]},
    ),
    "decimal comma in quotes": ('a,t\n"1,5",x\n"-2,5",y\n3,x\n', {"decimal": ","}, {"a": [1.5, -2.5, 3], "t": [*"xyx"]}),
    "integers": (HEAD + "-4,y\n+5,x\n0006,y\n-0,x\n9007199254740993,y\n", {},
                 {"a": [1, 2, 3, -4, 5, 6, -0.0, 9007199254740992], "t": [*"xyxyxyxy"]}),
    "floats": (HEAD + "0.1,y\n.5,x\n7.,y\n-1.25e-3,x\n1E5,y\n1e+05,x\n1e-400,y\n0.30000000000000004,x\n", {},
               {"a": [1, 2, 3, 0.1, 0.5, 7, -0.00125, 1e5, 1e5, 0, 0.30000000000000004], "t": [*"xyxyxyxyxyx"]}),
    "infinite": (HEAD + "inf,y\n-inf,x\nInfinity,y\n-INF,x\n1e999,y\n", {},
                 {"a": [1, 2, 3, INF, -INF, INF, -INF, INF], "t": [*"xyxyxyxy"]}),
    "not a number": (HEAD + "nan,y\nNaN,x\n-nan,y\nNAN,x\n", {}, {"a": [1, 2, 3, NAN, NAN, NAN, NAN], "t": [*"xyxyxyx"]}),
    "missing numbers": (
        HEAD + "".join(f"{text},x\n {text}  ,y\n" for text in sorted(MISSING)), {},
        {"a": [1, 2, 3] + [NAN] * 2 * len(MISSING), "t": [*"xyx"] + [*"xy"] * len(MISSING)},
    ),
    "missing texts": (
        HEAD + "".join(f'4,{text}\n5, {text}  \n6,"{text}"\n' for text in sorted(MISSING)), {},
        {"a": [1, 2, 3] + [4, 5, 6] * len(MISSING), "t": [*"xyx"] + [None] * 3 * len(MISSING)},
    ),
    "texts and numbers mixed": ("a,t\n1,x\n2,17\n3,y\n4,1e5\n", {}, {"a": [1, 2, 3, 4], "t": ["x", "17", "y", "1e5"]}),
    "names of numbers": ("a,t\n007,x\n7,y\n7.0,x\n", {"texts": ["a"]}, {"a": ["007", "7", "7.0"], "t": [*"xyx"]}),
    "truth values": ("a,t\n1,True\n2,false\n3,True\n", {}, {"a": [1, 2, 3], "t": ["True", "false", "True"]}),
    "a column left out": ("a,t,b\n1,x,?\n2,y,z\n3,x,z\n", {"left_out": ["t"]}, {"a": [1, 2, 3], "b": [None, "z", "z"]}),
    "one column": ("a\n1\n\n2\n \n3\n\"\"\n4\n", {}, {"a": [1, 2, NAN, 3, NAN, 4]}),
    "one column of texts": ('t\nx\n\ny\n""\nz', {}, {"t": ["x", "y", None, "z"]}),
    "odd names": (
        ' a b ,"t ""q""",,é,[bold],a.b,"x\ny",\N{GRINNING FACE},$x$,[/x]\n1,x,2,3,4,5,6,7,8,9\n1,y,2,3,4,5,6,7,8,9\n', {},
        {"a b": [1, 1], 't "q"': ["x", "y"], "column 3": [2, 2], "é": [3, 3], "[bold]": [4, 4], "a.b": [5, 5],
         "x\ny": [6, 6], "\N{GRINNING FACE}": [7, 7], "$x$": [8, 8], "[/x]": [9, 9]},
    ),
    "header longer than a part": ("a," + 300 * "t" + "\n1,x\n2,y\n", {}, {"a": [1, 2], 300 * "t": ["x", "y"]}),
    "row longer than a part": (HEAD + f"4,{'z' * 300}\n5,y\n", {}, {"a": [1, 2, 3, 4, 5], "t": [*"xyx", "z" * 300, "y"]}),
    "NUL in a text": (HEAD + "4,x\0y\n", {}, {"a": [1, 2, 3, 4], "t": ["x", "y", "x", "x\0y"]}),
    "letters of the world": ("a,größe\n1,ß\n2,日本\n3,ß\n", {}, {"a": [1, 2, 3], "größe": ["ß", "日本", "ß"]}),
}  # fmt: skip

# Content that both refuse, and what they say.
REFUSED = {
    "text among numbers": (HEAD + "4,y\nx,x\n", "line 6, column 'a': 'x' is no number"),
    "hexadecimal": (HEAD + "4,y\n0x10,x\n", "line 6, column 'a': '0x10' is no number"),
    "NaN with a note": (HEAD + "4,y\nnan(abc),x\n", "line 6, column 'a': 'nan(abc)' is no number"),
    "thousands": (HEAD + '4,y\n"1,000",x\n', "line 6, column 'a': '1,000' is a number if"),
    "NUL for a number": (HEAD + "4,y\n\0,x\n", "line 6, column 'a': '\\x00' is no number"),
    "short row": (HEAD + "4,y\n5\n6,x\n", "line 6: 1 values, but the first line has 2"),
    "long row": (HEAD + "4,y\n5,x,\n6,x\n", "line 6: 3 values, but the first line has 2"),
    "short row after a newline in quotes": (HEAD + '4,"\n\n"\n5\n', "line 8: 1 values"),
    # What follows goes into the text: rows would be lost without a word.
    "quotes not closed": (HEAD + '4,y\n5,"x\n6,y\n7,x\n', "not a CSV file"),
    "quotes not closed in the last line": (HEAD + '4,y\n5,"x', "line 6: not a CSV file"),
}


def written(path, content, encoding="utf-8"):
    content = content.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("n_bytes", [24, 64, 100_000])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FILES)
def test_values(name, reader, n_bytes, tmp_path, monkeypatch):
    # Kinds are told by few rows, so that what is odd below comes as a surprise.
    in_small_parts(monkeypatch, n_values=6, n_bytes=n_bytes, rows_looked_at=3)
    content, layout, expected = FILES[name]
    source = reader(written(tmp_path / "table.csv", content), Layout(**layout))
    columns = whole(source)
    assert list(columns) == list(expected)
    for column, values in expected.items():
        as_read = [value if value is None or isinstance(value, str) else float(value) for value in values]
        assert same(columns[column], as_read), column


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", REFUSED)
def test_refused_alike_by_both(name, reader, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, n_values=4, n_bytes=24, rows_looked_at=3)
    content, message = REFUSED[name]
    path = written(tmp_path / "table.csv", content)
    with pytest.raises(TableError) as error:
        whole(reader(path, Layout()))
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("delimiter", [None, ","])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("reader", READERS)
def test_encodings(reader, encoding, delimiter, tmp_path):
    content = "größe,t\n1,ü\n2.5,é\n,ü\n"
    source = reader(written(tmp_path / "table.csv", content, encoding), Layout(encoding=encoding, delimiter=delimiter))
    columns = whole(source)
    assert same(columns["größe"], [1.0, 2.5, NAN])
    assert columns["t"] == ["ü", "é", "ü"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", [".csv.gz", ".tsv.gz"])
def test_compressed(reader, suffix, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, rows_looked_at=3)
    rows = "".join(f"{row},t{row % 7}\n" for row in range(200))
    columns = whole(reader(written(tmp_path / f"table{suffix}", "a,t\n" + rows), Layout()))
    assert columns == {"a": list(range(200)), "t": [f"t{row % 7}" for row in range(200)]}


@pytest.mark.parametrize("reader", READERS)
def test_where_a_row_stands_counts_the_lines_of_a_text_editor(reader, tmp_path):
    path = written(tmp_path / "table.csv", '\n"a\n",t\n1,x\n\n2,"y\n\ny"\n3,x\n')
    source = reader(path, Layout())
    # A row is told by the line in which it ends.
    assert [source.where(row) for row in range(3)] == ["line 4", "line 8", "line 9"]


def test_plain_reader_goes_on_where_arrow_stops(tmp_path, monkeypatch):
    """Arrow knows no non-breaking spaces: rows before the first are Arrow's, those from its part on the plain reader's."""
    in_small_parts(monkeypatch, n_values=20, n_bytes=64, rows_looked_at=3)
    values = [*range(50), "\xa050", *range(51, 100)]
    path = written(tmp_path / "table.csv", "a,t\n" + "".join(f"{value},x{value}\n" for value in values))
    begun = []
    by_plain = ArrowCsv.parts_from

    def parts_from(self, first, kinds, report):
        begun.append(first)
        return by_plain(self, first, kinds, report)

    monkeypatch.setattr(ArrowCsv, "parts_from", parts_from)
    columns = whole(ArrowCsv(path, Layout()))
    assert columns == {"a": list(range(100)), "t": [f"x{value}" for value in values]}
    assert len(begun) == 1
    assert 0 < begun[0] <= 50


@pytest.mark.parametrize(
    ("decimal", "missing", "encoding"),
    [(".", "", "utf-8"), (",", "?", "latin-1"), (".", "n/a", "cp1252"), (",", "NULL", "utf-8")],
)
def test_arrow_reads_all_where_it_understands_all(decimal, missing, encoding, tmp_path, monkeypatch):
    """Else the tests of this file would compare the plain reader with itself, and large files take many times as long."""
    in_small_parts(monkeypatch, rows_looked_at=3)
    monkeypatch.setattr(ArrowCsv, "parts_from", None)
    rows = "".join(f'{row / 8};"ü\n{row % 7}"\n{missing};NA\n' for row in range(200)).replace(".", decimal)
    path = written(tmp_path / "table.csv", "a;t\n" + rows, encoding)
    columns = whole(ArrowCsv(path, Layout(decimal=decimal, encoding=encoding)))
    assert same(columns["a"], [value for row in range(200) for value in (row / 8, NAN)])
    assert columns["t"] == [text for row in range(200) for text in (f"ü\n{row % 7}", None)]


def test_arrow_is_chosen_where_it_is_installed(tmp_path, monkeypatch):
    path = written(tmp_path / "table.csv", HEAD)
    assert type(opening.open_table(path, Layout())) is ArrowCsv
    monkeypatch.setattr(arrow, "find_spec", lambda name: None)
    assert type(opening.open_table(path, Layout())) is PlainCsv


@pytest.mark.parametrize("reader", READERS)
def test_report_comes_to_the_size_of_the_file(reader, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, rows_looked_at=3)
    path = written(tmp_path / "table.csv", "a,t\n" + "".join(f"{row},x\n" for row in range(5000)))
    told = []
    source = reader(path, Layout())
    for _ in source.parts(source.kinds(), told.append):
        pass
    assert len(told) > 1
    assert told[-1] == source.size == path.stat().st_size


def random_table(random):
    """Values as they stand in a file, by columns, with a layout; the first rows tell what each column is."""
    n_rows, n_columns = int(random.integers(4, 60)), int(random.integers(1, 6))
    decimal = random.choice([".", ","], p=[0.7, 0.3])
    letters = [*"abcXYZ019 ,;\t|\n\"'.-+eE_é日#\\/"]
    columns = []
    for _ in range(n_columns):
        if random.random() < 0.5:
            numbers = random.choice(
                [random.normal(0, 10.0 ** random.integers(-8, 9), n_rows), random.integers(-50, 50, n_rows)]
            )
            form = random.choice(["{:g}", "{!r}", "{:.3f}", "{:e}", " {:+g}", "{:.17g} "])
            column = [form.format(float(number)).replace(".", str(decimal)) for number in numbers]
        else:
            column = ["".join(random.choice(letters, random.integers(1, 8))) for _ in range(n_rows)]
            column[:3] = ["one", "two", "three"]
        gaps = np.flatnonzero(random.random(n_rows) < random.choice([0, 0.2]))
        for row in gaps[gaps >= 3]:
            column[row] = random.choice(sorted(MISSING))
        columns.append(column)
    return columns, str(decimal)


@pytest.mark.parametrize("seed", range(60))
def test_random_tables(seed, tmp_path, monkeypatch):
    random = np.random.default_rng(seed)
    columns, decimal = random_table(random)
    delimiter = str(random.choice([*";\t|"] + [","] * 3))
    in_small_parts(
        monkeypatch, n_values=int(random.integers(1, 40)), n_bytes=int(random.choice([30, 90, 400])), rows_looked_at=3
    )
    names = [f"{place} {random.choice([*'xé,['])}" for place in range(len(columns))]
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        quoting = int(random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=str(random.choice(["\n", "\r\n"])))
        writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))
    layout = Layout(delimiter=delimiter, decimal=decimal)
    by_plain, by_arrow = (reader(path, layout) for reader in READERS)
    assert by_plain.names == by_arrow.names == [name.strip() for name in names]
    one, other = whole(by_plain), whole(by_arrow)
    assert by_plain.kinds() == by_arrow.kinds()
    for name, column in zip(by_plain.names, columns, strict=True):
        assert same(one[name], other[name])
        texts = [None if text.strip() in MISSING else text.strip() for text in column]
        if by_plain.kinds()[name] == "text":
            assert one[name] == texts
        else:
            assert same(one[name], [NAN if text is None else float(text.replace(decimal, ".")) for text in texts])


@pytest.mark.parametrize("seed", range(5))
def test_data_is_the_same_by_both(seed, tmp_path, monkeypatch):
    """From the values to the matrix; parts differ, so that sums are rounded in other places."""
    random = np.random.default_rng(seed)
    in_small_parts(monkeypatch, n_values=50, n_bytes=120, rows_looked_at=3)
    rows = []
    for _ in range(150):
        odd = random.choice(["", "\xa07", "8"], p=[0.2, 0.01, 0.79])
        text = random.choice(["x", "y", "", "z"])
        rows.append(f"{random.normal(100, 3)},{text},{random.integers(0, 2)},{odd}\n")
    path = written(tmp_path / "table.csv", "a,t,y,b\n" + "".join(rows))
    by_arrow = data_of(path, "y", validation=0.2, test=0.2, dtype="float64", seed=seed)
    monkeypatch.setattr(arrow, "find_spec", lambda name: None)
    by_plain = data_of(path, "y", validation=0.2, test=0.2, dtype="float64", seed=seed)
    np.testing.assert_allclose(by_arrow.X, by_plain.X, rtol=1e-12, atol=1e-12)
    assert by_arrow.y.tolist() == by_plain.y.tolist()
    assert by_arrow.counts == by_plain.counts
    assert by_arrow.columns.categories == by_plain.columns.categories
    assert by_arrow.target == by_plain.target


def test_a_reader_that_is_left_half_way_closes_its_file(tmp_path, monkeypatch):
    """Unclosed files are warnings, which are errors here."""
    in_small_parts(monkeypatch, rows_looked_at=3)
    path = written(tmp_path / "table.csv", "a,t\n" + "1,x\n" * 500)
    for reader in READERS:
        source = reader(path, Layout())
        parts = source.parts(source.kinds(), silent)
        next(parts)
        parts.close()
