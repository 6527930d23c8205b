"""Numbers that have no room: sums of objectives, squares of weights, predictions, scores."""

import numpy as np
import pytest

from fastmlp import train, train_many
from table import by_dtype, by_engine

pytestmark = pytest.mark.filterwarnings("ignore:(X. |y.* reach):UserWarning")
RANDOM = np.random.default_rng(11)
X = RANDOM.standard_normal((121, 3))
VALUES = X @ [1.0, -2.0, 0.5] + 0.1 * RANDOM.standard_normal(121)


@by_engine
@by_dtype
@pytest.mark.parametrize("batch_size", [None, 7])
def test_sums_of_an_epoch_that_overflow(engine, dtype, batch_size):
    """Each objective has room, all together do not."""
    y = np.full(41, np.sqrt(np.finfo(dtype).max) / 3, dtype)
    narrow = X[:41].astype(dtype)
    options = {"hidden": 4, "epochs": 3, "seed": 0, "batch_size": batch_size}
    with pytest.warns(RuntimeWarning, match="not finite in epoch 1 of 3"):
        net = train(narrow, y, engine=engine, **options)
    assert net.status == "diverged"
    assert np.isfinite(net.params).all()
    assert net.n_epochs == 0
    with pytest.warns(RuntimeWarning, match="^16 of 16 nets diverged"):
        sweep = train_many(narrow, y, [{}] * 16, **options)
    assert {net.n_epochs for net in sweep} == {0}


@by_engine
def test_weights_whose_squares_overflow_need_no_penalty(engine):
    """Both engines agree: what is multiplied by 0 is not asked for."""
    weights, biases = [np.full((3, 4), 1e-3), np.full((4, 1), 1e160)], [np.zeros(4), np.zeros(1)]
    net = train(1e-160 * X, VALUES, 4, init=(weights, biases), epochs=1, batch_size=None, engine=engine, solver="sgd")
    assert net.status == "finished"
    assert np.isfinite(net.params).all()


def test_metrics_do_not_see_predictions_that_overflow():
    """scikit-learn's refuse them with an error."""
    seen = []

    def metric(wanted, predicted):
        seen.append(np.isfinite(predicted).all())
        return -np.abs(wanted - predicted).mean()

    net = train(
        X, VALUES, 5, activation="identity", epochs=4, validation=(np.full((2, 3), 1.7e308), [1.0, 2.0]), metric=metric,
        init=([np.full((3, 5), 1.0), np.full((5, 1), 1.0)], [np.zeros(5), np.zeros(1)]), learning_rate=1e-6,
    )  # fmt: skip
    assert net.best_epoch is None
    assert net.validation_curve is None
    assert not seen


def test_scores_of_targets_whose_squares_overflow():
    y = 1e200 * VALUES
    net = train(X, VALUES, 3, epochs=5, seed=0)
    assert net.score(X, y) < 0.1
    assert np.isfinite(net.score(X, y))
