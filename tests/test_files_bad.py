"""Bad tables and options: told in a sentence that names the place and a remedy, and nothing is written."""

import gc
import gzip
import pickle
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastmlp.files import arrow
from fastmlp.kernels.run import Run
from tables_in_files import check_told, contents, flowers, half, houses, run, write_csv

ROWS = "".join(f"{row}.5,{'uv'[row % 2]},{'xyz'[row % 3]}\n" for row in range(60))
GOOD = "a,t,y\n" + ROWS
# More rows than are looked at before all are read.
MANY = "a,t,y\n" + 100 * ROWS
TARGET = ("--target", "y")


def csv_of(content, encoding="utf-8"):
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))


def later(bad, encoding="utf-8"):
    """A good table whose line 5,000 is bad."""
    lines = MANY.splitlines(keepends=True)
    lines[4999] = bad
    return csv_of("".join(lines), encoding)


def npz_of(**arrays):
    return lambda path: np.savez(path, **arrays)


def parquet_of(**columns):
    return lambda path: parquet.write_table(pa.table(columns), path)


def damaged(write, change):
    """What is written, but for a change in the bytes."""

    def damage(path):
        write(path)
        path.write_bytes(change(path.read_bytes()))

    return damage


def overwritten(begin, end):
    """A change that puts other bytes to these places."""
    return lambda content: content[:begin] + bytes(byte ^ 0xA5 for byte in content[begin:end]) + content[end:]


def npy(path):
    with path.open("wb") as file:
        np.save(file, np.ones(9))


def zip_of_texts(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "no array")


UNIFORM = np.random.default_rng(9).random(20_000)
GZ = gzip.compress(MANY.encode() + "".join(f"{value},u,x\n" for value in UNIFORM).encode(), mtime=0)
BIG = npz_of(a=UNIFORM, y=np.arange(20_000) % 2)


def compressed_npz(path):
    np.savez_compressed(path, a=np.zeros(200_000), y=np.arange(200_000) % 2)


