"""Nets as ONNX files and as scikit-learn's estimators."""

import pickle
import sys

import numpy as np
import onnx
import pytest
import sklearn.neural_network
from sklearn.base import clone

import fastmlp
from fastmlp import export, train
from fastmlp.network import Network
from fastmlp.options import Activation, Loss
from runtimes import KINDS, check_equal, network, run

ACTIVATIONS = [member.name.lower() for member in Activation]
DTYPES = [np.float32, np.float64]


def exported(net, X, tmp_path):
    """What both runtimes make of a net."""
    return run(onnx.load(net.to_onnx(tmp_path / "net.onnx")), X)


# ONNX.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_over_their_whole_range(tmp_path, activation, dtype):
    """One unit with weight 1 and another behind it: the curve itself, near 0 and far from it."""
    net = Network((1, 1, 1), (Activation[activation.upper()],), Loss.SQUARED_ERROR, np.array([1, 1, 0, 0], dtype),
                  None, True, np.empty(0))  # fmt: skip
    sizes = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 60)]).astype(dtype)
    ours, eps = net.predict(np.append(sizes, -sizes)[:, np.newaxis]), np.finfo(dtype).eps
    for given in exported(net, np.append(sizes, -sizes)[:, np.newaxis], tmp_path):
        assert np.isfinite(given["variable"]).all()
        # Both ends are close to what is wanted in relation to it: runtimes' own exponentials are off by some units.
        far = 40 * eps * np.abs(ours) + (8 * eps if activation in ("gelu", "logistic", "silu") else eps / 100)
        assert (np.abs(given["variable"] - ours) <= far).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_outputs(random, tmp_path, kind, dtype):
    for hidden in ((), (5,)):
        net = network(random, kind, hidden, ["tanh"] * len(hidden), dtype)
        path = net.to_onnx(tmp_path / "net.onnx")
        for rows in (1, 37):
            check_equal(net, path, random.normal(0, 3, (rows, 4)).astype(dtype))


def test_what_a_file_says_of_itself(blobs, tmp_path):
    X, y = blobs
    net = train(X, np.array(["a", "b", "c"])[y], (4, 3), activation=["gelu", "relu"], epochs=2, seed=0, dtype="float32")
    path = net.to_onnx(str(tmp_path / "net.onnx"))
    assert path == tmp_path / "net.onnx"
    model = onnx.load(path)
    assert (model.producer_name, model.producer_version) == ("fastmlp", fastmlp.__version__)
    assert "2-4-3-3 (gelu, relu)" in model.doc_string
    assert "cross_entropy" in model.doc_string
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"X": ["n_samples", 2], "label": ["n_samples"], "probabilities": ["n_samples", 3]}
    assert path.read_bytes() == net.to_onnx(tmp_path / "again.onnx").read_bytes()
    check_equal(net, path, X.astype(np.float32))


def test_operators_that_runtimes_lack_or_misread_are_not_used(random):
    """Those that onnxruntime lacks in float64, and those whose attributes would round constants."""
    for activation in ACTIVATIONS:
        for dtype in DTYPES:
            net = network(random, "squared error", (3,), [activation], dtype)
            used = {node.op_type for node in export.model_of(net).graph.node}
            assert not used & {"LeakyRelu", "Elu", "Selu", "Softplus", "Gemm"}
            assert dtype == np.float32 or "Erf" not in used


def test_the_limit_of_one_output_for_two_classes_is_that_of_predict(tmp_path):
    """Exactly one half is the first class."""
    net = Network((1, 1), (), Loss.BINARY_CROSS_ENTROPY, np.array([1.0, 0.0]), np.array([3, 5]), True, np.empty(0))
    X = np.array([[0.0], [1e-12], [-1e-12]])
    assert net.predict(X).tolist() == [3, 5, 3]
    for given in exported(net, X, tmp_path):
        assert given["label"].tolist() == [3, 5, 3]


# What sklearn-onnx's converter of MLPs gets wrong.


