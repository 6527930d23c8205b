"""``fastmlp train`` and ``fastmlp predict``: from a table to a model, from both to predictions."""

import re
import sys

import matplotlib.image
import numpy as np
import pytest

import fastmlp
from fastmlp.files.kept import Kept
from fastmlp.files.model import Model
from fastmlp.files.opening import open_table
from fastmlp.files.parts import Layout
from fastmlp.kernels.run import Run
from tables_in_files import contents, flowers, houses, in_small_parts, read_csv, run, silent, words, write_csv

SMALL = ("--hidden", "8", "--epochs", "30", "--learning-rate", "0.02", "--no-pictures")


def numbered(n_rows=90):
    """The flowers with kinds that are numbers, with a gap between them."""
    columns = flowers(n_rows)
    return columns | {"kind": [{"iris": 1, "rose": 2, "tulip": 10}[kind] for kind in columns["kind"]]}


TABLES = {"texts": (flowers(), "kind"), "integers": (numbered(), "kind"), "regression": (houses(), "price")}


def train(path, target, out, *options):
    result = run("train", path, "--target", target, "-o", out, *SMALL, *options)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module", params=TABLES)
def trained(request, tmp_path_factory):
    """The folder with table.csv and model.safetensors, the columns, the target's name, and what was told."""
    folder = tmp_path_factory.mktemp(request.param)
    columns, target = TABLES[request.param]
    write_csv(folder / "table.csv", columns)
    return folder, columns, target, train(folder / "table.csv", target, folder / "model.safetensors")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of the flowers."""
    folder = tmp_path_factory.mktemp("model")
    train(write_csv(folder / "table.csv", flowers()), "kind", folder / "model.safetensors")
    return folder / "model.safetensors"


def as_the_net_takes_it(model, path):
    source = open_table(path, Layout())
    kinds = model.columns.kinds
    rows = [model.columns.rows(part, source, model.network.dtype) for part in source.parts(kinds, silent)]
    return np.concatenate(rows)


def test_predictions_are_those_of_the_net(trained, tmp_path, monkeypatch):
    folder, columns, target, _ = trained
    # The predictions of many parts, one after the other.
    in_small_parts(monkeypatch, n_values=60, n_bytes=400)
    out = tmp_path / "out.csv"
    result = run("predict", folder / "model.safetensors", folder / "table.csv", "-o", out)
    assert result.exit_code == 0, result.output
    assert f"90 predictions: {out}" in words(result.output)
    names, *rows = read_csv(out)
    net = fastmlp.load(folder / "model.safetensors")
    model = Model.load(folder / "model.safetensors")
    X = as_the_net_takes_it(model, folder / "table.csv")
    assert names[0] == f"predicted {target}"
    assert len(rows) == len(X) == 90
    if net.classes is None:
        assert names == ["predicted price"]
        expected = model.target.mean + model.target.scale * net.predict(X).astype(float)
        np.testing.assert_allclose([float(value) for (value,) in rows], expected, rtol=1e-6)
        # In the target's units, and near it.
        assert np.corrcoef(expected, columns["price"])[0, 1] > 0.9
    else:
        labels = sorted(set(columns[target]))
        assert names[1:] == [f"probability of {label}" for label in labels]
        assert [row[0] for row in rows] == [str(label) for label in net.predict(X).tolist()]
        probabilities = np.array([row[1:] for row in rows], float)
        np.testing.assert_allclose(probabilities, net.predict_proba(X), atol=1e-5)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        assert (probabilities.argmax(axis=1) == [labels.index(type(labels[0])(row[0])) for row in rows]).all()


def test_score_is_told_where_the_target_is_in_the_file(trained, tmp_path):
    folder, columns, target, _ = trained
    result = run("predict", folder / "model.safetensors", folder / "table.csv", "-o", tmp_path / "out.csv")
    predicted = [row[0] for row in read_csv(tmp_path / "out.csv")[1:]]
    if target == "price":
        true, predicted = np.array(columns[target]), np.array(predicted, float)
        r2 = 1 - np.square(predicted - true).sum() / np.square(true - true.mean()).sum()
        assert f"R2 {r2:.4f} on 90 rows" in words(result.output)
        assert f"off by {np.abs(predicted - true).mean():.4g} on average" in words(result.output)
    else:
        right = np.mean([one == str(other) for one, other in zip(predicted, columns[target], strict=True)])
        assert right > 0.8
        assert f"{100 * right:.1f} % of 90 rows are right (accuracy {right:.4f})" in words(result.output)
        assert "the commonest class alone has 33.3 %" in words(result.output)


def test_score_counts_rows_with_a_known_target_alone(model, tmp_path):
    columns = flowers(30)
    columns["kind"][:3] = ["", "a kind never seen", "NA"]
    run_ = run("predict", model, write_csv(tmp_path / "table.csv", columns), "-o", tmp_path / "out.csv")
    assert "of 27 rows are right" in words(run_.output)
    assert len(read_csv(tmp_path / "out.csv")) == 31


def test_no_score_without_the_target(trained, tmp_path):
    folder, columns, target, _ = trained
    path = write_csv(tmp_path / "new.csv", {name: values for name, values in columns.items() if name != target})
    result = run("predict", folder / "model.safetensors", path, "-o", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    assert "right" not in result.output
    assert "R2" not in result.output
    run("predict", folder / "model.safetensors", folder / "table.csv", "-o", tmp_path / "with.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "with.csv").read_bytes()


def test_what_train_tells(trained):
    _, columns, _, result = trained
    text = words(result.output)
    assert "65 rows to train on, 7 to find the best epoch with, 18 to test on" in text
    assert re.search(r"\d-8-\d: \d+ epochs in", text)
    assert "18 test rows" in text
    for name in columns:
        assert name in text
    assert "mean" in text
    assert "category" in text
    assert "Traceback" not in text


def test_predictions_on_the_output_are_those_of_the_file(trained, tmp_path):
    folder, *_ = trained
    run("predict", folder / "model.safetensors", folder / "table.csv", "-o", tmp_path / "out.csv")
    before = contents(tmp_path)
    result = run("predict", folder / "model.safetensors", folder / "table.csv", "-o", "-")
    assert result.exit_code == 0
    # What is told besides goes to the other stream: the output is a table.
    assert result.stdout == (tmp_path / "out.csv").read_text()
    assert "90 predictions: on the output" in words(result.stderr)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["parquet", "npz", "csv.gz", "semicolons"])
def test_predictions_from_other_kinds_of_files(kind, model, tmp_path):
    import pandas as pd

    columns, options = flowers(), ()
    frame = pd.DataFrame(columns)
    path = tmp_path / f"table.{kind.replace('semicolons', 'csv')}"
    if kind == "parquet":
        frame.astype({"colour": "category"}).to_parquet(path)
    elif kind == "npz":
        np.savez(path, **{name: np.array(values) for name, values in columns.items()})
    elif kind == "csv.gz":
        frame.to_csv(path, index=False)
    else:
        frame.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-16")
        options = ("--decimal", ",", "--encoding", "utf-16", "--delimiter", ";")
    result = run("predict", model, path, "-o", tmp_path / "out.csv", *options)
    assert result.exit_code == 0, result.output
    run("predict", model, model.with_name("table.csv"), "-o", tmp_path / "of csv.csv")
    one, other = (read_csv(tmp_path / name) for name in ("out.csv", "of csv.csv"))
    assert [row[0] for row in one] == [row[0] for row in other]
    np.testing.assert_allclose(
        np.array([row[1:] for row in one[1:]], float), np.array([row[1:] for row in other[1:]], float), rtol=1e-4
    )


def test_columns_in_another_order_and_further_ones(model, tmp_path):
    columns = flowers()
    write_csv(tmp_path / "same.csv", columns)
    more = {"[red]note[/red]": ["x, y"] * 90, **dict(reversed(columns.items())), "when": ["2020-01-01"] * 90}
    write_csv(tmp_path / "other.csv", more)
    for name in ("same", "other"):
        result = run("predict", model, tmp_path / f"{name}.csv", "-o", tmp_path / f"{name} out.csv")
    assert "Not used: '[red]note[/red]', 'when'." in words(result.output)
    assert (tmp_path / "same out.csv").read_bytes() == (tmp_path / "other out.csv").read_bytes()


def test_missing_values_where_none_was_in_training(model, tmp_path):
    columns = flowers(6)
    columns["length"][2] = columns["colour"][4] = columns["colour"][5] = ""
    path = write_csv(tmp_path / "table.csv", columns)
    result = run("predict", model, path, "-o", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    text = words(result.output)
    assert "1 missing in 'length', where none was in training" in text
    assert "2 missing in 'colour'" in text
    X = as_the_net_takes_it(Model.load(model), path)
    assert X[2, 0] == 0
    assert X[:, 2:].sum(axis=1).tolist() == [1, 1, 1, 1, 0, 0]
    expected = fastmlp.load(model).predict(X).tolist()
    assert [row[0] for row in read_csv(tmp_path / "out.csv")[1:]] == expected


@pytest.mark.parametrize("name", ["[/b]", "[bold]", "$x$", "_y", "a\nb", "ü" * 40, "-o"])
def test_names_with_signs_that_mean_something_elsewhere(name, tmp_path):
    """Rich's markup, matplotlib's formulas and its names to hide: names are shown as they are."""
    columns = flowers(60)
    columns = {name: columns["length"], "width": columns["width"], f"{name} t": columns["kind"]}
    columns["width"][0] = ""
    path = write_csv(tmp_path / "table.csv", columns)
    options = ("--hidden", "4", "--epochs", "3")
    result = run("train", path, f"--target={name} t", "-o", tmp_path / "model.safetensors", *options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "model-losses.png").exists()
    columns[name][1] = ""
    result = run("predict", tmp_path / "model.safetensors", write_csv(path, columns), "-o", tmp_path / "out.csv")
    assert result.exit_code == 0, result.output
    assert words(f"1 missing in {name!r}, where none was in training") in words(result.output)


@pytest.mark.parametrize("label", ["[/b]", "$x", "$x^$", "_y", "a, b", 'a "b"', "日本", "\\alpha", "x" * 200])
def test_classes_with_signs_that_mean_something_elsewhere(label, tmp_path):
    columns = {"x": [*range(60)], "y": ["other", label] * 30}
    path = write_csv(tmp_path / "table.csv", columns)
    options = ("--hidden", "4", "--epochs", "3")
    result = run("train", path, "--target", "y", "-o", tmp_path / "model.safetensors", *options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "model-confusion.png").exists()
    assert run("predict", tmp_path / "model.safetensors", path, "-o", tmp_path / "out.csv").exit_code == 0
    assert f"probability of {label}" in read_csv(tmp_path / "out.csv")[0]


def test_new_categories_are_refused_or_taken_for_none(model, tmp_path):
    columns = flowers(6)
    columns["colour"][3] = "mauve"
    path = write_csv(tmp_path / "table.csv", columns)
    before = contents(tmp_path)
    result = run("predict", model, path, "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    text = words(result.output)
    assert f"{path}, line 5, column 'colour': 'mauve' did not occur in training" in text
    assert "'blue', 'red', 'white'" in text
    assert "--new-categories as-none" in text
    assert contents(tmp_path) == before
    result = run("predict", model, path, "-o", tmp_path / "out.csv", "--new-categories", "as-none")
    assert result.exit_code == 0, result.output
    columns["colour"][3] = ""
    write_csv(path, columns)
    run("predict", model, path, "-o", tmp_path / "of missing.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "of missing.csv").read_bytes()


def test_digits_of_numbers_far_from_zero(tmp_path):
    """Predicted seconds since 1970 are told apart, though their first eight digits are nearly the same."""
    x = np.arange(80.0)
    columns = {"x": x.tolist(), "y": (1.6e9 + 3 * x + 0.5).tolist()}
    path, out = write_csv(tmp_path / "table.csv", columns), tmp_path / "model.safetensors"
    train(path, "y", out, "--dtype", "float64", "--hidden", "none")
    run("predict", out, path, "-o", tmp_path / "out.csv")
    model = Model.load(out)
    expected, _ = model.predict(as_the_net_takes_it(model, path))
    told = np.array([row[0] for row in read_csv(tmp_path / "out.csv")[1:]], float)
    np.testing.assert_allclose(told - 1.6e9, expected - 1.6e9, atol=0.01)


@pytest.mark.parametrize(("table", "second"), [("texts", "confusion"), ("regression", "residuals")])
def test_pictures_show_something(table, second, tmp_path):
    columns, target = TABLES[table]
    path = write_csv(tmp_path / "table.csv", columns)
    out = tmp_path / "folder" / "my model.safetensors"
    result = run("train", path, "--target", target, "-o", out, "--hidden", "8", "--epochs", "10")
    assert result.exit_code == 0, result.output
    pictures = [out.with_name(f"my model-{name}.png") for name in ("losses", second)]
    assert sorted(out.parent.iterdir()) == sorted([out, *pictures])
    assert f"model: {out}" in words(result.output)
    for path in pictures:
        assert f"picture: {path}" in words(result.output)
        picture = matplotlib.image.imread(path)[..., :3]
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture @ (1, 2, 3))) > 50
        assert picture.std() > 0.05


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = write_csv(tmp_path / "table.csv", flowers())
    result = run("train", path, "--target", "kind", "-o", tmp_path / "model.safetensors", "--epochs", "2")
    assert result.exit_code == 0, result.output
    assert 'No pictures: pictures need matplotlib: pip install "fastmlp[plot]"' in words(result.output)
    assert sorted(contents(tmp_path), key=str) == sorted(map(type(path), ["model.safetensors", "table.csv"]))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    path = write_csv(tmp_path / "table.csv", flowers())
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(path, "kind", tmp_path / name, "--seed", seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("--solver", "lbfgs"),
        ("--solver", "rprop"),
        ("--batch", "full"),
        ("--hidden", "none", "--activation", "tanh"),
        ("--validation", "0"),
        ("--test", "0"),
        ("--test", "0", "--validation", "0"),
        # Half of the half that the test leaves: a quarter is left to train on.
        ("--test", "0.5", "--validation", "0.5"),
        ("--dropout", "0.1", "--l2", "0.01", "--threads", "1"),
        ("--dtype", "float64", "--drop", "width", "--category", "length", "--most-categories", "200"),
        ("--task", "classification", "--loss", "cross_entropy"),
    ],
    ids=" ".join,
)
def test_options(options, tmp_path):
    path = write_csv(tmp_path / "table.csv", flowers())
    result = train(path, "kind", tmp_path / "model.safetensors", *options)
    assert ("right" in result.output) == ("--test 0" not in " ".join(options) or "0.5" in options)
    # As none, as rows held out have lengths of their own where these are names.
    options = ("-o", tmp_path / "out.csv", "--new-categories", "as-none")
    assert run("predict", tmp_path / "model.safetensors", path, *options).exit_code == 0


def test_counts_by_poisson_loss(tmp_path):
    random = np.random.default_rng(2)
    x = random.uniform(0, 3, 200)
    path = write_csv(tmp_path / "table.csv", {"x": x.tolist(), "y": random.poisson(np.exp(x)).tolist()})
    options = ("--task", "regression", "--loss", "poisson", "--epochs", "200")
    result = train(path, "y", tmp_path / "model.safetensors", *options)
    assert "as it is" in result.output
    run("predict", tmp_path / "model.safetensors", path, "-o", tmp_path / "out.csv")
    told = np.array([row[0] for row in read_csv(tmp_path / "out.csv")[1:]], float)
    np.testing.assert_allclose(told.mean(), np.exp(x).mean(), rtol=0.3)


def interrupting(function, at):
    """The function, at whose `at`-th call Ctrl-C is pressed."""
    calls = iter(range(1, 1_000_000))

    def interrupted(*arguments, **options):
        if next(calls) == at:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return interrupted


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("where", ["reading", "first epoch"])
def test_interrupt_before_there_is_a_net(where, earlier, tmp_path, monkeypatch):
    path = write_csv(tmp_path / "table.csv", flowers())
    if earlier:
        (tmp_path / "model.safetensors").write_text("an earlier one")
    before = contents(tmp_path)
    if where == "reading":
        in_small_parts(monkeypatch)
        monkeypatch.setattr(Kept, "keep", interrupting(Kept.keep, 3))
    else:
        monkeypatch.setattr(Run, "advance", interrupting(Run.advance, 1))
    result = run("train", path, "--target", "kind", "-o", tmp_path / "model.safetensors", "--hidden", "8")
    assert result.exit_code == 130
    assert "Interrupted." in result.output
    assert contents(tmp_path) == before


def test_interrupt_in_training_keeps_the_net_so_far(tmp_path, monkeypatch):
    path, out = write_csv(tmp_path / "table.csv", flowers()), tmp_path / "model.safetensors"
    monkeypatch.setattr(Run, "advance", interrupting(Run.advance, 6))
    result = run("train", path, "--target", "kind", "-o", out, "--hidden", "8", "--epochs", "1000")
    assert result.exit_code == 130
    assert "Interrupted." in result.output
    assert f"model: {out}" in words(result.output)
    assert "18 test rows are right" in words(result.output)
    net = fastmlp.load(out)
    assert net.status == "interrupted"
    assert 0 < net.n_epochs < 1000
    # Without pictures: who presses Ctrl-C wants an end.
    assert sorted(contents(tmp_path), key=str) == sorted(map(type(path), ["model.safetensors", "table.csv"]))
    assert run("predict", out, path, "-o", tmp_path / "out.csv").exit_code == 0


@pytest.mark.parametrize("earlier", [False, True])
def test_interrupt_in_prediction_writes_nothing(earlier, model, tmp_path, monkeypatch):
    path = write_csv(tmp_path / "table.csv", flowers())
    if earlier:
        (tmp_path / "out.csv").write_text("earlier ones")
    before = contents(tmp_path)
    in_small_parts(monkeypatch)
    monkeypatch.setattr(Model, "predict", interrupting(Model.predict, 3))
    result = run("predict", model, path, "-o", tmp_path / "out.csv")
    assert result.exit_code == 130
    assert "Interrupted." in result.output
    assert contents(tmp_path) == before
