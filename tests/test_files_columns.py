"""Columns: the numbers that scikit-learn would make of them, whatever parts they come in, whatever file they stand in."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastmlp.files.columns import Columns, Moments
from fastmlp.files.data import TEST, TRAIN, VALIDATION
from fastmlp.files.errors import TableError
from fastmlp.files.opening import open_table
from fastmlp.files.parts import Layout
from fastmlp.files.target import Target
from tables_in_files import data_of, in_small_parts, same, silent, whole, write_csv

USES = (TRAIN, VALIDATION, TEST)
EXACT = {"float32": 1e-6, "float64": 1e-12}
N_ROWS = 240


def columns_of(random):
    """Numbers of all sizes and texts, with what makes sums and tables hard."""
    near, far = random.normal(0, 1, N_ROWS), random.uniform(0, 500, N_ROWS)
    with_gaps, texts = random.normal(5, 2, N_ROWS), random.choice(["red", "green", "blue"], N_ROWS)
    return {
        "near": near.tolist(),
        # Seconds since 1970: in float32 alone all of them would be one.
        "far": (1.6e9 + far).tolist(),
        "far below zero": (-4e12 + 1000 * near).tolist(),
        "tiny": (1e-12 * (3 + near)).tolist(),
        "constant": [0.1] * N_ROWS,
        "constant and far": [1.6e9 + 0.1] * N_ROWS,
        "counts": random.poisson(3, N_ROWS).tolist(),
        "gaps": ["" if gap else value for value, gap in zip(with_gaps, random.random(N_ROWS) < 0.3, strict=True)],
        "mostly missing": [value if place % 40 == 0 else "" for place, value in enumerate(with_gaps)],
        "colour": texts.tolist(),
        "mood": [str(mood) for mood in random.choice(["good", "bad", "", "NA", "?", "so so"], N_ROWS)],
        "rare": ["once" if place == 17 else "often" for place in range(N_ROWS)],
        "alone": ["same"] * N_ROWS,
    }


def shares_and_row(data, columns):
    """Which row of the file each row of the data is, told by a column whose values all differ."""
    number = next(one for one in data.columns.numbers if one.name == "near")
    column = data.X[:, data.columns.numbers.index(number)].astype(np.float64) * number.scale + number.mean
    values = np.array(columns["near"])
    rows = np.abs(column[:, None] - values).argmin(axis=1)
    assert sorted(rows) == list(range(len(values)))
    return rows


def judged(columns, names_of_texts, rows_to_train_on):
    """What scikit-learn makes of all rows, having seen those to train on."""
    frame = pd.DataFrame({name: values for name, values in columns.items() if name != "y"})
    numbers = [name for name in frame if name not in names_of_texts]
    frame[numbers] = frame[numbers].replace("", np.nan).astype(float)
    frame[names_of_texts] = frame[names_of_texts].replace(["", "NA", "?"], np.nan).astype(object)
    frame[names_of_texts] = frame[names_of_texts].fillna("\U0010ffff")  # behind all other texts
    transformer = ColumnTransformer(
        [
            ("numbers", make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0)), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), names_of_texts),
        ]
    )
    transformer.fit(frame.iloc[rows_to_train_on])
    return transformer.transform(frame)


def rounded(columns):
    """By how much a value may be off for the mean's last digit alone: scikit-learn rounds it too."""
    far = [4 * np.finfo(np.float64).eps * abs(number.mean) / (number.scale or 1) for number in columns.numbers]
    return np.array(far + [0] * (columns.width - len(far)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["as drawn", "sorted", "sorted downwards", "gaps first"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_data_is_what_scikit_learn_makes(task, order, dtype, random, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, n_values=200, n_bytes=1500)
    columns = columns_of(random)
    columns["y"] = (
        random.integers(0, 3, N_ROWS).tolist() if task == "classification" else random.normal(3, 2, N_ROWS).tolist()
    )
    key = {
        "as drawn": lambda row: 0,
        "sorted": lambda row: columns["far"][row],
        "sorted downwards": lambda row: -columns["far"][row],
        "gaps first": lambda row: columns["gaps"][row] != "",
    }[order]
    rows = sorted(range(N_ROWS), key=key)
    columns = {name: [values[row] for row in rows] for name, values in columns.items()}
    path = write_csv(tmp_path / "table.csv", columns)
    data = data_of(path, "y", validation=0.2, test=0.25, dtype=dtype, seed=1)
    n_train, n_validation, n_test = data.counts
    assert (n_test, n_validation) == (60, 36)
    assert n_train + n_validation + n_test == N_ROWS == len(data.X)
    of_file = shares_and_row(data, columns)
    texts = ["colour", "mood", "rare", "alone"]
    expected = judged(columns, texts, of_file[:n_train])
    assert data.X.dtype == dtype
    assert np.isfinite(data.X).all()
    assert (np.abs(data.X - expected[of_file]) <= EXACT[dtype] + rounded(data.columns)).all()
    y = np.array(columns["y"])[of_file]
    if task == "regression":
        y = (y - y[:n_train].mean()) / y[:n_train].std()
    np.testing.assert_allclose(data.y, y, rtol=EXACT[dtype], atol=EXACT[dtype])


@pytest.mark.parametrize("order", ["the gaps first", "rows without a target first", "an outlier that is held out"])
def test_first_rows_do_not_cost_digits_of_the_others(order, tmp_path, monkeypatch):
    """The first part tells roughly where a column lies; there it has no values, or others than in the rows that count."""
    in_small_parts(monkeypatch, n_values=60, n_bytes=600)
    random = np.random.default_rng(6)
    columns = {"near": random.normal(0, 1, N_ROWS).tolist(), "far": (1.6e9 + random.uniform(0, 500, N_ROWS)).tolist()}
    columns["y"] = random.integers(0, 2, N_ROWS).tolist()
    path, wanted = write_csv(tmp_path / "table.csv", columns), {}
    if order == "the gaps first":
        columns["far"][:60] = [""] * 60
    elif order == "rows without a target first":
        columns["far"][:60], columns["y"][:60] = [0] * 60, [""] * 60
    else:
        wanted = {"test": 0.2}
        data = data_of(path, "y", **wanted)
        columns["far"][min(shares_and_row(data, columns)[data.counts[TRAIN] :])] = 0
    data = data_of(write_csv(path, columns), "y", **wanted)
    kept = {name: values[data.left_out :] for name, values in columns.items()}
    of_file = shares_and_row(data, kept)
    train = of_file[: data.counts[TRAIN]]
    np.testing.assert_allclose(data.X[: len(train)], judged(kept, [], train)[train], rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_a_part_are_those_of_the_data(dtype, random, tmp_path, monkeypatch):
    """What ``predict`` makes of a table is what ``train`` made of it."""
    in_small_parts(monkeypatch, n_values=150, n_bytes=1000)
    columns = columns_of(random) | {"y": random.integers(0, 2, N_ROWS).tolist()}
    path = write_csv(tmp_path / "table.csv", columns)
    data = data_of(path, "y", dtype=dtype)
    source = open_table(path, Layout())
    learnt = Columns.from_json(json.loads(json.dumps(data.columns.as_json())))
    rows = np.concatenate([learnt.rows(part, source, dtype) for part in source.parts(learnt.kinds, silent)])
    assert rows.dtype == dtype
    assert (np.abs(rows - data.X) <= EXACT[dtype] + rounded(learnt)).all()


@pytest.mark.parametrize("share", ["validation", "test"])
def test_rows_held_out_do_not_count(share, random, tmp_path):
    """They are replaced by wild ones, and nothing that is learnt changes."""
    columns = columns_of(random) | {"y": random.normal(0, 1, N_ROWS).tolist()}
    options = {share: 0.25, "seed": 5, "dtype": "float64"}
    data = data_of(write_csv(tmp_path / "table.csv", columns), "y", **options)
    rows = shares_and_row(data, columns)
    others = rows[data.counts[TRAIN] :]
    assert len(others) == N_ROWS // 4
    for row in others:
        columns["far"][row], columns["counts"][row], columns["gaps"][row] = -1e6, 1e5, ""
        columns["colour"][row], columns["mood"][row], columns["y"][row] = "yellow", "", 1e4
    wild = data_of(write_csv(tmp_path / "wild.csv", columns), "y", **options)
    train = slice(0, data.counts[TRAIN])
    for one, other in zip(data.columns.numbers, wild.columns.numbers, strict=True):
        assert one.missing == other.missing
        np.testing.assert_allclose([one.mean, one.scale], [other.mean, other.scale], rtol=1e-10)
    assert data.columns.categories == wild.columns.categories
    assert data.target == wild.target
    np.testing.assert_allclose(data.X[train], wild.X[train], rtol=1e-7, atol=1e-7)
    # And they are there, wild as they are: a category that did not occur is none.
    colours = slice(len(wild.columns.numbers), len(wild.columns.numbers) + 3)
    assert not wild.X[data.counts[TRAIN] :, colours].any()
    assert (wild.X[: data.counts[TRAIN], colours].sum(axis=1) == 1).all()


def test_json_round_trip_is_exact(random, tmp_path):
    columns = columns_of(random) | {"y": random.choice(["a", "b"], N_ROWS).tolist()}
    data = data_of(write_csv(tmp_path / "table.csv", columns), "y", test=0.2)
    for one, kind in ((data.columns, Columns), (data.target, Target)):
        assert asdict(kind.from_json(json.loads(json.dumps(one.as_json())))) == asdict(one)


@pytest.mark.parametrize("at_once", [1, 2, 7, 100])
@pytest.mark.parametrize("shift", [0, 1e3, 1.6e9, -1e12])
def test_moments_do_not_depend_on_the_parts(at_once, shift, random):
    rows = shift + random.normal(0, 1, (100, 3)) * [1, 100, 0]
    rows[random.random(rows.shape) < 0.2] = np.nan
    rows[:9, 1] = np.nan
    moments = Moments(3)
    for start in range(0, 100, at_once):
        moments.learn(rows[start : start + at_once])
    assert moments.count.tolist() == (~np.isnan(rows)).sum(axis=0).tolist()
    # About the shift, which is exact: what judges must not be rounded itself.
    near = rows - shift
    np.testing.assert_allclose(moments.mean - shift, np.nanmean(near, axis=0), rtol=1e-9, atol=abs(shift) * 1e-15 + 1e-12)
    np.testing.assert_allclose(moments.scale[:2], np.nanstd(near, axis=0)[:2], rtol=1e-12 + 1e-16 * abs(shift))
    assert moments.scale[2] == 1


@pytest.mark.parametrize("constant", [0.1, 1 / 3, -1e9 / 7, 1e-300])
def test_what_is_rounded_of_a_constant_is_no_deviation(constant):
    """Divided by it, a value of a new row would be 1e16 times as large as the net has seen."""
    for n_rows in range(1, 200, 7):
        for at_once in (1, 3, 10, 200):
            moments = Moments(1)
            for start in range(0, n_rows, at_once):
                moments.learn(np.full((min(at_once, n_rows - start), 1), constant))
            assert moments.scale.tolist() == [1]
            assert moments.mean[0] == pytest.approx(constant, rel=1e-14)


def test_rows_without_a_target_are_left_out(tmp_path, monkeypatch):
    in_small_parts(monkeypatch, n_values=8, n_bytes=30)
    columns = {"a": [1.0, 100.0, 2.0, -100.0, 3.0, 1e5], "t": [*"xzxyyz"], "y": ["u", "NA", "v", "", "u", "?"]}
    data = data_of(write_csv(tmp_path / "table.csv", columns), "y")
    assert data.left_out == 3
    assert data.columns.numbers[0].mean == pytest.approx(2)
    assert data.columns.categories[0].values == ["x", "y"]
    assert data.y.tolist() == [0, 1, 0]
    assert data.X[:, 1:].tolist() == [[1, 0], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([3, 1, 2] * 10, [1, 2, 3]),
        ([1.0, 0.0, -5.0] * 10, [-5, 0, 1]),
        (["b", "a", "10"] * 10, ["10", "a", "b"]),
        (["True", "False"] * 10, ["False", "True"]),
        (list(range(20)) * 2, list(range(20))),
        (list(range(21)) * 2, None),
        ([0.5, 1.5] * 10, None),
    ],
)
def test_target_is_classes_if_texts_or_few_whole_numbers(values, labels, tmp_path):
    path = write_csv(tmp_path / "table.csv", {"a": range(len(values)), "y": values})
    data = data_of(path, "y")
    target = data.target
    assert target.labels == labels
    # With no row held out they stand in their order.
    assert labels is None or [labels[place] for place in data.y] == values
    assert list(map(type, target.labels or [])) == list(map(type, labels or []))
    if labels is None or isinstance(labels[0], int):
        assert data_of(path, "y", task="classification").target.labels == sorted(set(values))
        assert data_of(path, "y", task="regression").target.labels is None


def frame_of(random, n_rows=120):
    return pd.DataFrame(
        {
            "floats": random.normal(0, 1, n_rows),
            "small floats": (random.integers(-200, 200, n_rows) / 64).astype(np.float32),
            "integers": random.integers(-5, 500, n_rows),
            "bytes": random.integers(0, 200, n_rows).astype(np.uint8),
            "flags": random.random(n_rows) < 0.5,
            "texts": random.choice(["x", "y, z", "ü"], n_rows),
            "kinds": pd.Categorical(random.choice(["low", "middle", "high"], n_rows), ["low", "middle", "high"]),
            "y": random.choice(["yes", "no"], n_rows),
        }
    )


def with_gaps(frame, random):
    """Some values missing, in columns that can tell so."""
    frame = frame.astype({"integers": "Int64", "flags": "boolean"})
    for name in ("floats", "integers", "flags", "texts", "kinds"):
        frame.loc[random.random(len(frame)) < 0.2, name] = None
    return frame


def equal_data(path, other, **wanted):
    one, two = (data_of(of, "y", validation=0.2, test=0.2, dtype="float64", **wanted) for of in (path, other))
    assert [asdict(column) for column in one.columns.categories] == [asdict(column) for column in two.columns.categories]
    assert [column.name for column in one.columns.numbers] == [column.name for column in two.columns.numbers]
    np.testing.assert_allclose(one.X, two.X, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.y, two.y, rtol=1e-9, atol=1e-9)
    assert (one.counts, one.left_out, one.target.labels) == (two.counts, two.left_out, two.target.labels)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("writer", ["pandas", "polars"])
def test_parquet_is_what_csv_is(writer, gaps, random, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, n_values=70, n_bytes=500)
    frame = frame_of(random)
    frame = with_gaps(frame, random) if gaps else frame
    frame.to_csv(tmp_path / "table.csv", index=False)
    if writer == "pandas":
        frame.to_parquet(tmp_path / "table.parquet", row_group_size=50)
    else:
        # Its categories have codes without a sign.
        pl.from_pandas(frame).with_columns(pl.col("kinds").cast(pl.Categorical)).write_parquet(
            tmp_path / "table.parquet", row_group_size=50
        )
    equal_data(tmp_path / "table.csv", tmp_path / "table.parquet")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None, 4] * 10, pa.int8()),
        pa.array([1.5, 2, None, 4] * 10, pa.float16()),
        pa.array([1, 2, None, 4] * 10).cast(pa.decimal128(30, 2)),
        pa.array([2**60 + 1, 5, None, 2**62] * 10),
        pa.array([2**63 + 1, 5, None, 2**62] * 10, pa.uint64()),
        pa.array([1, 2, None, 4] * 10).dictionary_encode(),
        pa.array(["a", "b", None, " c "] * 10, pa.large_string()),
        pa.array(["a", "b", None, "c"] * 10, pa.string_view()),
        pa.array(["a", "b", None, "NA"] * 10).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1] * 10, pa.uint32()), pa.array(["a", "b"])),
        pa.array([True, False, None, True] * 10),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("as_names", [False, True])