def test_several_values_stay_beside_each_other(curve, tmp_path):
    X, y = curve
    net = train(X, np.column_stack([y, -y, 2 * y]), 5, epochs=3, seed=0)
    for given in exported(net, X, tmp_path):
        assert given["variable"].shape == (120, 3)
        np.testing.assert_allclose(given["variable"], net.predict(X), atol=1e-12)


def test_poisson_nets_can_be_exported(curve, tmp_path):
    X, y = curve
    net = train(X, np.round(np.exp(y)), 5, loss="poisson", epochs=3, seed=0)
    for given in exported(net, X, tmp_path):
        np.testing.assert_allclose(given["variable"], net.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "labels",
    [np.array([2**31, -(2**40), 2**62]), np.array([2**63, 1, 2**64 - 1], np.uint64), np.array([0.25, -0.75, 0.5])],
    ids=["beyond int32", "beyond int64", "fractions"],
)
def test_labels_are_not_cut_off(blobs, tmp_path, labels):
    X, y = blobs
    net = train(X, labels[y], (), loss="cross_entropy", epochs=20, seed=0)
    assert set(net.predict(X)) == set(labels)
    for given in exported(net, X, tmp_path):
        assert given["label"].tolist() == net.predict(X).tolist()
        assert given["label"].dtype == labels.dtype


def test_dtypes_of_labels(random, tmp_path):
    wanted = {"int64": np.int64, "uint8": np.int64, "uint64": np.uint64, "bool": bool, "float": np.float64, "text": object}
    for kind, dtype in wanted.items():
        net = network(random, kind, (), [], np.float64)
        assert exported(net, np.zeros((2, 4)), tmp_path)[0]["label"].dtype == dtype
    for given, dtype in ((">i2", np.int64), (">f4", np.float32), ("f2", np.float16)):
        assert export.onnx_labels(np.array([1, 2], given)).dtype == dtype


