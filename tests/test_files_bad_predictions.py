"""Bad rows to predict for, and bad models: told as bad tables are, and nothing is written."""

import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import fastmlp
from fastmlp.files.model import Model
from tables_in_files import check_told, contents, flowers, half, houses, run, words, write_csv


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = write_csv(tmp_path_factory.mktemp("model") / "table.csv", flowers())
    options = ("--hidden", "8", "--epochs", "5", "--no-pictures", "-o", path.with_name("model.safetensors"))
    assert run("train", path, "--target", "kind", *options).exit_code == 0
    return path.with_name("model.safetensors")


def changed(**columns):
    """The flowers with other columns; None leaves one out."""
    return {name: values for name, values in (flowers(60) | columns).items() if values is not None}


NUMBERS = flowers(60)["length"]
# Name: columns, and what is told beside the file's name.
BAD_NEW_ROWS = {
    "column missing": (changed(width=None), ["column 'width' is missing", "'length', 'width', 'colour'", "Give"]),
    "columns missing": (changed(width=None, colour=None), ["column 'width', 'colour' is missing"]),
    "other case": ({name.upper(): values for name, values in flowers().items()}, ["column 'length'", "'LENGTH'"]),
    "new category": (changed(colour=["red"] * 40 + ["mauve"] * 20), ["line 42, column 'colour'", "'mauve'", "as-none"]),
    "text for a number": (
        changed(length=NUMBERS[:50] + ["?", "long"] * 5),
        ["line 53, column 'length'", "'long'", "correct"],
    ),
    "infinite": (changed(length=NUMBERS[:50] + [-np.inf] * 10), ["line 52, column 'length'", "not finite"]),
    "no rows": ({name: [] for name in flowers()}, ["no rows", "give at least one"]),
}


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("name", BAD_NEW_ROWS)
def test_bad_new_rows(name, earlier, model, tmp_path):
    columns, told = BAD_NEW_ROWS[name]
    path = write_csv(tmp_path / "new.csv", columns)
    out = tmp_path / "out.csv" if earlier else tmp_path / "new folder" / "out.csv"
    if earlier:
        out.write_text("earlier ones")
    before = contents(tmp_path)
    check_told(run("predict", model, path, "-o", out), 1, [str(path), *told])
    assert contents(tmp_path) == before


def test_remedies_are_options_that_predict_has(model, tmp_path):
    path = write_csv(tmp_path / "new.csv", changed(length=NUMBERS[:50] + ["long"] * 10))
    told = run("predict", model, path, "-o", tmp_path / "out.csv").output
    offered = run("predict", "--help").output
    options = re.findall(r"--[a-z-]+", told)
    assert [option for option in options if option not in offered] == []