def test_types_of_parquet(column, as_names, tmp_path):
    y = ["u", "v"] * 20
    parquet.write_table(pa.table({"a": column, "y": y}), tmp_path / "table.parquet")
    values = ["" if value is None else value for value in column.to_pylist()]
    # Whole floats are written as the integers that they would be if none were missing.
    values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    write_csv(tmp_path / "table.csv", {"a": values, "y": y})
    layout = Layout(texts=["a"] if as_names else [])
    tables = [open_table(tmp_path / f"table.{suffix}", layout) for suffix in ("parquet", "csv")]
    assert tables[0].kinds() == tables[1].kinds()
    one, other = (whole(table) for table in tables)
    assert same(one["a"], other["a"])
    assert one["y"] == other["y"] == y


def test_a_category_that_no_row_has_is_none(tmp_path):
    """Tables that were cut from others name in Parquet what they no longer hold: in features and in the target."""
    frame = pd.DataFrame({"n": np.arange(30.0), "t": [*"xy"] * 15, "y": [*"uv"] * 15})
    names = [f"other {place}" for place in range(200)]
    frame["t"], frame["y"] = pd.Categorical(frame["t"], ["x", *names, "y"]), pd.Categorical(frame["y"], ["v", "u", "w"])
    frame.to_parquet(tmp_path / "table.parquet")
    data = data_of(tmp_path / "table.parquet", "y")
    assert data.columns.categories[0].values == ["x", "y"]
    assert data.target.labels == ["u", "v"]