# Errors.


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        (np.array([b"a", b"b"]), TypeError, "bytes"),
        (np.array(["2015-09-03", "2026-01-01"], "M8[ns]"), TypeError, "datetime64"),
        (np.array([1, "a"], object), TypeError, "int, str"),
        (np.array([0, 2.5], object), TypeError, "float, int"),
        (np.array([0, 1], np.longdouble), TypeError, "longdouble"),
        (np.array([-1, 2**63], object), ValueError, "64 bits"),
        (np.array([0, 2**64], object), ValueError, "64 bits"),
        (np.array(["a", "\ud800"], object), ValueError, "ud800"),
    ],
)
def test_labels_that_onnx_has_not_are_refused_and_the_file_stays(tmp_path, labels, error, says):
    net = Network((1, 2), (), Loss.CROSS_ENTROPY, np.zeros(4), labels, True, np.empty(0))
    path = tmp_path / "net.onnx"
    path.write_text("as it was")
    with pytest.raises(error, match=says):
        net.to_onnx(path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_a_net_too_large_for_a_file_is_refused(random, tmp_path, monkeypatch):
    net = network(random, "squared error", (30,), ["relu"], np.float64)
    monkeypatch.setattr(export, "LARGEST", net.params.nbytes - 1)
    with pytest.raises(ValueError, match=r"1,448 bytes.*float32"):
        net.to_onnx(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_the_remedy_is_told(random, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "fastmlp\[onnx\]"'):
        network(random, "bool", (), [], np.float64).to_onnx(tmp_path / "net.onnx")


def test_what_cannot_be_written_leaves_nothing(random, tmp_path):
    net = network(random, "bool", (), [], np.float64)
    with pytest.raises(OSError, match="nowhere"):
        net.to_onnx(tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(OSError, match=tmp_path.name):
        net.to_onnx(tmp_path)
    assert list(tmp_path.iterdir()) == []


# Estimators.


@pytest.mark.parametrize("labels", [["ham", "spam"], ["a", "b", "c"], [4]], ids=["two", "three", "one"])
def test_nets_of_estimators(blobs, tmp_path, labels):
    X, y = blobs
    fitted = fastmlp.MLPClassifier(5, max_iter=3, solver="lbfgs", random_state=0)
    with pytest.warns():
        fitted.fit(X, np.array(labels)[y % len(labels)])
    path = fitted.network_.to_onnx(tmp_path / "net.onnx")
    for given in run(onnx.load(path), X):
        np.testing.assert_allclose(given["probabilities"], fitted.predict_proba(X), atol=1e-12)
        assert given["label"].tolist() == fitted.predict(X).tolist()


# scikit-learn.

TARGETS = {
    "two classes": (lambda v: np.array(["no", "yes"])[(v > 0).astype(int)], {}),
    "two classes, one output": (lambda v: v > 0, {"loss": "binary_cross_entropy"}),
    "three classes": (lambda v: np.array([-7, 2**40, 2**41])[np.digitize(v, [-0.5, 0.5])], {}),
    "float labels": (lambda v: np.array([1.0, 2.0, 5.0])[np.digitize(v, [-0.5, 0.5])], {"loss": "cross_entropy"}),
    "texts in objects": (lambda v: np.array(["x", "yy", "zzz"], object)[np.digitize(v, [-0.5, 0.5])], {}),
    "labels": (lambda v: np.column_stack([v > 0, v > 0.5, v < -1]).astype(int), {}),
    "values": (lambda v: np.sin(v), {}),
    "several values": (lambda v: np.column_stack([v, np.sin(v)]), {}),
    "counts": (lambda v: np.floor(np.exp(v)), {"loss": "poisson"}),
    "several counts": (lambda v: np.floor(np.exp(np.column_stack([v, -v]))), {"loss": "poisson"}),
}


def sample(name, dtype=np.float64, n_samples=61):
    X = np.random.default_rng(5).standard_normal((n_samples, 3)).astype(dtype)
    target, options = TARGETS[name]
    return X, target(X[:, 0] + X[:, 1] * X[:, 2]), options


def trained(name, dtype=np.float64, hidden=(7, 4), activation="tanh", **more):
    X, y, options = sample(name, dtype)
    options = {"epochs": 30, "batch_size": None, "learning_rate": 0.01, "seed": 0, **options, **more}
    return train(X, y, hidden, activation=activation, **options), X, y


def check_alike(theirs, ours, X, y):
    """Check that scikit-learn's estimator predicts what the net does."""
    rtol = 1e-4 if ours.dtype == np.float32 else 1e-11
    for name in ("predict_proba", "predict") if ours.is_classifier else ("predict",):
        wanted, given = getattr(ours, name)(X), getattr(theirs, name)(X)
        assert given.shape == wanted.shape
        if wanted.dtype.kind == "f" and (name == "predict_proba" or not ours.is_classifier):
            assert given.dtype == wanted.dtype
            np.testing.assert_allclose(given, wanted, rtol=rtol, atol=rtol / 10)
        else:
            np.testing.assert_array_equal(given, wanted)
    assert theirs.score(X, y) == pytest.approx(ours.score(X, y), rel=rtol, abs=rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TARGETS)
def test_scikit_learn_predicts_the_same(name, dtype):
    for hidden, activation in (((7, 4), "tanh"), ((), "relu"), (5, "relu"), ((3, 3, 3), "logistic"), (4, "identity")):
        net, X, y = trained(name, dtype, hidden, activation)
        theirs = net.to_sklearn()
        assert type(theirs).__module__.startswith("sklearn.")
        check_alike(theirs, net, X, y)
        check_alike(pickle.loads(pickle.dumps(theirs)), net, X, y)
        assert theirs.get_params() == clone(theirs).get_params()
        assert not hasattr(clone(theirs), "coefs_")
        assert theirs.n_iter_ == 30
        assert theirs.t_ == 30 * 61


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", TARGETS)
def test_scikit_learn_goes_on_with_partial_fit(name, solver):
    """Its next step begins at the net: the loss it takes there is the one that a further epoch of ours would take."""
    net, X, y = trained(name)
    params = net.params.copy()
    theirs = net.to_sklearn().set_params(solver=solver, alpha=0, batch_size=61)
    theirs.partial_fit(X, y)
    next_epoch = train(X, y, start=net, epochs=1, batch_size=None, learning_rate=0.01).loss_curve[-1]
    factor = net.sizes[-1] if net.loss == Loss.SQUARED_ERROR else 1
    assert theirs.loss_curve_[-1] * factor == pytest.approx(next_epoch, rel=1e-9)
    assert len(theirs.loss_curve_) == 31
    assert theirs.t_ == 31 * 61
    assert theirs.best_loss_ == min(theirs.loss_curve_)
    # What scikit-learn changes in place is a copy.
    assert net.params.tobytes() == params.tobytes()
    assert not np.array_equal(theirs.coefs_[0], net.weights[0])


@pytest.mark.filterwarnings("ignore:.*[Cc]onverge:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["two classes", "three classes", "labels", "values", "several counts"])
def test_scikit_learn_goes_on_with_a_warm_start(name, solver):
    net, X, y = trained(name)
    theirs = net.to_sklearn().set_params(solver=solver, alpha=0, warm_start=True, max_iter=5).fit(X, y)
    factor = net.sizes[-1] if net.loss == Loss.SQUARED_ERROR else 1
    assert theirs.loss_ * factor < net.loss_curve[-1]


def test_a_net_from_a_file_becomes_an_estimator_too(tmp_path):
    net, X, y = trained("three classes")
    check_alike(fastmlp.load(net.save(tmp_path / "net")).to_sklearn(), net, X, y)


def test_nets_of_estimators_become_scikit_learns():
    X, y, _ = sample("two classes")
    fitted = fastmlp.MLPClassifier(5, max_iter=30, random_state=0)
    theirs = sklearn.neural_network.MLPClassifier(5, max_iter=30, random_state=0)
    with pytest.warns():
        fitted.fit(X, y)
    with pytest.warns():
        theirs.fit(X, y)
    given = fitted.network_.to_sklearn()
    np.testing.assert_allclose(given.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    # Apart from the state of the solver both have the same attributes.
    assert vars(theirs).keys() - vars(given).keys() == {"_optimizer", "_random_state"}
    assert vars(given).keys() <= vars(theirs).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learn_predicts_the_same_labels_or_the_net_is_refused(random, kind):
    net = network(random, kind, (5,), ["tanh"], np.float64)
    X = random.normal(0, 3, (50, 4))
    if kind in ("one class", "float", "objects of integers", "absolute error", "huber", "quantile"):
        with pytest.raises(ValueError, match="cannot express"):
            net.to_sklearn()
    else:
        check_alike(net.to_sklearn(), net, X, net.predict(X))


@pytest.mark.parametrize(
    ("kind", "activations", "says"),
    [
        ("bool", ["tanh", "relu"], "several activations, tanh, relu"),
        ("bool", ["gelu", "gelu"], "activation gelu"),
        ("huber", ["relu"], "loss huber"),
        ("absolute error", [], "loss absolute_error"),
        ("one class", ["relu"], "single class"),
        ("float", ["relu"], "labels"),
        ("quantile", ["relu"], "loss quantile"),
    ],
)
def test_what_scikit_learn_cannot_express_is_named(random, kind, activations, says):
    net = network(random, kind, (3,) * len(activations), activations, np.float64)
    with pytest.raises(ValueError, match=rf"cannot express.*{says}.*to_onnx can"):
        net.to_sklearn()


def test_a_column_of_predictions_cannot_be_expressed():
    for loss in (Loss.SQUARED_ERROR, Loss.BINARY_CROSS_ENTROPY):
        net = Network((1, 1), (), loss, np.zeros(2), None, False, np.empty(0))
        with pytest.raises(ValueError, match="one column"):
            net.to_sklearn()


def test_before_scikit_learn_1_7_there_was_no_poisson(monkeypatch):
    net, _, _ = trained("counts")

    class Old:
        def __init__(self, hidden_layer_sizes, activation):
            pass

    monkeypatch.setattr("fastmlp.estimators.export.MLPRegressor", Old)
    with pytest.raises(ValueError, match=r"poisson before version 1\.7"):
        net.to_sklearn()
