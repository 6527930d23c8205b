import math

import numpy as np
import pytest

from fastmlp import train
from fastmlp.initialise import NAMES, start_params
from fastmlp.reference import views

SIZES = (400, 300, 200)
VARIANCES = {
    "glorot_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "glorot_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
}


def test_every_name_is_tested():
    assert set(NAMES) == set(VARIANCES)


@pytest.mark.parametrize("name", VARIANCES)
def test_distribution(name, random):
    weights, biases = views(start_params(name, SIZES, random), SIZES)
    for W, b in zip(weights, biases, strict=True):
        variance = VARIANCES[name](*W.shape)
        assert W.var() == pytest.approx(variance, rel=0.02)
        assert abs(W.mean()) < 4 * math.sqrt(variance / W.size)
        if name == "glorot_uniform":
            bound = math.sqrt(3 * variance)
            assert 0.99 * bound < np.abs(W).max() < bound
            assert 0.9 * bound < np.abs(b).max() < bound
        else:
            assert np.abs(W).max() > 3.5 * math.sqrt(variance)
            assert not b.any()


def test_lecun_normal_draws_as_the_article_does():
    random = np.random.RandomState(0)
    W1, W2 = random.randn(2, 3) / np.sqrt(2), random.randn(3, 2) / np.sqrt(3)
    weights, _ = views(start_params("lecun_normal", (2, 3, 2), np.random.RandomState(0)), (2, 3, 2))
    np.testing.assert_array_equal(weights[0], W1)
    np.testing.assert_array_equal(weights[1], W2)


def test_glorot_uniform_draws_as_scikit_learn_does():
    """Each layer's weights, then its biases, all from +-sqrt(6 / (fan_in + fan_out))."""
    random = np.random.RandomState(4)
    expected = []
    for fan_in, fan_out in ((2, 5), (5, 3)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        expected += [random.uniform(-bound, bound, (fan_in, fan_out)), random.uniform(-bound, bound, fan_out)]
    weights, biases = views(start_params("glorot_uniform", (2, 5, 3), np.random.RandomState(4)), (2, 5, 3))
    for got, wanted in zip([weights[0], biases[0], weights[1], biases[1]], expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", VARIANCES)
def test_seeds_decide(name):
    drawn = [start_params(name, (2, 3, 2), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_given_start_is_used_and_left_alone(blobs, random):
    X, y = blobs
    weights = [random.standard_normal((2, 4)), np.asfortranarray(random.standard_normal((4, 3)))]
    # The article's biases are rows.
    biases = [np.zeros((1, 4)), [0.1, 0.2, 0.3]]
    before = [weights[0].copy(), weights[1].copy()]
    net = train(X, y, 4, init=(weights, biases), learning_rate=1e-300, epochs=1, solver="sgd", batch_size=None)
    for layer in range(2):
        np.testing.assert_array_equal(net.weights[layer], before[layer])
        np.testing.assert_array_equal(weights[layer], before[layer])
    np.testing.assert_allclose(net.biases[0], 0, atol=1e-299)
    assert net.biases[1].tolist() == [0.1, 0.2, 0.3]


W, B = [np.ones((2, 4)), np.ones((4, 3))], [np.ones(4), np.ones(3)]


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ("xavier", ValueError, "init='xavier' is unknown: choose one of glorot_uniform"),
        (None, TypeError, "init=None: give a name"),
        (W, (TypeError, ValueError), r"init"),
        ((W,), TypeError, "(?s)init=.*give a name"),
        (([W[0]], B), ValueError, "init: 1 weights given, but the net has 2 layers"),
        ((W, [B[0]]), ValueError, "init: 1 biases given, but the net has 2 layers"),
        (([W[0].T, W[1]], B), ValueError, r"init: weights\[0\] has shape \(4, 2\), but the net needs \(2, 4\)"),
        ((W, [B[0], B[0]]), ValueError, r"init: biases\[1\] has shape \(4,\), but the net needs \(3,\)"),
        (([W[0] * np.nan, W[1]], B), ValueError, r"init: weights\[0\] holds NaN or infinity"),
        ((W, [B[0], B[1] * np.inf]), ValueError, r"init: biases\[1\] holds NaN or infinity"),
        (([W[0] * 1j, W[1]], B), TypeError, r"init: weights\[0\]"),
        (([[["a"] * 4] * 2, W[1]], B), TypeError, r"init: weights\[0\]"),
        (([[[1, 2, 3, 4], [1]], W[1]], B), ValueError, r"init: weights\[0\]"),
        ((1, B), TypeError, "init"),
    ],
)
def test_bad_starts_are_named(blobs, init, error, message):
    with pytest.raises(error, match=message):
        train(*blobs, 4, init=init)
