"""The article's numbers, and the claims of its chapters and exercises."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import make_moons

from fastmlp import article, exercises, train

STABLE = {**article.SETTINGS, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def sizes():
    return article.sizes()


@pytest.fixture(scope="module")
def annealing():
    return exercises.annealing()


@pytest.fixture(scope="module")
def activations():
    return exercises.activations()


def loss_of(net):
    return net.loss_curve[-1]


def test_points_are_the_articles_and_the_callers_random_numbers_are_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    X, y = article.X, article.y
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    same_X, same_y = make_moons(200, noise=0.20, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(X, same_X)
    np.testing.assert_array_equal(y, same_y)
    assert article.X is X


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Z'"):
        article.Z  # noqa: B018


def test_import_is_light():
    code = (
        "import sys, fastmlp.article, fastmlp.exercises\nassert not {'sklearn', 'numba', 'matplotlib'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_printed_losses_are_the_articles(capsys):
    article.build_model(3, num_passes=2001, print_loss=True)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "Loss after iteration 0: 0.432387"
    assert second == "Loss after iteration 1000: 0.068947"
    # Past the edge of stability rounding shows: the article's machine printed 0.068936.
    assert third.startswith(("Loss after iteration 2000: 0.0689", "Loss after iteration 2000: 0.0688"))


@pytest.mark.parametrize(("passes", "loss"), [(1, "0.432387"), (1001, "0.068947")])
def test_loss_of_model_is_the_articles(passes, loss, capsys):
    model = article.build_model(3, passes, print_loss=True)
    assert f"{article.calculate_loss(model):f}" == loss
    assert capsys.readouterr().out.splitlines()[-1] == f"Loss after iteration {passes - 1}: {loss}"


def test_the_end_is_one_of_the_articles_two():
    assert f"{article.calculate_loss(article.build_model(3)):f}" in ("0.070758", "0.071316")


def test_model_has_the_articles_shapes_and_prints_only_when_asked(capsys):
    model = article.build_model(4, 10)
    assert {name: part.shape for name, part in model.items()} == {"W1": (2, 4), "b1": (1, 4), "W2": (4, 2), "b2": (1, 2)}
    assert capsys.readouterr().out == ""


def test_predict_is_what_the_net_predicts():
    net = train(article.X, article.y, 3, epochs=200, seed=np.random.RandomState(0), **article.SETTINGS)
    mesh = np.stack(np.meshgrid(np.linspace(-2, 3, 50), np.linspace(-2, 2, 50)), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(article.predict(article.as_model(net), mesh), net.predict(mesh))


def test_plot_decision_boundary_draws_the_moons():
    model = article.build_model(3, 1000)
    ax = article.plot_decision_boundary(lambda x: article.predict(model, x))
    assert sum(len(collection.get_offsets()) for collection in ax.collections if len(collection.get_offsets()) > 1) == 200


@pytest.mark.parametrize("size", article.HIDDEN_SIZES)
def test_kernels_and_reference_classify_alike(size):
    kernels, reference = (
        train(article.X, article.y, size, epochs=1000, seed=np.random.RandomState(0), engine=engine, **STABLE)
        for engine in ("kernels", "reference")
    )
    mesh = np.stack(np.meshgrid(np.linspace(-2, 3, 200), np.linspace(-1.5, 2, 200)), axis=-1).reshape(-1, 2)
    alike = kernels.predict(mesh) == article.predict(article.as_model(reference), mesh)
    assert alike.mean() >= 0.99


def test_moons_need_both_measurements():
    result = article.moons()
    assert max(result.best_single) < 0.9
    assert article.percent(result.best_single[0]) in result.claim


def test_best_threshold_against_trying_all():
    values, labels = np.random.default_rng(0).standard_normal(30), np.arange(30) % 2
    best = max(max(((values > cut) == labels).mean(), ((values <= cut) == labels).mean()) for cut in values)
    assert article._best_threshold(values, labels) == pytest.approx(best)


def test_baseline_is_a_straight_line_that_leaves_many_points_wrong():
    result = article.baseline()
    assert 0.8 < result.accuracy < 0.9
    assert 0.8 < result.held_out < 0.9
    assert article.wrong(result.accuracy) in result.claim


def test_network_has_the_articles_losses_and_beats_the_baseline():
    result = article.network(reference_passes=100)
    assert [passes for passes, _ in result.losses] == list(range(0, 20_000, 1000))
    assert [f"{loss:f}" for _, loss in result.losses[:2]] == ["0.432387", "0.068947"]
    assert [f"{loss:f}" for loss in result.last_losses] == ["0.070758", "0.071316"]
    assert result.fit.reference_passes == 100
    assert result.fit.held_out > article.baseline().held_out + 0.05
    assert "0.070758" in result.claim


def test_larger_nets_learn_the_noise_and_a_penalty_helps(sizes):
    assert [one.net.sizes for one in sizes.fits] == [(2, size, 2) for size in (1, 2, 3, 4, 5, 20, 50)]
    article_net, largest = sizes.fits[2], sizes.fits[-1]
    assert largest.accuracy > article_net.accuracy
    assert largest.held_out < article_net.held_out
    assert sizes.stronger[-1].held_out > largest.held_out
    assert article.change(article_net.held_out, largest.held_out) in sizes.claim


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.9, 0.95, "rises from 90.0 % to 95.0 %"),
        (0.95, 0.9, "falls from 95.0 % to 90.0 %"),
        (0.9, 0.90001, "stays at 90.0 %"),
    ],
)
def test_words_follow_the_numbers(before, after, words):
    assert article.change(before, after) == words


def test_minibatches_need_fewer_passes_and_end_less_steady():
    result = exercises.minibatches()
    full, _, small = result.fits
    assert result.reached(small) < result.reached(full)
    assert result.spread(small) > 2 * result.spread(full)
    assert result.seconds(full)[-1] == pytest.approx(full.seconds)
    assert len(result.seconds(full)) == full.net.n_epochs
    assert f"{result.reached(small)} passes" in result.claim


def test_level_never_reached_is_said():
    result = exercises.minibatches(passes=20)
    assert result.reached(result.fits[0]) is None
    assert "more than 20 passes" in result.claim


def test_annealed_rates_end_lower_and_steady(annealing):
    fixed, *falling = annealing.fits
    assert annealing.swing(fixed) > 1e-4
    for one in falling:
        assert loss_of(one.net) < min(fixed.net.loss_curve[-2:]), one.label
        assert annealing.swing(one) < exercises.STEADY, one.label
    assert "of 4 falling rates 4 end lower and 4 end steady" in annealing.claim
    for factors in annealing.rates[1:]:
        assert factors[0] == 1
        assert factors[-1] < 0.3
        assert (np.diff(factors) <= 0).all()


def test_bent_activations_learn_the_moons_and_identity_does_not(activations):
    *bent, identity = activations.fits
    assert [one.label for one in bent] == ["tanh", "logistic", "relu"]
    for one in bent:
        assert one.accuracy >= 0.9, one.label
        assert one.held_out >= 0.9, one.label
    assert identity.accuracy <= activations.baseline.accuracy + 0.01
    assert identity.held_out <= activations.baseline.held_out + 0.005
    assert "no better than logistic regression" in activations.claim


def test_identity_net_is_linear(activations):
    # Its least loss is that of softmax regression, whose optimum is unique; the penalty can only add to it.
    linear = train(article.X, article.y, (), epochs=5000, seed=0, **{**STABLE, "l2": 0.0})
    assert loss_of(activations.fits[-1].net) >= loss_of(linear)


def test_three_classes_are_learnt():
    result = exercises.three_classes()
    linear, *hidden = result.fits
    assert [one.net.sizes for one in result.fits] == [(2, 3), (2, 5, 3), (2, 20, 3)]
    assert linear.held_out < 0.7
    for one in hidden:
        assert one.held_out >= 0.95, one.label
    assert article.percent(linear.held_out) in result.claim


def test_four_layers_train():
    result = exercises.four_layers()
    # 2-3-3-3 comes to one of several ends, by rounding.
    shallow, smallest, _, *deep = result.fits
    assert len(shallow.net.sizes) == 3
    for one in deep:
        assert len(one.net.sizes) == 4
        assert one.held_out >= 0.95, one.label
    assert smallest.held_out < 0.95
    same_size = next(one for one in deep if one.label == "2-5-5-3")
    assert same_size.net.params.size == shallow.net.params.size
    assert loss_of(same_size.net) < loss_of(shallow.net)
    assert f"{loss_of(same_size.net):.3f}" in result.claim


def test_spiral_is_three_alike_arms():
    points, arms = exercises.spiral(50, 0, noise=0.0)
    assert np.bincount(arms).tolist() == [50, 50, 50]
    assert np.hypot(*points.T).max() <= 1 + 1e-12
    turn = 2 * np.pi / 3
    turned = points[arms == 0] @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(turned, points[arms == 1], atol=1e-12)
