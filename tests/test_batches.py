"""Which rows come next: orders, and data that are read some batches at a time."""

import numpy as np
import pytest

from fastmlp import batches, inputs, train
from fastmlp.batches import Orders, Streamed, read_rows
from resident import linux_alone, told_by

N, FEATURES = 3_000, 7


@pytest.fixture
def data(random):
    """Features that float16 and small integers hold, so that every type of them means the same."""
    X = random.integers(-8, 8, (N, FEATURES)) / 2
    return X, (X.sum(axis=1) > 0).astype(int)


class Rows:
    """What a data set in a file looks like: rows by increasing numbers or by slices, and nothing else."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype, self.most = array.shape, array.dtype, 0

    def __getitem__(self, rows):
        if isinstance(rows, np.ndarray):
            assert (np.diff(rows) > 0).all()
        self.most = max(self.most, len(self._array[rows]))
        return self._array[rows]


KINDS = {
    "float64": np.asarray,
    "float16": lambda X: X.astype(np.float16),
    "int64": lambda X: (2 * X).astype(np.int64),
    "int8": lambda X: (2 * X).astype(np.int8),
    "bool": lambda X: X > 0,
    "fortran": lambda X: np.asfortranarray(X.astype(np.float32)),
    "strided": lambda X: np.repeat(X.astype(np.float32), 2, axis=1)[:, ::2],
    "byte-swapped": lambda X: X.astype(np.dtype(np.float32).newbyteorder()),
    "data set": Rows,
}


@pytest.fixture
def small_steps(monkeypatch):
    """Everything is streamed, some hundred rows at a time."""
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    monkeypatch.setattr(inputs, "BYTES_CHECKED_AT_ONCE", 400 * FEATURES * 4)
    monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 400 * FEATURES * 4)


def fitted(X, y, **options):
    settings = {"hidden": 5, "epochs": 3, "batch_size": 64, "seed": 0, "dtype": "float32", **options}
    net = train(X, y, **settings)
    return net.params.tobytes() + net.loss_curve.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_streamed_rows_give_the_bits_of_rows_in_memory(data, kind, shuffle, monkeypatch, small_steps):
    X, y = data
    given = KINDS[kind](X)
    whole = np.ascontiguousarray(given._array if kind == "data set" else given, np.float32)
    streams = []
    monkeypatch.setattr("fastmlp.fitting.Streamed", lambda *args: streams.append(Streamed(*args)) or streams[-1])
    assert fitted(given, y, shuffle=shuffle) == fitted(whole, y, shuffle=shuffle)
    assert len(streams) == 1
    assert len(streams[0].X) == 384  # six batches
    if kind == "data set":
        assert 0 < given.most <= 400


@pytest.mark.parametrize("engine", ["kernels", "reference"])
@pytest.mark.parametrize("batch_size", [N - 1, N])
def test_streamed_rows_may_be_one_batch(data, engine, batch_size, small_steps):
    X, y = data
    options = {"hidden": 5, "epochs": 3, "batch_size": batch_size, "seed": 0, "dtype": "float32", "engine": engine}
    ours, theirs = (train(rows, y, **options) for rows in (X, X.astype(np.float32)))
    np.testing.assert_allclose(ours.loss_curve, theirs.loss_curve, rtol=1e-5)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-3, atol=1e-5)


def test_reference_reads_the_same_rows(data, small_steps):
    X, y = data
    assert fitted(X, y, engine="reference") == fitted(X.astype(np.float32), y, engine="reference")


def test_a_memory_map_is_trained_on_as_it_is(data, tmp_path):
    X, y = data
    path = tmp_path / "X.npy"
    np.save(path, X.astype(np.float32))
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert not inputs.is_streamed(mapped, mapped.dtype)
    assert fitted(mapped, y, dtype=None) == fitted(X, y)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((2_500, 3), np.nan, "X holds nan in row 2500, column 3"),
        ((401, 0), 1e300, "X: 1e\\+300 in row 401, column 0 is too"),
    ],
)
def test_bad_values_are_found_before_training(data, place, value, message, small_steps):
    X, y = data
    X[place] = value
    with pytest.raises(ValueError, match=message):
        fitted(X, y)


def test_bad_values_are_found_when_predicting(data, small_steps, monkeypatch):
    X, y = data
    net = train(X, y, 3, epochs=1, seed=0, dtype="float32")
    monkeypatch.setattr("fastmlp.inputs.ROWS_AT_ONCE", 1000)
    outputs = net.predict_proba(X.astype(np.float32))
    assert net.predict_proba(X).tobytes() == outputs.tobytes()
    X[2_100, 1] = np.inf
    with pytest.raises(ValueError, match="X holds inf in row 2100, column 1"):
        net.predict(X)


def test_wild_scales_are_seen_in_streamed_data(data, small_steps):
    X, y = data
    with pytest.warns(UserWarning, match="column 2 spreads"):
        fitted(X * [1, 1, 1000, 1, 1, 1, 1], y)


@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 20_000])
def test_blocks_of_rows_are_shuffled(n_samples):
    orders = Orders(np.random.default_rng(0), n_samples, by_blocks=True)
    drawn = np.empty((2, n_samples), np.int32)
    orders.draw(drawn)
    first, second = drawn
    for order in (first, second):
        np.testing.assert_array_equal(np.sort(order), np.arange(n_samples))
    if n_samples > 1:
        assert (first != second).any()
    if n_samples == 20_000:
        # Rows that are shuffled together come from 64 runs, so they are read in few places.
        together = np.sort(first[: 256 * 64])
        assert (np.diff(together) > 1).sum() <= 64
        assert (np.diff(first) != 1).mean() > 0.9


def test_unknown_shuffle_is_named(data):
    with pytest.raises(ValueError, match="shuffle='rows' is unknown"):
        fitted(*data, shuffle="rows")


@pytest.mark.parametrize("rows", [[3, 1, 2], [7, 0, 9], [5], [0, 1, 2, 3]])
def test_rows_are_read_in_the_wanted_order(rows):
    source = np.arange(30).reshape(10, 3)
    into = np.full((6, 3), -1.0)
    read_rows(Rows(source), np.array(rows, np.int32), into)
    np.testing.assert_array_equal(into[: len(rows)], source[rows])
    assert (into[len(rows) :] == -1).all()


# Trains on a file of about 200 MB; prints the greatest amount of memory that is not the file's, in bytes.
SCRIPT = """
import sys
import numpy as np
import fastmlp
from resident import Watch

path, dtype = sys.argv[1:]
X = np.load(path, mmap_mode="r")
y = np.arange(len(X)) % 2
fastmlp.train(np.zeros((100, 50), np.float32), y[:100], 4, epochs=1, batch_size=10, seed=0)
with Watch() as watch:
    fastmlp.train(X, y, 4, epochs=1, batch_size=1000, seed=0, dtype="float32")
print(watch.grown)
"""


@linux_alone
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_memory_does_not_grow_with_the_data(tmp_path, dtype):
    n_samples = 1_000_000
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", dtype, (n_samples, 50))
    for start in range(0, n_samples, 100_000):
        X[start : start + 100_000] = np.random.default_rng(start).standard_normal((100_000, 50))
    X.flush()
    del X
    # Labels, row order, what is read at once, and some for Python.
    assert told_by(SCRIPT, tmp_path / "X.npy", dtype) <= n_samples * (4 + 4 + 8) + 40_000_000