def test_an_unused_category_is_not_new(tmp_path):
    frame = pd.DataFrame({"t": pd.Categorical([*"xy"] * 5, [*"zxy"]), "y": [*"uv"] * 5})
    frame.to_parquet(tmp_path / "table.parquet")
    columns = Columns.of({"t": "text"})
    columns.categories[0].values = ["x", "y"]
    source = open_table(tmp_path / "table.parquet", Layout())
    (part,) = source.parts(columns.kinds, silent)
    assert columns.rows(part, source, "float32").tolist() == [[1, 0], [0, 1]] * 5


def test_npz_is_what_csv_is(random, tmp_path, monkeypatch):
    in_small_parts(monkeypatch, n_values=70, n_bytes=500)
    frame = frame_of(random)
    frame.loc[random.random(len(frame)) < 0.2, "floats"] = np.nan
    frame.to_csv(tmp_path / "table.csv", index=False)
    arrays = {name: frame[name].to_numpy(str if name in ("texts", "kinds", "y") else None) for name in frame}
    np.savez(tmp_path / "table.npz", **arrays)
    equal_data(tmp_path / "table.csv", tmp_path / "table.npz")
    one, other = (whole(open_table(tmp_path / f"table.{suffix}", Layout())) for suffix in ("csv", "npz"))
    assert all(same(one[name], other[name]) for name in frame)
    np.savez_compressed(tmp_path / "table.npz", **arrays)
    equal_data(tmp_path / "table.csv", tmp_path / "table.npz")


def test_matrices_of_npz_are_columns_with_numbers_in_their_names(random, tmp_path):
    X, y = random.normal(0, 1, (30, 3)), np.arange(30) % 2
    np.savez(tmp_path / "table.npz", X=X, y=y)
    write_csv(tmp_path / "table.csv", {f"X[{place}]": X[:, place].tolist() for place in range(3)} | {"y": y.tolist()})
    equal_data(tmp_path / "table.csv", tmp_path / "table.npz")


def test_arrays_of_npz_that_would_have_one_name(tmp_path):
    """A column would be lost without a word."""
    np.savez(tmp_path / "table.npz", **{"X": np.zeros((9, 2)), "X[1]": np.ones(9), "y": np.arange(9)})
    with pytest.raises(TableError, match=r"two columns are called 'X\[1\]'"):
        open_table(tmp_path / "table.npz", Layout())
