"""What tables and terminals have in store: nothing is misread, lost or overwritten without a word."""

import os
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from fastmlp import charts, plotting
from fastmlp.files.model import Model
from tables_in_files import contents, flowers, run, words, write_csv

QUICK = ("--hidden", "4", "--epochs", "2", "--no-pictures")


@pytest.fixture
def table(tmp_path):
    return write_csv(tmp_path / "table.csv", flowers())


def trained(path, target, *options):
    out = path.with_name("model.safetensors")
    result = run("train", path, "--target", target, "-o", out, *QUICK, *options)
    assert result.exit_code == 0, result.output
    return Model.load(out), words(result.output)


def test_reading_with_arrow_leaves_pandas_alone(table):
    """To import it takes time, and an interrupt in the midst of it is lost."""
    pd.DataFrame(flowers()).to_parquet(table.with_suffix(".parquet"))
    for path in (table, table.with_suffix(".parquet")):
        arguments = ["train", str(path), "--target", "kind", "-o", str(table.with_name("model")), *QUICK]
        script = f"import sys\nfrom fastmlp.cli import app\ntry:\n app({arguments})\nfinally:\n assert 'pandas' not in "
        script += "sys.modules"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "right" in done.stdout


@pytest.mark.parametrize("command", ["train", "predict"])
def test_what_is_read_is_never_written_over(command, table):
    trained(table, "kind")
    model = table.with_name("model.safetensors")
    link = table.with_name("link.csv")
    link.symlink_to(table)
    before = contents(table.parent)
    arguments = (table, "--target", "kind", *QUICK) if command == "train" else (model, table)
    for out in (table, link) if command == "train" else (table, link, model):
        result = run(command, *arguments, "-o", out)
        assert result.exit_code == 2
        assert "would take the place of what is read" in words(result.output)
        assert contents(table.parent) == before