# Name: how the file ends, how it is written, options, and what must be told; beside this always the file's name.
BAD_TABLES = {
    "empty": ("csv", csv_of(""), (), ["the file is empty", "give one with a line of names"]),
    "blank lines alone": ("csv", csv_of("\n\n\r\n"), (), ["empty", "give"]),
    "header alone": ("csv", csv_of("a,t,y\n"), (), ["no rows below", "give at least one"]),
    "no header": ("csv", csv_of("1,2,3\n4,5,6\n"), (), ["line 1", "--no-header"]),
    "target that is not there": ("csv", csv_of(GOOD), ("--target", "yy"), ["no column 'yy'", "did you mean 'y'", "'t'"]),
    "--drop of no column": ("csv", csv_of(GOOD), ("--drop", "b"), ["no column 'b'", "--drop", "'a', 't', 'y'"]),
    "--category of no column": ("csv", csv_of(GOOD), ("--category", "b"), ["no column 'b'", "--category"]),
    "target dropped": ("csv", csv_of(GOOD), ("--drop", "y"), ["--drop names the target 'y'", "leave out another"]),
    "all others dropped": ("csv", csv_of(GOOD), ("--drop", "a", "--drop", "t"), ["no column beside the target", "give"]),
    "target alone": ("csv", csv_of("y\n" + "u\nv\n" * 9), (), ["no column beside the target 'y'", "give"]),
    "names twice": ("csv", csv_of("a,a,y\n1,2,u\n"), (), ["two columns are called 'a'", "give each"]),
    "short row": ("csv", csv_of(GOOD + "1.5,u\n"), (), ["line 62", "2 values, but the first line has 3", "mend"]),
    "long row": ("csv", csv_of(GOOD + "1,5,u,x\n"), (), ["line 62", "4 values", "quotes", "--delimiter"]),
    "short row later": ("csv", later("1.5,u\n"), (), ["line 5000", "2 values", "mend"]),
    "text among numbers": ("csv", csv_of(GOOD + "many,u,x\n"), (), ["line 62, column 'a'", "'many'", '--drop "a"']),
    "text among numbers later": ("csv", later("many,u,x\n"), (), ["line 5000, column 'a'", "'many'", '--drop "a"']),
    "decimal comma": ("csv", csv_of("a;y\n1.5;u\n2.5;v\n2,5;v\n"), (), ["line 4, column 'a'", "--decimal ','"]),
    "infinite": ("csv", csv_of(GOOD + "inf,u,x\n"), (), ["line 62, column 'a'", "inf is not finite", "leave"]),
    "infinite later": ("csv", later("-1e999,u,x\n"), (), ["line 5000, column 'a'", "-inf is not finite", "correct"]),
    "infinite target": ("csv", csv_of("a,y\n" + "1,2.5\n2,3\n" * 9 + "1,inf\n"), (), ["line 20, column 'y'", "not finite"]),
    "NUL bytes": ("csv", csv_of("a,y\n1,u\n2,v\n\0\0,u\n"), (), ["line 4, column 'a'", "correct it"]),
    "binary": ("csv", csv_of(bytes(range(256)) * 900), (), ["utf-8"]),
    "one long line": ("csv", csv_of("[" + "1, " * 90_000 + "]"), (), ["two columns", "give each"]),
    "one long value": ("csv", csv_of("x" * 200_000), (), ["line 1", "save it again"]),
    "quotes not closed": ("csv", csv_of(GOOD + '1.5,"u,x\n' + ROWS), (), ["not a CSV file", "save it again"]),
    "quotes not closed later": ("csv", later('1.5,"u,x\n'), (), ["line 5000", "not a CSV file", "save it again"]),
    "latin-1": ("csv", csv_of(GOOD + "1,ü,x\n", "latin-1"), (), ["line 62", "0xfc is not utf-8", "--encoding", "latin-1"]),
    "latin-1 later": ("csv", later("1,ü,x\n", "latin-1"), (), ["line 5000", "0xfc is not utf-8", "--encoding"]),
    "utf-16": ("csv", csv_of(GOOD, "utf-16"), (), ["in utf-16", "--encoding utf-16"]),
    "utf-16 without a mark": ("csv", csv_of(GOOD, "utf-16-le"), (), ["as utf-16 does", "--encoding"]),
    "ascii told": ("csv", csv_of(GOOD + "1,ü,x\n"), ("--encoding", "ascii"), ["line 62", "0xc3 is not ascii"]),
    "all missing": ("csv", csv_of("a,b,y\n" + "1,,u\n2,NA,v\n" * 9), (), ["column 'b'", "not one value", '--drop "b"']),
    "target all missing": ("csv", csv_of("a,y\n" + "1,\n2,NA\n" * 9), (), ["column 'y'", "missing in every", "--target"]),
    "one class": ("csv", csv_of("a,y\n" + "1,u\n2,u\n" * 9), (), ["column 'y'", "one class, 'u'", "give"]),
    "one number": ("csv", csv_of("a,y\n" + "1,2.5\n2,2.5\n" * 9), (), ["column 'y'", "all values are 2.5"]),
    "texts for regression": ("csv", csv_of(GOOD), ("--task", "regression"), ["column 'y'", "'x'", "needs numbers"]),
    "too many classes": (
        "csv", csv_of("a,y\n" + "".join(f"1,{row}\n" for row in range(60))), ("--task", "classification"),
        ["column 'y'", "60 different values in 60 rows", "--task regression"],
    ),
    "too many categories": (
        "csv", csv_of("a,y\n" + "".join(f"t{row},{row % 2}\n" for row in range(150))), (),
        ["column 'a'", "more than 100 different texts", '--drop "a"', "--most-categories"],
    ),
    "too few rows": ("csv", csv_of("a,y\n1,u\n2,v\n"), (), ["--test 0.2 of 2 rows", "give more rows"]),
    "class of one row": ("csv", csv_of("a,y\n1,u\n2,v\n3,u\n"), ("--test", "0.5"), ["--validation 0.1 of 2 rows", "more"]),
    "loss for classes": (
        "csv", csv_of("a,y\n" + "".join(f"1,{row}.5\n" for row in range(60))), ("--loss", "cross_entropy"),
        ["'y'", "--loss cross_entropy", "give --task"],
    ),
    "negative counts": (
        "csv", csv_of("a,y\n" + "".join(f"1,{row - 30}\n" for row in range(60))), ("--loss", "poisson"), ["-30", "poisson"],
    ),
    "too large": ("csv", csv_of("a,y\n" + "1e200,u\n-1e200,v\n" * 9), (), ["column 'a'"]),
    "gz that is none": ("csv.gz", csv_of(GOOD), (), ["gzip"]),
    "gz, cut off": ("csv.gz", csv_of(GZ[:-5000]), (), ["save it again"]),
    "gz, cut off early": ("csv.gz", csv_of(GZ[:15]), (), ["save it again"]),
    "gz, damaged early": ("csv.gz", csv_of(overwritten(12, 40)(GZ)), (), ["save it again"]),
    "gz, damaged": ("csv.gz", csv_of(overwritten(len(GZ) // 2, len(GZ) // 2 + 40)(GZ)), (), []),
    "gz, wrong sum": ("csv.gz", csv_of(overwritten(-8, -4)(GZ)), (), ["save it again"]),
    "kind that is not known": ("xlsx", csv_of(GOOD), (), ["not known by the end of its name", ".parquet"]),
    "parquet, cut off": ("parquet", damaged(parquet_of(a=UNIFORM, y=UNIFORM), half), (), ["not a whole Parquet"]),
    "parquet that is none": ("parquet", csv_of(GOOD), (), ["not a whole Parquet file", "again"]),
    "parquet, empty": ("parquet", csv_of(""), (), ["not a whole Parquet file"]),
    "parquet without rows": ("parquet", parquet_of(a=pa.array([], pa.int8()), y=pa.array([], pa.int8())), (), ["no rows"]),
    "parquet of dates": (
        "parquet", lambda path: pd.DataFrame({"a": pd.date_range("2020", periods=9), "y": range(9)}).to_parquet(path), (),
        ["column 'a'", "timestamp", "neither numbers nor texts", '--drop "a"'],
    ),
    "parquet of lists": ("parquet", parquet_of(a=[[1], [2]], y=[1, 2]), (), ["column 'a'", "list", '--drop "a"']),
    "parquet, infinite": ("parquet", parquet_of(a=[1.5, np.inf], y=[1, 2]), (), ["row 2, column 'a'", "not finite"]),
    "npz of objects": ("npz", npz_of(a=np.array([1, None], object), y=np.arange(2)), (), ["np.savez"]),
    "npz, 0-dimensional": ("npz", npz_of(a=np.ones(3), y=np.array(1)), (), ["array 'y'", "one or two dimensions"]),
    "npz, 3-dimensional": ("npz", npz_of(a=np.ones((2, 2, 2)), y=np.ones(2)), (), ["array 'a'", "one or two dimensions"]),
    "npz of complex numbers": ("npz", npz_of(a=np.ones(2) * 1j, y=np.ones(2)), (), ["array 'a'", "give numbers"]),
    "npz of different lengths": ("npz", npz_of(a=np.ones(3), y=np.ones(4)), (), ["a (3,), y (4,)", "as many rows"]),
    "npz without rows": ("npz", npz_of(a=np.ones(0), y=np.ones(0)), (), ["at least one"]),
    "npz without arrays": ("npz", npz_of(), (), ["do not make a table", "give"]),
    "npz, infinite": ("npz", npz_of(a=np.array([1, 2, -np.inf]), y=np.arange(3)), (), ["row 3, column 'a'", "not finite"]),
    "npz, cut off": ("npz", damaged(BIG, half), (), ["not an npz file", "np.savez"]),
    "npz, damaged": ("npz", damaged(BIG, overwritten(5000, 5040)), (), ["not an npz file", "np.savez"]),
    "npz, compressed and damaged": ("npz", damaged(compressed_npz, overwritten(60, 120)), (), ["not an npz file"]),
    "npz, empty": ("npz", csv_of(""), (), ["not an npz file", "np.savez"]),
    "npz that is text": ("npz", csv_of(GOOD), (), ["not an npz file", "np.savez"]),
    "npz that is a pickle": ("npz", csv_of(pickle.dumps([1])), (), ["not an npz file", "np.savez"]),
    "npz that is an npy": ("npz", npy, (), ["not an npz file", "np.savez"]),
    "npz that is another zip": ("npz", zip_of_texts, (), ["not an npz file", "np.savez"]),
    "folder": ("csv", lambda path: path.mkdir(), (), ["a folder", "give a file"]),
    "folder of that name": ("parquet", lambda path: path.mkdir(), (), ["a folder", "give a file"]),
    "no file": ("csv", lambda path: None, (), ["no such file"]),
}  # fmt: skip


@pytest.fixture
def no_training(monkeypatch):
    """Whatever is wrong is told before the training, which may take long; options alone are tried on the reference."""

    def begin(*_, **__):
        raise AssertionError("the training began")

    monkeypatch.setattr(Run, "__init__", begin)


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_table(name, tmp_path, no_training):
    suffix, write, options, told = BAD_TABLES[name]
    path = tmp_path / f"my table.{suffix}"
    write(path)
    (tmp_path / "model.safetensors").write_text("an earlier one")
    before = contents(tmp_path)
    target = () if "--target" in options else TARGET
    result = run("train", path, *target, "-o", tmp_path / "model.safetensors", "--epochs", 5, *options)
    check_told(result, 1, [str(path), *told])
    assert contents(tmp_path) == before
    # Files that are left open are warnings, which are errors here: of this file, not of a later test.
    del result
    gc.collect()


BAD_OPTIONS = {
    "--task": [("ranking", "choose classification or regression")],
    "--hidden": [
        ("0", "--hidden '0'"),
        ("ten", "--hidden 'ten'"),
        ("8,,8", "--hidden"),
        ("-1", "--hidden"),
        ("", "--hidden"),
    ],
    "--activation": [("sinus", "sinus"), ("", "activation")],
    "--loss": [("hinge", "hinge")],
    "--solver": [("newton", "newton")],
    "--learning-rate": [
        ("0", "--learning-rate"),
        ("nan", "--learning-rate"),
        ("-1", "--learning-rate"),
        ("fast", "--learning-rate"),
    ],
    "--l2": [("-1", "l2"), ("inf", "l2")],
    "--dropout": [("1", "dropout"), ("-0.1", "dropout")],
    "--batch": [("0", "--batch '0'"), ("some", "--batch 'some'"), ("1.5", "--batch")],
    "--epochs": [("0", "--epochs"), ("x", "--epochs")],
    "--validation": [("1.5", "--validation"), ("-0.1", "--validation"), ("1", "--validation"), ("nan", "--validation")],
    "--test": [("1", "--test"), ("2", "--test"), ("nan", "--test")],
    "--patience": [("0", "--patience")],
    "--seed": [("-1", "--seed")],
    "--dtype": [("float16", "float16")],
    "--threads": [("-1", "--threads")],
    "--most-categories": [("0", "--most-categories")],
    "--delimiter": [("", "--delimiter"), (",,", "one character, or tab"), ('"', "--delimiter"), ("\n", "--delimiter")],
    "--decimal": [(";", "choose . or ,"), ("", "--decimal")],
    "--encoding": [
        ("utf-9", "--encoding 'utf-9'"),
        ("hex", "--encoding 'hex'"),
        ("rot13", "--encoding"),
        ("", "--encoding"),
    ],
    "--new": [("1", "--new")],
}


@pytest.mark.parametrize(
    ("option", "value", "told"), [(option, *case) for option, cases in BAD_OPTIONS.items() for case in cases]
)
def test_bad_option(option, value, told, tmp_path, no_training):
    path = write_csv(tmp_path / "table.csv", flowers())
    before = contents(tmp_path)
    # Together with =, as a value may begin with a dash.
    result = run("train", path, "--target", "kind", f"{option}={value}", "-o", tmp_path / "model.safetensors")
    check_told(result, 2, [told])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_task_and_loss_that_contradict_each_other(loss, tmp_path, no_training):
    path = write_csv(tmp_path / "table.csv", flowers())
    task = "regression" if loss == "cross_entropy" else "classification"
    result = run("train", path, "--target", "kind", "--task", task, "--loss", loss, "-o", tmp_path / "model")
    check_told(result, 2, [f"--loss {loss}", f"--task {task}"])


def test_binary_loss_for_three_classes(tmp_path, no_training):
    path = write_csv(tmp_path / "table.csv", flowers())
    before = contents(tmp_path)
    result = run("train", path, "--target", "kind", "--loss", "binary_cross_entropy", "-o", tmp_path / "model")
    check_told(result, 1, ["3 classes", "takes two"])
    assert contents(tmp_path) == before


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    pd.DataFrame(flowers()).to_parquet(tmp_path / "table.parquet")
    before = contents(tmp_path)
    monkeypatch.setattr(arrow, "find_spec", lambda name: None)
    result = run("train", tmp_path / "table.parquet", "--target", "kind", "-o", tmp_path / "model")
    check_told(result, 1, ['pip install "fastmlp[files]"'])
    assert contents(tmp_path) == before


def test_diverging(tmp_path):
    """Not before the training, of course; and a warning of what happens on the way."""
    path = write_csv(tmp_path / "table.csv", houses())
    before = contents(tmp_path)
    options = ("--target", "price", "--learning-rate", "1e30", "--solver", "sgd", "-o", tmp_path / "model.safetensors")
    check_told(run("train", path, *options), 1, [str(path), "diverged", "--learning-rate"])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["no\nbreak \udcff.csv", "[b].csv", "\N{GRINNING FACE}.csv"])
def test_odd_names_of_files(name, tmp_path):
    """Whatever a file is called, what is wrong is told."""
    result = run("train", tmp_path / name, "--target", "y")
    check_told(result, 1, ["no such file"])
    write_csv(tmp_path / name, {"a": [1, 2, "x"], "y": ["u", "v", "u"]})
    check_told(run("train", tmp_path / name, "--target", "y"), 1, ["line 4, column 'a'", "'x' is no number"])


def test_place_that_cannot_be_written(tmp_path, no_training):
    path = write_csv(tmp_path / "table.csv", flowers())
    (tmp_path / "folder").mkdir()
    before = contents(tmp_path)
    for out in ("table.csv/model", "folder"):
        result = run("train", path, "--target", "kind", "-o", tmp_path / out)
        check_told(result, 2, ["--out", "give a", "file"])
        assert contents(tmp_path) == before
