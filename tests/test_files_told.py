"""What ``fastmlp train`` tells of a table, and tables that are right though they look odd, from the file to predictions."""

import csv

import numpy as np
import pandas as pd
import pytest

import fastmlp
from fastmlp import charts
from fastmlp.files.columns import Columns
from fastmlp.files.data import TEST
from fastmlp.files.kept import Kept
from fastmlp.files.model import Model
from tables_in_files import data_of, flowers, houses, in_small_parts, read_csv, run, words, write_csv

QUICK = ("--hidden", "4", "--epochs", "3", "--no-pictures")


def round_trip(path, target, options=(), layout=(), new=None):
    """Train on a file and predict for it, or for another; what was told, and the rows that were written."""
    out, predictions = path.parent / "model.safetensors", path.parent / "out.csv"
    told = run("train", path, "--target", target, "-o", out, *QUICK, *layout, *options)
    assert told.exit_code == 0, told.output
    result = run("predict", out, path if new is None else new, "-o", predictions, *layout)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return words(told.output), words(result.output), read_csv(predictions)


def test_rows_without_a_target_are_told(tmp_path):
    columns = flowers(60)
    columns["kind"][10:14] = ["", "NA", "?", " "]
    told, judged, rows = round_trip(write_csv(tmp_path / "table.csv", columns), "kind")
    assert "4 rows without a 'kind' are left out." in told
    assert "of 56 rows are right" in judged
    # There is a line for each row of the file all the same.
    assert len(rows) == 61


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("begin", [0, 1, 5_000_000])
def test_a_column_that_counts_the_rows_is_told(begin, dtype, tmp_path):
    counts = np.random.default_rng(0).permutation(2000) + begin
    columns = {"a id": counts.tolist(), "x": (counts % 17).tolist(), "y": (counts % 2).tolist()}
    path = write_csv(tmp_path / "table.csv", columns)
    result = run("train", path, "--target", "y", "-o", tmp_path / "model", *QUICK, "--dtype", dtype)
    assert "Column 'a id' counts the rows; leave it out with --drop \"a id\"." in words(result.output)
    assert "Column 'x'" not in words(result.output)
    result = run("train", path, "--target", "y", "-o", tmp_path / "model", *QUICK, "--drop", "a id")
    assert "counts the rows" not in result.output


@pytest.mark.parametrize("name", ["with a gap", "twice", "missing"])
def test_a_column_that_does_not_count_the_rows(name, tmp_path):
    values = list(range(100))
    values[50] = {"with a gap": 100, "twice": 51, "missing": ""}[name]
    columns = {"x": values, "y": ["u", "v"] * 50}
    result = run("train", write_csv(tmp_path / "table.csv", columns), "--target", "y", "-o", tmp_path / "model", *QUICK)
    assert result.exit_code == 0
    assert "counts the rows" not in result.output


@pytest.mark.parametrize(("table", "target"), [(flowers(), "kind"), (houses(), "price")], ids=["flowers", "houses"])
def test_score_is_that_of_the_rows_held_out(table, target, tmp_path):
    path = write_csv(tmp_path / "table.csv", table)
    told, _, _ = round_trip(path, target, ("--epochs", "40", "--learning-rate", "0.03", "--seed", "7"))
    data = data_of(path, target, validation=0.1, test=0.2, seed=7)
    X, true = data.rows(TEST)
    predicted, _ = Model.load(tmp_path / "model.safetensors").predict(X)
    if target == "kind":
        right = float(np.mean(predicted == np.array(data.target.labels)[true]))
        assert f"{100 * right:.1f} % of 18 test rows are right (accuracy {right:.4f})" in told
    else:
        true = data.target.mean + data.target.scale * true
        r2 = 1 - np.square(predicted - true).sum() / np.square(true - true.mean()).sum()
        assert f"R2 {r2:.4f} on 18 test rows" in told
        assert r2 > 0.5


def test_rows_without_a_target_are_not_judged(tmp_path):
    columns = houses(60)
    path = write_csv(tmp_path / "table.csv", columns)
    some = columns | {"price": [""] * 20 + columns["price"][20:]}
    _, judged, _ = round_trip(path, "price", new=write_csv(tmp_path / "new.csv", some))
    assert "on 40 rows" in judged
    _, judged, rows = round_trip(path, "price", new=write_csv(tmp_path / "new.csv", columns | {"price": [""] * 60}))
    assert "R2" not in judged
    assert len(rows) == 61