def test_links_are_followed_and_pipes_written_to(table):
    trained(table, "kind")
    model = table.with_name("model.safetensors")
    place, link, pipe = (table.with_name(name) for name in ("place.csv", "link.csv", "pipe"))
    link.symlink_to(place)
    assert run("predict", model, table, "-o", link).exit_code == 0
    assert link.is_symlink()
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    assert run("predict", model, table, "-o", pipe).exit_code == 0
    reader.join(10)
    assert got == [place.read_text()]
    assert len(got[0].splitlines()) == 91


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ("a;y\n" + "1,5;u\n2;v\n" * 20, (), "line 2, column 'a': '1,5' is a number if its decimal sign is ','"),
        ("a;y\n" + "1;u\n" * 20 + "2,5;v\n" * 20, (), "line 22, column 'a': '2,5' is a number if"),
        ("a;y\n" + "1.5;u\n2;v\n" * 20, ("--decimal", ","), "'1.5' is a number if its decimal sign is '.'"),
        ("y;a\n" + '"1,234";u\n"5,678";v\n' * 20, (), "column 'y': '1,234' is a number if"),
        ("a,y\n" + "2021_01,u\n2021_02,v\n" * 20, (), "a category, 2"),
        ("a,y\n" + "00123,u\n00456,v\n" * 20, (), '--category "a" takes them for names'),
        (
            ",a,y\n" + "".join(f"{row},{row % 3},{'uv'[row % 2]}\n" for row in range(40)),
            (),
            "'column 1' has no name and counts",
        ),
        ("Price, EUR;y\n" + "4;u\n2;v\n" * 20, (), "Price, EUR number"),
        ('"a", "y"\n' + '1, "u, v"\n2, "w"\n' * 20, (), "2 classes 0 u, v"),
    ],
)
def test_what_looks_like_something_else(content, options, told, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(content)
    result = run("train", path, "--target", "y", "-o", tmp_path / "model", *QUICK, *options)
    assert told in words(result.output)
    assert result.exit_code == ("is a number if" in told)


@pytest.mark.parametrize("n_rows", [60, 1500])
def test_a_column_that_counts_the_rows_is_told(n_rows, tmp_path):
    rows = np.arange(n_rows)
    columns = {"row": rows + 1, "even": 2 * rows, "again": rows // 2, "y": np.array(["u", "v"])[rows % 2]}
    path = write_csv(tmp_path / "table.csv", {name: values.tolist() for name, values in columns.items()})
    _, told = trained(path, "y")
    assert [name for name in columns if f"Column '{name}' counts the rows" in told] == ["row"]


def test_a_column_that_was_always_the_same_does_not_count_later(tmp_path):
    columns = flowers() | {"site": [3.0] * 90}
    path = write_csv(tmp_path / "table.csv", columns)
    model, told = trained(path, "kind")
    assert "site number always 3: not looked at" in told
    assert [number.scale for number in model.columns.numbers if number.name == "site"] == [0.0]
    outputs = []
    for site in (3.0, 5000.0):
        write_csv(path, columns | {"site": [site] * 90})
        assert run("predict", path.with_name("model.safetensors"), path, "-o", tmp_path / "out.csv").exit_code == 0
        outputs.append((tmp_path / "out.csv").read_text())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("value", [1e300, -1e38, 3e37])
def test_numbers_beyond_the_dtype(value, tmp_path):
    path = write_csv(tmp_path / "table.csv", flowers() | {"length": [1.0] * 89 + [value]})
    result = run("train", path, "--target", "kind", *QUICK, "-o", tmp_path / "model")
    assert result.exit_code == 1
    assert "line 91, column 'length'" in words(result.output)
    assert "too large for float32" in words(result.output)


def test_rows_that_cannot_be_judged_are_told(table):
    trained(table, "kind")
    columns = flowers()
    columns["kind"][:5] = ["orchid"] * 3 + [""] * 2
    out = table.with_name("out.csv")
    told = words(run("predict", table.with_name("model.safetensors"), write_csv(table, columns), "-o", out).output)
    assert "of 85 rows are right" in told
    assert "2 rows without a 'kind' are not judged" in told
    assert "3 rows are not judged: their 'kind' is no class that the net knows, such as 'orchid'" in told


def test_predictions_have_all_their_digits(tmp_path):
    times = 1.7e9 + np.random.default_rng(0).uniform(0, 1000, 60)
    path = write_csv(tmp_path / "table.csv", {"x": (times - 1.7e9).tolist(), "t": times.tolist()})
    trained(path, "t")
    run("predict", tmp_path / "model.safetensors", path, "-o", tmp_path / "out.csv")
    predicted = np.loadtxt(tmp_path / "out.csv", skiprows=1)
    assert len(np.unique(predicted)) > 50


@pytest.mark.parametrize("name", ["[/x]", "[bold]", "cost_$_per_$", "_private", "価格", "x" * 200, "a\\b"])
def test_names_are_no_markup_and_no_mathematics(name, tmp_path):
    columns = {name: flowers()["length"], "kind": [f"{name} {kind}" for kind in flowers()["kind"]]}
    path, out = write_csv(tmp_path / "table.csv", columns), tmp_path / "model"
    for target in columns:
        result = run("train", path, "--target", target, "-o", out, "--hidden", "4", "--epochs", "2")
        assert result.exit_code == 0, result.output
        # A value that is missing, where none was, is told by the column's name.
        columns_new = {name: columns[name], "kind": columns["kind"]}
        write_csv(tmp_path / "new.csv", {key: ["", *values[1:]] for key, values in columns_new.items()})
        result = run("predict", out, tmp_path / "new.csv", "-o", tmp_path / "out.csv")
        assert result.exit_code == 0, result.output


def test_dollars_are_drawn_as_dollars():
    figure = charts.confusion_chart(["$0-$100", "$100-$200"], np.eye(2, dtype=int))
    label = figure.axes[0].get_xticklabels()[0]
    figure.canvas.draw()
    assert label.get_text().replace("\\$", "$") == "$0-$100"
    assert plotting.require_matplotlib() is None


def test_a_confusion_is_whole_in_a_narrow_terminal(tmp_path):
    labels = [f"class number {row % 12}" for row in range(120)]
    path = write_csv(tmp_path / "table.csv", {"x": np.arange(120.0).tolist(), "y": labels})
    told = run("train", path, "--target", "y", "-o", tmp_path / "model", *QUICK).output
    (header,) = [line for line in told.splitlines() if line.startswith("true, taken for")]
    assert header.split()[3:] == [str(place) for place in range(12)]
    assert "11: class number 9" in told


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_reader_that_has_enough_is_no_error(table):
    trained(table, "kind")
    arguments = ["predict", str(table.with_name("model.safetensors")), str(table), "-o", "-"]
    script = f"from fastmlp.cli import app\napp({arguments})"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert "Broken pipe" not in told
    assert "Traceback" not in told
