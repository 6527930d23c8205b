"""Nets of every kind that can be exported, and what two runtimes make of them."""

from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from fastmlp.network import Network
from fastmlp.options import Activation, Loss

# The greatest difference from ours, as a share of the greatest value.
TOLERANCES = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
# What can be predicted: a loss, outputs, labels, and whether there is one value for each row.
KINDS = {
    "int64": (Loss.CROSS_ENTROPY, 3, np.array([-5, 2**31 + 7, 2**40]), True),
    "uint8": (Loss.CROSS_ENTROPY, 4, np.array([0, 7, 200, 255], np.uint8), True),
    "uint64": (Loss.CROSS_ENTROPY, 3, np.array([1, 2**63, 2**64 - 1], np.uint64), True),
    "bool": (Loss.CROSS_ENTROPY, 2, np.array([False, True]), True),
    "text": (Loss.CROSS_ENTROPY, 3, np.array(["", "zwölf", "二"]), True),
    "objects of text": (Loss.CROSS_ENTROPY, 2, np.array(["no", "yes"], object), True),
    "objects of integers": (Loss.CROSS_ENTROPY, 2, np.array([3, 2**60], object), True),
    "float": (Loss.CROSS_ENTROPY, 3, np.array([-0.5, 1.25, 1e300]), True),
    "two classes, one output, int": (Loss.BINARY_CROSS_ENTROPY, 1, np.array([-(2**62), 2**62]), True),
    "two classes, one output, text": (Loss.BINARY_CROSS_ENTROPY, 1, np.array(["ham", "spam"]), True),
    "one class": (Loss.BINARY_CROSS_ENTROPY, 1, np.array([7]), True),
    "labels": (Loss.BINARY_CROSS_ENTROPY, 3, None, False),
    "squared error": (Loss.SQUARED_ERROR, 1, None, True),
    "squared error, several": (Loss.SQUARED_ERROR, 3, None, False),
    "absolute error": (Loss.ABSOLUTE_ERROR, 2, None, False),
    "huber": (Loss.HUBER, 1, None, True),
    "quantile": (Loss.QUANTILE, 1, None, False),
    "poisson": (Loss.POISSON, 1, None, True),
    "poisson, several": (Loss.POISSON, 2, None, False),
}


def network(random, kind, hidden, activations, dtype, n_features=4, scale=1.0):
    """A net of this kind with random parameters."""
    loss, n_outputs, classes, flat = KINDS[kind]
    sizes = (n_features, *hidden, n_outputs)
    parts = [scale * random.standard_normal((a, b)) / np.sqrt(a) for a, b in pairwise(sizes)]
    params = np.concatenate([part.ravel() for part in parts] + [random.standard_normal(sum(sizes[1:]))])
    names = tuple(Activation[name.upper()] for name in activations)
    return Network(sizes, names, loss, params.astype(dtype), classes, flat, np.empty(0, dtype))


def run(model, X):
    """What onnxruntime and ONNX's own evaluator give: each a dict from names to arrays."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    evaluator = ReferenceEvaluator(model)
    # The evaluator computes both branches of its functions, and an exponential in one of them may overflow.
    with np.errstate(all="ignore"):
        return [
            dict(zip([output.name for output in model.graph.output], runtime.run(None, {"X": X}), strict=True))
            for runtime in (session, evaluator)
        ]


def check_equal(net, path, X):
    """Check a net's file, and that both runtimes predict from it what the net does."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    tolerance = TOLERANCES[net.dtype]
    for given in run(model, X):
        if not net.is_classifier:
            assert set(given) == {"variable"}
            check_close(given["variable"], net.predict(X), tolerance)
            continue
        assert list(given) == ["label", "probabilities"]
        ours, probabilities = net.predict(X), net.predict_proba(X)
        check_close(given["probabilities"], probabilities, tolerance)
        assert given["label"].shape == ours.shape
        assert (given["label"] == ours)[are_clear(net, probabilities, tolerance)].all()


def check_close(given, ours, tolerance):
    assert given.shape == ours.shape
    assert given.dtype == ours.dtype
    assert np.isfinite(given).all()
    np.testing.assert_allclose(given, ours, rtol=0, atol=tolerance * np.abs(ours).max(initial=1e-30))


def are_clear(net, probabilities, tolerance):
    """Where rounding cannot decide which label it is."""
    if net.classes is None:
        return np.abs(probabilities - 0.5) > tolerance
    if len(net.classes) == 1:
        return np.full(len(probabilities), True)
    ordered = np.sort(probabilities, axis=1)
    return ordered[:, -1] - ordered[:, -2] > 2 * tolerance