def test_missing_values_are_told_only_where_none_was_in_training(tmp_path):
    columns = flowers(60)
    columns["length"][3:6], columns["colour"][9:12] = [""] * 3, ["NA"] * 3
    _, judged, _ = round_trip(write_csv(tmp_path / "table.csv", columns), "kind", ("--test", "0", "--validation", "0"))
    assert "missing in" not in judged


def test_moments_and_categories_are_told_of_the_rows_to_train_on(tmp_path):
    columns = flowers(60)
    columns["length"][:2], columns["colour"][:4] = ["", ""], [""] * 4
    path = write_csv(tmp_path / "table.csv", columns)
    told, _, _ = round_trip(path, "kind", ("--test", "0", "--validation", "0"))
    known = np.array(columns["length"][2:], float)
    assert f"length number 2 mean {known.mean():.4g}, sd {known.std():.4g}" in told
    assert "colour category, 4 4 blue, red, white, (missing)" in told
    assert "kind target, 3 classes 0 iris 20, rose 20, tulip 20" in told


def test_wide_tables_and_long_texts_are_cut_short(tmp_path):
    random = np.random.default_rng(1)
    columns = {f"n{place}": random.normal(0, 1, 60).tolist() for place in range(60)}
    columns |= {f"t{place}": random.choice(["x" * 500, *"abcdefghijk"], 60).tolist() for place in range(5)}
    told, _, rows = round_trip(write_csv(tmp_path / "table.csv", columns | {"y": [0, 1] * 30}), "y")
    assert "n39" in told
    assert "n40" not in told
    assert "20 more of number, 5 more of category" in told
    assert len(rows) == 61


def test_what_is_printed_has_no_marks_of_the_terminal(tmp_path):
    """Where the output is no terminal it goes to a file or a pipe: no colours, no bars."""
    result = run(
        "train", write_csv(tmp_path / "table.csv", flowers()), "--target", "kind", "-o", tmp_path / "model", *QUICK
    )
    assert "\x1b" not in result.output
    assert "\r" not in result.output


@pytest.mark.parametrize(
    "labels", [[0.5, 1.5, -2.25], [-3, 0, 7], ["10", "z", "x"], [True, False], [1e6, 2e6], [1e20, 2e20]]
)
def test_labels_are_written_as_they_were_read(labels, tmp_path):
    columns = {
        "x": np.random.default_rng(1).normal(0, 1, 60).tolist(),
        "y": [labels[place % len(labels)] for place in range(60)],
    }
    path = write_csv(tmp_path / "table.csv", columns)
    _, judged, rows = round_trip(path, "y", ("--task", "classification"))
    assert "of 60 rows are right" in judged
    read = [name.removeprefix("probability of ") for name in rows[0][1:]]
    kind = str if isinstance(labels[0], (str, bool)) else float
    assert sorted(map(kind, read)) == sorted(map(kind, labels))
    assert {row[0] for row in rows[1:]} <= set(read)


def test_no_header(tmp_path):
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(zip(*flowers(60).values(), strict=True))
    told, judged, rows = round_trip(path, "column 4", layout=("--no-header",))
    assert "column 3 category" in told
    assert "of 60 rows are right" in judged
    assert rows[0][0] == "predicted column 4"
    assert len(rows) == 61


@pytest.mark.parametrize(("name", "delimiter"), [("tab", "\t"), ("\\t", "\t"), ("space", " "), ("|", "|"), ("x", "x")])
def test_names_of_delimiters(name, delimiter, tmp_path):
    path = write_csv(tmp_path / "table.csv", flowers(60), delimiter=delimiter)
    _, judged, _ = round_trip(path, "kind", layout=("--delimiter", name))
    assert "of 60 rows are right" in judged


@pytest.mark.parametrize("first", ["", "\n" * 500, " \n" * 500])
def test_long_gaps_of_blank_lines(first, tmp_path, monkeypatch):
    """A part of the file may hold no row at all."""
    in_small_parts(monkeypatch, n_values=20, n_bytes=50)
    columns = flowers(60)
    lines = write_csv(tmp_path / "rows.csv", columns).read_text().splitlines(keepends=True)
    path = tmp_path / "table.csv"
    path.write_text(lines[0] + first + "".join(lines[1:30]) + "\n" * 500 + "".join(lines[30:]) + "\n" * 500)
    _, _, rows = round_trip(path, "kind")
    _, _, expected = round_trip(tmp_path / "rows.csv", "kind")
    assert [row[0] for row in rows] == [row[0] for row in expected]


