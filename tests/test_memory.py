"""What a run allocates beside its data, by tracemalloc, which NumPy reports to."""

import json
import subprocess
import sys

import pytest

MEGABYTE = 1_000_000
ALLOWED = 8 * MEGABYTE
N = 1_500_000

# Measures the peak of what Python and NumPy allocate during a second run; the first has loaded and compiled everything.
SCRIPT = """
import json, sys, tracemalloc
import numpy as np
import fastmlp

n, dtype, targets, batch_size, epochs = json.loads(sys.argv[1])
random = np.random.default_rng(0)
X = random.standard_normal((n, 5)).astype(dtype)
y = {"values": X[:, 0] * 2, "classes": (X[:, 0] > 0).astype(np.int64), "several": X[:, :2] > 0}[targets]
options = dict(hidden=8, batch_size=batch_size and min(batch_size, n), epochs=epochs, seed=0)
fastmlp.train(X[:1000].copy(), y[:1000].copy(), **{**options, "batch_size": batch_size and 100})
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
net = fastmlp.train(X, y, **options)
peak = tracemalloc.get_traced_memory()[1] - before
tracemalloc.reset_peak()
before = tracemalloc.get_traced_memory()[0]
out = net.predict(X)
print(json.dumps([peak, tracemalloc.get_traced_memory()[1] - before, out.nbytes, str(net.dtype)]))
"""


def measure(*arguments):
    """Peak bytes beside X and y while training, while predicting, and the bytes of the predictions."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *peaks, dtype = json.loads(done.stdout)
    assert dtype == arguments[1]
    return peaks


@pytest.mark.parametrize("targets", ["values", "classes", "several"])
def test_minibatches_take_a_copy_of_the_targets_and_a_row_order(targets):
    outputs = 2 if targets == "several" else 1
    training, predicting, predictions = measure(N, "float32", targets, 1000, 1)
    assert training <= 4 * N * outputs + 4 * N + ALLOWED
    # Outputs of the net, of which there are two for two classes, and what is made of them.
    assert predicting <= 4 * N * 2 + predictions + ALLOWED


def test_full_batches_take_a_copy_of_the_data():
    training, _, _ = measure(N, "float64", "values", None, 1)
    assert training <= 8 * N * (5 + 1) + ALLOWED
