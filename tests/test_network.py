import copy
import pickle

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from fastmlp import Network, reference, train
from fastmlp.options import Activation, Loss


def expected_outputs(net, X):
    """What the reference says the net puts out."""
    z, _ = reference.forward(net.weights, net.biases, net.activations, np.asarray(X, net.dtype))
    return reference.output(net.loss, z[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(), 3, (33, 2)])
def test_probabilities_equal_the_reference(blobs, hidden, dtype):
    X, y = blobs
    net = train(X, y, hidden, epochs=20, seed=0, dtype=dtype)
    probabilities = net.predict_proba(X)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, expected_outputs(net, X), atol=1e-5 if dtype == np.float32 else 1e-13)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(net.predict(X), net.classes[probabilities.argmax(axis=1)])


def test_classes_keep_their_labels(blobs):
    X, y = blobs
    names = np.array(["c", "a", "b"])
    net = train(X, names[y], 10, epochs=100, seed=0, learning_rate=0.01)
    assert net.classes.tolist() == ["a", "b", "c"]
    assert net.score(X, names[y]) == accuracy_score(names[y], net.predict(X)) > 0.85
    # Columns stand in the order of the classes: class "c" was y == 0.
    assert net.predict_proba(X)[y == 0].mean(axis=0).argmax() == 2