@pytest.mark.parametrize("end", ["csv", "tsv", "txt", "data", "CSV", "csv.gz", "parquet", "pq", "npz"])
def test_ends_of_names(end, tmp_path):
    path, frame = tmp_path / f"table.{end}", pd.DataFrame(flowers(60))
    if end in ("parquet", "pq"):
        frame.to_parquet(path)
    elif end == "npz":
        np.savez(path, **{name: frame[name].to_numpy(str if name in ("kind", "colour") else float) for name in frame})
    else:
        frame.to_csv(path, index=False, sep="\t" if end == "tsv" else ",")
    _, judged, _ = round_trip(path, "kind")
    assert "of 60 rows are right" in judged


def test_target_of_another_kind_in_the_file_to_predict_for(tmp_path):
    """It is there to judge by; where it cannot, the predictions are made all the same."""
    columns = houses(60)
    path = write_csv(tmp_path / "table.csv", columns)
    new = write_csv(tmp_path / "new.csv", columns | {"price": ["unknown"] * 60})
    _, judged, rows = round_trip(path, "price", new=new)
    assert "R2" not in judged
    assert len(rows) == 61


def test_numbers_as_names_are_the_same_in_parquet_with_gaps(tmp_path):
    """pandas makes floats of whole numbers as soon as one is missing: 3.0 is the name 3 of the CSV file."""
    frame = pd.DataFrame({"zone": [1, 2, 3] * 20, "x": np.arange(60.0) % 7, "y": ["u", "v"] * 30})
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.loc[5, "zone"] = None
    assert frame["zone"].dtype == "float64"
    frame.to_parquet(tmp_path / "new.parquet")
    _, _, rows = round_trip(tmp_path / "table.csv", "y", ("--category", "zone"), new=tmp_path / "new.parquet")
    assert len(rows) == 61


def test_huge_and_tiny_numbers(tmp_path, monkeypatch):
    """Later rows may be far from the first ones, beyond what float32 can tell in units of these."""
    in_small_parts(monkeypatch, n_values=40, n_bytes=300)
    random = np.random.default_rng(3)
    values = np.where(np.arange(100) < 40, 1e-30, 1e10) * random.normal(1, 0.1, 100)
    path = write_csv(tmp_path / "table.csv", {"x": values.tolist(), "y": [0, 1] * 50})
    data = data_of(path, "y")
    number = data.columns.numbers[0]
    assert number.mean == pytest.approx(values.mean())
    assert number.scale == pytest.approx(values.std())
    expected = np.sort((values - values.mean()) / values.std())
    np.testing.assert_allclose(np.sort(data.X[:, 0]), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_predictions_do_not_depend_on_how_the_file_is_cut(seed, tmp_path, monkeypatch):
    path = write_csv(tmp_path / "table.csv", flowers(90, seed))
    round_trip(path, "kind")
    model, out = tmp_path / "model.safetensors", tmp_path / "out.csv"
    run("predict", model, path, "-o", out)
    whole = out.read_bytes()
    for n_values, n_bytes in ((1, 40), (30, 300), (50, 777)):
        in_small_parts(monkeypatch, n_values, n_bytes)
        run("predict", model, path, "-o", out)
        assert out.read_bytes() == whole


def test_what_the_model_knows_is_what_was_learnt(tmp_path, monkeypatch):
    """Nothing is lost on the way through the file, in which fastmlp.load finds the net alone."""
    path = write_csv(tmp_path / "table.csv", flowers(60))
    learnt = []
    learn = Kept.learn

    def learning(kept, trains):
        learn(kept, trains)
        learnt.append(Columns.from_json(kept.columns.as_json()))

    monkeypatch.setattr(Kept, "learn", learning)
    round_trip(path, "kind")
    model = Model.load(tmp_path / "model.safetensors")
    assert [model.columns] == learnt
    assert model.target.labels == ["iris", "rose", "tulip"]
    assert fastmlp.load(tmp_path / "model.safetensors").classes.tolist() == model.target.labels


def test_confusion_chart_has_true_classes_in_rows():
    (ax,) = charts.confusion_chart(["a", "b"], np.array([[5, 3], [0, 1200]])).axes
    # From left to right what it was taken for, from top to bottom what it is; nothing where there is nothing.
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(0, 0): "5", (1, 0): "3", (1, 1): "1,200"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("taken for", "true class")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_title() == "99.8% right"
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.625, 0.375], [0, 1]])


def test_residuals_chart_shows_some_of_many_points():
    true = np.arange(60_000.0)
    left, right = charts.residuals_chart(true, true + 5, "price").axes
    for ax, expected in ((left, lambda x: x - 5), (right, lambda x: np.full(len(x), -5))):
        x, y = np.asarray(ax.collections[0].get_offsets()).T
        assert 4000 < len(x) <= 6000
        assert x.max() > 59_000
        np.testing.assert_allclose(y, expected(x))