def test_what_fails_leaves_the_output_empty(model, tmp_path):
    """In a process of its own: a wrapper of the output that is let go writes what it holds, and closes the output."""
    path = write_csv(tmp_path / "new.csv", changed(length=NUMBERS[:50] + ["long"] * 10))
    command = [sys.executable, "-m", "fastmlp", "predict", model, path, "-o", "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "line 52, column 'length'" in result.stderr
    assert result.stdout == ""


DATES = pa.array(range(60), pa.timestamp("s"))
BAD_NEW_PARQUET = {
    "texts for numbers": ({"length": ["1", "2", "long"] * 20}, ["column 'length'"]),
    "dates for numbers": ({"length": DATES}, ["column 'length'"]),
    "lists for texts": ({"colour": [["red"]] * 60}, ["column 'colour'"]),
    "new category": ({"colour": ["red"] * 40 + ["mauve"] * 20}, ["row 41, column 'colour'", "'mauve'"]),
}


@pytest.mark.parametrize("name", BAD_NEW_PARQUET)
def test_bad_new_rows_in_parquet(name, model, tmp_path):
    columns, told = BAD_NEW_PARQUET[name]
    path = tmp_path / "new.parquet"
    parquet.write_table(pa.table(flowers(60) | columns), path)
    before = contents(tmp_path)
    result = run("predict", model, path, "-o", tmp_path / "out.csv")
    check_told(result, 1, [str(path), *told])
    # It is whole; what it holds is of another kind.
    assert "damaged" not in result.output
    assert contents(tmp_path) == before


def test_infinite_target_in_new_rows(tmp_path):
    columns = houses(60)
    path, model = write_csv(tmp_path / "table.csv", columns), tmp_path / "model.safetensors"
    run("train", path, "--target", "price", "--hidden", "4", "--epochs", "2", "--no-pictures", "-o", model)
    columns["price"][7] = np.inf
    write_csv(path, columns)
    # The net does not need it.
    told = run("predict", model, path, "-o", tmp_path / "out.csv")
    assert told.exit_code == 0
    assert "1 rows are not judged: their 'price' is no number, such as 'inf'." in words(told.output)
    assert "59 rows" in told.output


def of_python(path, model):
    fastmlp.train([[0.0], [1.0]] * 4, [0, 1] * 4, hidden=2, epochs=1).save(path)


# What stands in place of a model, and what is told.
BAD_MODELS = {
    "of Python": (of_python, ["a net without columns", "fastmlp.load(...).predict(X)"]),
    "cut off": (lambda path, model: path.write_bytes(half(model.read_bytes())), ["not a whole safetensors file"]),
    "damaged": (lambda path, model: path.write_bytes(model.read_bytes()[:-1] + b"x"), ["digest", "damaged"]),
    "header changed": (
        lambda path, model: path.write_bytes(model.read_bytes().replace(b"colour", b"kolour")), ["digest", "damaged"],
    ),
    "empty": (lambda path, model: path.write_bytes(b""), ["not a whole safetensors file"]),
    "a table": (lambda path, model: write_csv(path, flowers()), ["not a whole safetensors file"]),
    "a folder": (lambda path, model: path.mkdir(), []),
    "nothing": (lambda path, model: None, ["no such file"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_model(name, model, tmp_path):
    write, told = BAD_MODELS[name]
    write(tmp_path / "bad.safetensors", model)
    path = write_csv(tmp_path / "table.csv", flowers())
    before = contents(tmp_path)
    result = run("predict", tmp_path / "bad.safetensors", path, "-o", tmp_path / "out.csv")
    check_told(result, 1, [str(tmp_path / "bad.safetensors"), *told])
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "value"), [("--new-categories", "skip"), ("--decimal", ";"), ("--encoding", "hex"), ("-x", "")]
)
def test_bad_option_of_predict(option, value, model, tmp_path):
    result = run("predict", model, model.with_name("table.csv"), "-o", tmp_path / "out.csv", option, value)
    check_told(result, 2, [option])
    assert not contents(tmp_path)


def test_damaged_model_is_no_model_in_python_either(model, tmp_path):
    (tmp_path / "bad").write_bytes(half(model.read_bytes()))
    with pytest.raises(ValueError, match="not a whole"):
        Model.load(tmp_path / "bad")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_file_that_may_not_be_read(model, tmp_path):
    path = write_csv(tmp_path / "table.csv", flowers())
    path.chmod(0)
    check_told(run("train", path, "--target", "kind", "-o", tmp_path / "model"), 1, [str(path), "cannot be read"])
    check_told(run("predict", model, path, "-o", tmp_path / "out.csv"), 1, [str(path), "cannot be read"])


@pytest.mark.parametrize("command", ["train", "predict"])
def test_tables_are_not_overwritten(command, model, tmp_path):
    """By a slip of the hand the table itself is named as the place of what comes out."""
    path = write_csv(tmp_path / "table.csv", flowers())
    before = contents(tmp_path)
    arguments = (path, "--target", "kind", "--epochs", "2", "--no-pictures") if command == "train" else (model, path)
    result = run(command, *arguments, "-o", path)
    assert result.exit_code in (1, 2)
    assert str(path) in words(result.output)
    assert contents(tmp_path) == before