@pytest.mark.parametrize("labels", [np.array([5, 9]), np.array([False, True]), np.array(["x", "y"])])
def test_two_classes_with_one_logistic_output(blobs, labels):
    X, y = blobs
    y = labels[(y > 0).astype(int)]
    net = train(X, y, 5, loss="binary_cross_entropy", epochs=100, seed=0, learning_rate=0.01)
    assert net.sizes == (2, 5, 1)
    probabilities = net.predict_proba(X)
    assert probabilities.shape == (90, 2)
    np.testing.assert_allclose(probabilities[:, 1], expected_outputs(net, X)[:, 0], rtol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(net.predict(X), labels[(probabilities[:, 1] > 0.5).astype(int)])
    assert net.predict(X).dtype == labels.dtype
    assert net.score(X, y) > 0.8


def test_multilabel(curve):
    X, y = curve
    several = np.column_stack([y > 0, y > 0.5, X[:, 0] > 0]).astype(int)
    net = train(X, several, 10, epochs=100, seed=0, learning_rate=0.01)
    probabilities = net.predict_proba(X)
    np.testing.assert_allclose(probabilities, expected_outputs(net, X), rtol=1e-12)
    predicted = net.predict(X)
    np.testing.assert_array_equal(predicted, probabilities > 0.5)
    assert net.score(X, several) == accuracy_score(several, predicted) > 0.5


@pytest.mark.parametrize("n_outputs", [None, 1, 2])
def test_regression(curve, n_outputs):
    X, y = curve
    targets = y if n_outputs is None else np.column_stack([y, -y + X[:, 0]])[:, :n_outputs]
    net = train(X, targets, 10, activation="tanh", epochs=100, seed=0, learning_rate=0.01)
    predicted = net.predict(X)
    assert predicted.shape == ((120, 2) if n_outputs == 2 else (120,))
    np.testing.assert_allclose(predicted.reshape(120, -1), expected_outputs(net, X), rtol=1e-11, atol=1e-13)
    assert net.score(X, targets) == pytest.approx(r2_score(targets, predicted))
    assert net.score(X.tolist(), targets.tolist()) == net.score(X, targets)
    with pytest.raises(ValueError, match="predict_proba: a regression net has no probabilities; use predict"):
        net.predict_proba(X)


def test_score_of_constant_targets_as_in_scikit_learn(curve):
    X, _ = curve
    net = train(X, np.full(120, 0.5), (), epochs=1, seed=0)
    assert net.score(X, np.full(120, 3.0)) == 0
    assert net.score(X, net.predict(X)) == 1
    net.params[:] = 0
    assert net.score(X, np.zeros(120)) == 1


@pytest.mark.parametrize("n_samples", [1, 63, 64, 65, 255, 256, 257, 1000])
def test_rows_do_not_hang_on_their_neighbours(blobs, random, n_samples):
    net = train(*blobs, (7, 3), epochs=3, seed=0)
    X = random.standard_normal((n_samples, 2))
    outputs = net.predict_proba(X)
    assert outputs.shape == (n_samples, 3)
    assert net.predict_proba(X[::-1])[::-1].tobytes() == outputs.tobytes()
    assert net.predict_proba(X[n_samples // 2 :]).tobytes() == outputs[n_samples // 2 :].tobytes()


def test_weights_and_biases_are_views(blobs):
    X, y = blobs
    net = train(X, y, (4, 5), epochs=1, seed=0)
    assert [W.shape for W in net.weights] == [(2, 4), (4, 5), (5, 3)]
    assert [b.shape for b in net.biases] == [(4,), (5,), (3,)]
    assert net.params.shape == (8 + 20 + 15 + 12,)
    for part in (*net.weights, *net.biases):
        assert np.shares_memory(part, net.params)
    net.weights[2][:] = 0
    net.biases[2][:] = [0, 1e3, 0]
    assert set(net.predict(X)) == {1}


def test_replaced_parameters_are_used(blobs):
    X, y = blobs
    net, other = (train(X, y, 4, epochs=1, seed=seed) for seed in (0, 1))
    assert net.predict_proba(X).tobytes() != other.predict_proba(X).tobytes()
    net.params = other.params.copy()
    assert net.predict_proba(X).tobytes() == other.predict_proba(X).tobytes()


def test_copies_and_pickles_predict_alike(blobs):
    X, y = blobs
    net = train(X, y, 4, epochs=2, seed=0)
    outputs = net.predict_proba(X)
    for again in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert isinstance(again, Network)
        assert again.predict_proba(X).tobytes() == outputs.tobytes()
        assert again.loss_curve.tobytes() == net.loss_curve.tobytes()
    changed = copy.deepcopy(net)
    changed.params[:] = 0
    assert net.predict_proba(X).tobytes() == outputs.tobytes()


def test_read_only_parameters_predict_without_compiling_anew(blobs):
    """As they are where processes share them."""
    from fastmlp.kernels.epochs import predict

    X, y = blobs
    net = train(X, y, 4, epochs=2, seed=0)
    outputs = net.predict_proba(X)
    known = list(predict.signatures)
    shared = copy.copy(net)
    shared.params = net.params.copy()
    shared.params.flags.writeable = False
    assert shared.predict_proba(X).tobytes() == outputs.tobytes()
    assert predict.signatures == known


def test_description(blobs):
    X, y = blobs
    net = train(X, y, (4, 5), activation=["tanh", "relu"], epochs=2, seed=0)
    assert repr(net) == f"<Network 2-4-5-3 (tanh, relu), 2 epochs, loss {net.loss_curve[-1]:.6g}>"
    assert "2-3 (linear)" in repr(train(X, y, (), epochs=1, seed=0))
    assert (net.n_epochs, net.dtype) == (2, np.float64)
    assert net.activations == (Activation.TANH, Activation.RELU)
    assert net.loss == Loss.CROSS_ENTROPY


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((5, 3)), ValueError, "X has 3 columns, but the net was trained on 2"),
        (np.zeros(2), ValueError, r"X has 1 dimension"),
        (np.zeros((0, 2)), ValueError, "X is empty"),
        ([[0.0, np.nan]], ValueError, "X holds nan in row 0, column 1"),
        ([["a", "b"]], TypeError, r"X: column 0 holds .*'a'.* in row 0"),
        (np.zeros((5, 2), complex), TypeError, "X is complex"),
    ],
)
def test_bad_features_are_named(blobs, curve, bad, error, message):
    for net in (train(*blobs, 3, epochs=1, seed=0), train(*curve, 3, epochs=1, seed=0)):
        with pytest.raises(error, match=message):
            net.predict(bad)


def test_bad_targets_are_named(blobs):
    X, y = blobs
    net = train(X, y, 3, epochs=1, seed=0)
    with pytest.raises(ValueError, match="X has 90 rows, but y has 89"):
        net.score(X, y[:-1])
