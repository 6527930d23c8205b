"""Nets that predict together: the mean of what each predicts, of nets that predict the same alone."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from fastmlp import inputs, network, plotting, train
from fastmlp.sweep import Ensemble

DTYPES = ["float32", "float64"]


def nets_of(X, y, n=3, **settings):
    return [train(X, y, 4, epochs=5, seed=seed, **settings) for seed in range(n)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [np.array([3, -1, 7]), np.array(["blue", "a", "red"])])
def test_probabilities_of_classes_are_averaged(blobs, names, dtype):
    X, y = blobs
    nets = nets_of(X, names[y], dtype=dtype, learning_rate=0.05)
    ensemble = Ensemble(nets)
    probabilities = ensemble.predict_proba(X)
    mean = np.mean([net.predict_proba(X).astype(float) for net in nets], axis=0)
    np.testing.assert_array_equal(probabilities, mean.astype(dtype))
    assert probabilities.dtype == ensemble.dtype == dtype
    assert ensemble.classes.tolist() == sorted(names.tolist())
    labels = ensemble.predict(X)
    np.testing.assert_array_equal(labels, ensemble.classes[probabilities.argmax(axis=1)])
    assert labels.dtype == names.dtype
    # Voices are weighed, not counted.
    assert not np.array_equal(mean, nets[0].predict_proba(X))
    assert ensemble.score(X, names[y]) == np.mean(labels == names[y])
    weights = np.arange(90.0)
    assert ensemble.score(X, names[y], weights) == np.average(labels == names[y], weights=weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [None, 1, 2])
def test_values_are_averaged(curve, n_outputs, dtype):
    X, y = curve
    y = y if n_outputs is None else np.column_stack([y, -2 * y])[:, :n_outputs]
    nets = nets_of(X, y, dtype=dtype) + nets_of(X, y, 1, dtype=dtype, loss="huber")
    ensemble = Ensemble(nets)
    predicted = ensemble.predict(X)
    np.testing.assert_array_equal(predicted, np.mean([net.predict(X).astype(float) for net in nets], axis=0).astype(dtype))
    assert predicted.dtype == dtype
    assert predicted.shape == nets[0].predict(X).shape == ((120, 2) if n_outputs == 2 else (120,))
    residual = ((y.reshape(predicted.shape) - predicted) ** 2).mean(axis=0)
    assert ensemble.score(X, y) == pytest.approx(np.mean(1 - residual / y.reshape(predicted.shape).var(axis=0)))
    assert not ensemble.is_classifier
    with pytest.raises(ValueError, match="no probabilities; use predict"):
        ensemble.predict_proba(X)


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_are_averaged(curve, dtype):
    X, y = curve
    several = np.column_stack([y > 0, y > 0.5, X[:, 0] > 0]).astype(int)
    nets = nets_of(X, several, dtype=dtype, learning_rate=0.05)
    ensemble = Ensemble(nets)
    probabilities = ensemble.predict_proba(X)
    mean = np.mean([net.predict_proba(X).astype(float) for net in nets], axis=0)
    np.testing.assert_array_equal(probabilities, mean.astype(dtype))
    assert ensemble.classes is None
    np.testing.assert_array_equal(ensemble.predict(X), (probabilities > 0.5).astype(int))
    assert ensemble.predict(X).dtype == np.int64
    assert ensemble.score(X, several) == (ensemble.predict(X) == several).all(axis=1).mean()


def test_one_logistic_output_goes_with_two_of_softmax(blobs):
    X, y = blobs
    names = np.array(["no", "yes"])[(y > 0).astype(int)]
    one, two = train(X, names, 4, loss="binary_cross_entropy", epochs=9, seed=0), train(X, names, 4, epochs=9, seed=1)
    assert (one.sizes[-1], two.sizes[-1]) == (1, 2)
    for nets in ([one, two], [two, one], [one, one, two]):
        ensemble = Ensemble(nets)
        probabilities = ensemble.predict_proba(X)
        assert probabilities.shape == (90, 2)
        np.testing.assert_array_equal(probabilities, np.mean([net.predict_proba(X) for net in nets], axis=0))
        np.testing.assert_array_equal(ensemble.predict(X), np.array(["no", "yes"])[probabilities.argmax(axis=1)])
    np.testing.assert_array_equal(Ensemble([one]).predict(X), one.predict(X))


def test_a_single_net_predicts_its_bits(blobs, curve):
    for (X, y), dtype in ((blobs, "float32"), (curve, "float32"), (curve, "float64")):
        net = train(X, y, 4, epochs=5, seed=0, dtype=dtype)
        ensemble = Ensemble([net])
        assert ensemble.predict(X).tobytes() == net.predict(X).tobytes()
        assert ensemble.score(X, y) == net.score(X, y)


def test_sums_are_taken_in_float64(curve):
    X, y = curve
    net = train(X, y, (), epochs=1, seed=0, dtype="float32")

    def constant(value):
        return dataclasses.replace(net, params=np.array([0, 0, value], np.float32))

    # In float32 the ones would be lost beside 2 ** 24.
    ensemble = Ensemble([constant(2**24), constant(1), constant(1), constant(-(2**24))])
    assert ensemble.predict(X[:1]) == 0.5


def test_both_dtypes_together_predict_in_float64(curve):
    X, y = curve
    nets = [*nets_of(X, y, 2, dtype="float32"), *nets_of(X, y, 1)]
    ensemble = Ensemble([nets[0], nets[2], nets[1]])
    assert ensemble.dtype == np.float64
    expected = np.mean([net.predict(X).astype(float) for net in nets], axis=0)
    np.testing.assert_allclose(ensemble.predict(X), expected, rtol=1e-15)
    assert ensemble.predict(X).dtype == np.float64


def test_samples_are_converted_once_for_each_dtype(curve, monkeypatch):
    X, y = curve
    converted = []
    real = inputs.as_matrix
    monkeypatch.setattr(inputs, "as_matrix", lambda X, dtype, first=0: converted.append(dtype) or real(X, dtype, first))
    nets = [*nets_of(X, y, 3, dtype="float32"), *nets_of(X, y, 3)]
    ensemble = Ensemble(nets)
    converted.clear()
    ensemble.predict(X.tolist())
    assert converted == ["float32", "float64"]


def test_streamed_samples_are_read_in_parts(curve, monkeypatch):
    X, y = curve
    nets = [*nets_of(X, y, 2), *nets_of(X, y, 1, dtype="float32")]
    ensemble = Ensemble(nets)
    expected = ensemble.predict(X)
    monkeypatch.setattr(inputs, "LARGEST_COPY", 100)
    monkeypatch.setattr(inputs, "ROWS_AT_ONCE", 50)
    read = []

    class Watched(np.ndarray):
        def __getitem__(self, rows):
            read.append(rows)
            return np.asarray(super().__getitem__(rows))

    streamed = np.asfortranarray(X).view(Watched)
    np.testing.assert_array_equal(ensemble.predict(streamed), expected)
    assert [rows.start for rows in read if isinstance(rows, slice)] == [0, 50, 100] * 2
    wrong = np.array(X, order="F")
    wrong[70, 1] = np.nan
    with pytest.raises(ValueError, match="X holds nan in row 70, column 1"):
        ensemble.predict(wrong)


def test_bad_samples_are_refused(blobs):
    X, y = blobs
    ensemble = Ensemble(nets_of(X, y))
    with pytest.raises(ValueError, match="X has 3 columns, but the net was trained on 2"):
        ensemble.predict(np.ones((4, 3)))
    wrong = X.copy()
    wrong[7, 0] = np.inf
    with pytest.raises(ValueError, match="X holds inf in row 7, column 0"):
        ensemble.predict_proba(wrong)
    with pytest.raises(ValueError, match="90 rows, but y has 89"):
        ensemble.score(X, y[1:])


def test_nets_that_predict_something_else_are_refused(blobs, curve):
    X, y = blobs
    values = curve[1][:90]
    classes, two = train(X, y, 2, epochs=1, seed=0), train(X, y % 2, 2, epochs=1, seed=0)
    flat = train(X, values, 2, epochs=1, seed=0)
    matrix = dataclasses.replace(flat, flat_targets=False)
    several = train(X, np.column_stack([y % 2, y > 0]).astype(int), 2, epochs=1, seed=0)
    others = train(X, np.array([0, 1, 5])[y], 2, epochs=1, seed=0)
    texts = train(X, np.array(["0", "1", "2"])[y], 2, epochs=1, seed=0)
    truths = train(X, y % 2 > 0, 2, epochs=1, seed=0)
    wide = train(np.column_stack([X, X]), y, 2, epochs=1, seed=0)
    pairs = train(X, np.column_stack([values, values]), 2, epochs=1, seed=0)
    for nets, message in [
        (
            [classes, classes, two],
            r"networks\[2\] predicts 2 classes, but networks\[0\] predicts 3 classes: give nets that",
        ),
        ([flat, classes], r"networks\[1\] predicts 3 classes, but networks\[0\] predicts 1 value"),
        ([flat, matrix], "predicts two dimensions, but networks.0. predicts one dimension"),
        ([flat, pairs], "predicts 2 values, but"),
        ([two, several], "predicts 2 labels, but networks.0. predicts 2 classes"),
        ([pairs, several], "predicts 2 labels, but networks.0. predicts 2 values"),
        ([classes, others], "predicts the classes 0, 1, 5, but networks.0. predicts the classes 0, 1, 2: give"),
        ([classes, texts], "predicts the classes '0', '1', '2', but"),
        ([two, truths], "predicts the classes False, True, but networks.0. predicts the classes 0, 1:"),
        ([classes, wide], r"networks\[1\] takes 4 features, but networks\[0\] takes 2: give nets that were trained on the"),
        ([], "networks is empty: give at least one Network"),
    ]:
        with pytest.raises(ValueError, match=message):
            Ensemble(nets)
    with pytest.raises(TypeError, match=r"networks\[1\]=None: give a Network"):
        Ensemble([classes, None])


def test_length_and_looks(blobs, curve):
    ensemble = Ensemble(nets_of(*blobs))
    assert len(ensemble) == len(ensemble.networks) == 3
    assert repr(ensemble) == "<Ensemble of 3 nets, 3 classes>"
    assert repr(Ensemble(nets_of(*curve, 1))) == "<Ensemble of 1 net, 1 value>"
    several = np.column_stack([curve[1] > 0] * 2).astype(int)
    assert repr(Ensemble(nets_of(curve[0], several, 2))) == "<Ensemble of 2 nets, 2 labels>"


def test_copies_predict_the_same(blobs):
    X, y = blobs
    ensemble = Ensemble(nets_of(X, y))
    for other in (copy.copy(ensemble), copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
        assert other.predict_proba(X).tobytes() == ensemble.predict_proba(X).tobytes()


def test_a_predictor_alone_predicts_nothing():
    bare = network.Predictor()
    with pytest.raises(NotImplementedError):
        bare.predict([[0.0]])
    with pytest.raises(NotImplementedError):
        assert bare.is_classifier


def test_its_borders_can_be_drawn(blobs, curve):
    X, y = blobs
    ax = plotting.decision_boundary(Ensemble(nets_of(X, y)), X, y, resolution=40)
    # It is sure of some places and in doubt of others, which a function that names classes is not.
    assert len(np.unique(np.asarray(ax.images[0].get_array()).reshape(-1, 3), axis=0)) > 100
    with pytest.raises(ValueError, match="not trained on classes"):
        plotting.decision_boundary(Ensemble(nets_of(*curve, 1)), X, y)
