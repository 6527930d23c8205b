"""What a sweep tells of its nets: scores, the best, a table, a picture, and what did not go well."""

import copy
import dataclasses
import itertools
import pickle
import sys
import warnings

import matplotlib.figure
import numpy as np
import pandas
import pytest

from fastmlp import Sweep, charts, train, train_many
from fastmlp.sweep.tasks import Outcome

COLUMNS = ["status", "score", "final_loss", "n_epochs", "n_parameters", "seconds", "error"]


@pytest.fixture(scope="module")
def net(blobs):
    """One trained net, from which others are made."""
    return train(*blobs, 3, epochs=4, seed=0)


def with_loss(net, *losses, **changes):
    """The net with another loss curve."""
    return dataclasses.replace(net, loss_curve=np.array(losses), **changes)


def validated(net, scores, best_epoch, **changes):
    """The net as if it had been validated."""
    scores = np.array(scores)
    changes = {"loss_curve": np.ones(len(scores)), **changes}
    return dataclasses.replace(net, validation_scores=scores, validation_curve=-scores, best_epoch=best_epoch, **changes)


def swept(*found, configs=None, **common):
    """A sweep of nets, errors, or statuses of nets that were not begun."""
    outcomes = []
    for place, one in enumerate(found):
        if isinstance(one, Exception):
            outcomes.append(Outcome(place, None, "failed", one, 0.5))
        elif isinstance(one, str):
            outcomes.append(Outcome(place, None, one))
        else:
            outcomes.append(Outcome(place, one, one.status, None, 1.5))
    return Sweep(configs or [{"seed": place} for place in range(len(found))], common, outcomes)


def test_scores_without_validation(net):
    sweep = swept(
        with_loss(net, 3.0, 0.5), with_loss(net, 0.1, 0.25), ValueError("no"), with_loss(net, 9, status="diverged")
    )
    np.testing.assert_array_equal(sweep.scores, [-0.5, -0.25, np.nan, -np.inf])
    assert sweep.scores.dtype == np.float64
    assert sweep.best_place == 1
    assert sweep.best() is sweep[1]


def test_scores_of_validation_are_those_of_the_best_epoch(net):
    sweep = swept(
        validated(net, [0.1, 0.7, 0.3], 2),
        validated(net, [0.9, 0.8], 2),
        # What was best before it diverged counts.
        validated(net, [0.95, 0.1], 1, status="diverged"),
        validation=0.2,
        metric="accuracy",
    )
    np.testing.assert_array_equal(sweep.scores, [0.7, 0.8, 0.95])
    assert sweep.best_place == 2


def test_scores_are_those_of_training(blobs):
    X, y = blobs
    sweep = train_many(X, y, {"learning_rate": [1e-3, 0.1]}, hidden=3, epochs=9, validation=0.3, metric="accuracy")
    assert sweep.scores.tolist() == [max(net.validation_scores) for net in sweep]
    sweep = train_many(X, y, {"learning_rate": [1e-3, 0.1]}, hidden=3, epochs=9)
    assert sweep.scores.tolist() == [-net.loss_curve[-1] for net in sweep]


def test_no_epoch_and_no_number_are_no_score(net):
    sweep = swept(with_loss(net), with_loss(net, 0.5), configs=[{"seed": 0}, {"seed": 1, "validation": 0.1}])
    # The second was to be validated, and its metric was never a number.
    assert np.isnan(sweep.scores).all()
    with pytest.raises(ValueError, match="no net has a score: none was trained for an epoch"):
        sweep.best()


def test_of_equal_scores_the_first_is_best(net):
    sweep = swept(ValueError("no"), with_loss(net, 2.0), with_loss(net, 1.0), with_loss(net, 1.0))
    assert sweep.best_place == 2


def test_no_best(net):
    sweep = swept(ValueError("bad"), TypeError("worse"), with_loss(net, 1.0, status="diverged"), "out of time")
    message = (
        r"no net has a score: 2 of 4 nets failed, see Sweep.errors; the first, configs\[0\]: bad; 1 of 4 nets diverged"
    )
    for ask in (sweep.best, lambda: sweep.best_place, sweep.plot, lambda: sweep.plot("seed")):
        with pytest.raises(ValueError, match="nets differ by 'seed'; name the one" if ask == sweep.plot else message):
            ask()


def test_scores_that_cannot_be_compared(net, curve):
    plain, held = with_loss(net, 1.0), validated(net, [0.5], 1)
    sweep = swept(plain, held, held, configs=[{"seed": 0}, {"seed": 1, "validation": 0.1}, {"seed": 2, "validation": 0.2}])
    np.testing.assert_array_equal(sweep.scores, [-1, 0.5, 0.5])
    mixed = (
        "some are minus the training cross entropy, others minus the held-out cross entropy. Give all nets validation and"
    )
    for ask in (sweep.best, lambda: sweep.ensemble(1), lambda: sweep.plot("seed")):
        with pytest.raises(ValueError, match=mixed):
            ask()
    # All of them need no comparison.
    assert len(sweep.ensemble()) == 3
    metrics = swept(held, held, configs=[{"metric": "accuracy"}, {"metric": "loss"}], validation=0.1)
    with pytest.raises(ValueError, match="some are held-out accuracy, others minus the held-out cross entropy"):
        metrics.best()
    losses = train_many(*curve, {"loss": ["huber", "squared_error"]}, hidden=2, epochs=1)
    with pytest.raises(ValueError, match="some are minus the training huber, others minus the training squared error"):
        losses.best()
    # Nets without a score do not hinder.
    assert swept(plain, ValueError("no"), configs=[{}, {"validation": 0.1}]).best() is plain
    # Nor does the other loss of two classes, nor one function or another.
    X, y = curve
    both = train_many(X, y > 0, {"loss": ["cross_entropy", "binary_cross_entropy"]}, hidden=2, epochs=1)
    assert both.best() in list(both)
    assert swept(held, held, configs=[{"metric": max}, {"metric": min}], validation=0.1).best() is held


def test_ensemble_of_the_best(net):
    nets = [with_loss(net, loss) for loss in (0.3, 0.1, 0.4, 0.2)]
    lost = with_loss(net, 0.01, status="diverged")
    sweep = swept(nets[0], lost, nets[1], ValueError("no"), nets[2], with_loss(net), nets[3])
    assert sweep.ensemble().networks == tuple(nets)
    assert sweep.ensemble(4).networks == tuple(nets)
    assert sweep.ensemble(1).networks == (nets[1],)
    assert sweep.ensemble(np.int64(3)).networks == (nets[0], nets[1], nets[3])
    # Of equal ones the first.
    equal = [with_loss(net, 0.5) for _ in range(4)]
    assert swept(*equal).ensemble(2).networks == tuple(equal[:2])


def test_ensembles_that_cannot_be(net, curve):
    sweep = swept(with_loss(net, 0.3), ValueError("no"), with_loss(net, 0.2))
    with pytest.raises(ValueError, match="k=3: there are 2 nets that did not diverge or fail; give at most so many"):
        sweep.ensemble(3)
    with pytest.raises(ValueError, match="k=0: give a whole number from 1 on"):
        sweep.ensemble(0)
    with pytest.raises(TypeError, match=r"k=1\.5: give a whole number"):
        sweep.ensemble(1.5)
    with pytest.raises(ValueError, match=r"no nets for an ensemble: 1 of 2 nets failed.*1 of 2 nets diverged"):
        swept(ValueError("no"), with_loss(net, 0.3, status="diverged")).ensemble()
    other = train(curve[0], curve[1], 3, epochs=1, seed=0)
    with pytest.raises(ValueError, match=r"networks\[1\] predicts 1 value, but networks\[0\] predicts 3 classes"):
        swept(net, other).ensemble()


def test_a_score_that_is_no_number_comes_last_in_an_ensemble(net):
    nets = [with_loss(net, 0.5), validated(net, [-0.4], 1), validated(net, [-0.3], 1)]
    sweep = swept(*nets, validation=0.2)
    assert sweep.ensemble(2).networks == tuple(nets[1:])
    assert sweep.ensemble(3).networks == tuple(nets)


def test_table(blobs):
    X, y = blobs
    configs = [
        {"learning_rate": 0.1, "hidden": (3, 2), "seed": 1},
        {"l2": 1, "hidden": 4, "seed": 2},
        {"solver": "nonsense", "hidden": (1, 1), "seed": 3, "hiden": 3},
        {"epochs": 2, "loss": "binary_cross_entropy", "seed": 4, "max_grad_norm": 1.0, "shuffle": False},
    ]
    with pytest.warns(RuntimeWarning, match="1 of 4 nets failed"):
        sweep = train_many(X, y % 2, configs, epochs=3, learning_rate=0.01)
    frame = sweep.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    parameters = ["learning_rate", "hidden", "seed", "l2", "solver", "hiden", "epochs", "loss", "max_grad_norm", "shuffle"]
    assert list(frame) == [*parameters, *COLUMNS]
    assert frame["learning_rate"].tolist() == [0.1, 0.01, 0.01, 0.01]
    assert frame["l2"].tolist() == [0, 1, 0, 0]
    assert frame["epochs"].tolist() == [3, 3, 3, 2]
    assert frame["hidden"].tolist() == [(3, 2), 4, (1, 1), (100,)]
    assert frame["solver"].tolist() == ["adam", "adam", "nonsense", "adam"]
    assert frame["hiden"].tolist()[2] == 3
    assert frame["max_grad_norm"].tolist() == [None, None, None, 1.0]
    assert frame["loss"].tolist() == [None, None, None, "binary_cross_entropy"]
    assert [frame[name].dtype for name in ("learning_rate", "l2", "seed", "shuffle", "n_epochs")] == [
        "float64", "float64", "int64", "bool", "int64",
    ]  # fmt: skip
    assert frame["status"].tolist() == ["finished", "finished", "failed", "finished"]
    np.testing.assert_array_equal(frame["score"], sweep.scores)
    np.testing.assert_array_equal(frame["final_loss"], -sweep.scores)
    assert frame["n_epochs"].tolist() == [3, 3, 0, 2]
    assert frame["n_parameters"].tolist() == [23, 22, 0, sweep[3].params.size]
    np.testing.assert_array_equal(frame["seconds"], sweep.seconds)
    assert [error is None for error in frame["error"]] == [True, True, False, True]
    assert "hiden: train has no such parameter" in frame["error"][2]


def test_table_of_tuples_of_one_length_and_of_large_numbers(net):
    configs = [{"hidden": (3, 2), "seed": 1 << 70}, {"hidden": (1, 2), "seed": 5}]
    frame = swept(net, with_loss(net), configs=configs).to_frame()
    assert frame["hidden"].tolist() == [(3, 2), (1, 2)]
    assert frame["seed"].tolist() == [1 << 70, 5]
    assert np.isnan(frame["final_loss"][1])
    configs = [{"seed": 0, "nesterov": True}, {"seed": 1, "nesterov": 1}]
    assert list(map(repr, swept(net, net, configs=configs).to_frame()["nesterov"])) == ["True", "1"]


def test_table_without_pandas(net, monkeypatch):
    sweep = swept(net, ValueError("no"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = sweep.to_frame()
    assert list(table) == ["seed", *COLUMNS]
    assert all(type(values) is np.ndarray and values.shape == (2,) for values in table.values())
    assert table["error"].tolist() == [None, "no"]
    table["seconds"][:] = -1
    assert (sweep.seconds > 0).all()


def losses_of(net, configs, losses):
    return swept(*(with_loss(net, loss) for loss in losses), configs=configs)


def drawn(ax):
    """The points, the means, and the crosses of a picture."""
    (points, *bars), lines = ax.collections, ax.get_lines()
    crosses = [tuple(line.get_xdata()) for line in lines if line.get_marker() == "x"]
    means = [np.transpose(line.get_data()).tolist() for line in lines if line.get_marker() != "x"]
    means += [[segment.mean(axis=0).tolist() for segment in bar.get_segments()] for bar in bars]
    return points.get_offsets().data.tolist(), means, crosses


def test_picture_over_rates(net):
    rates = [0.001, 0.1, 0.001, 0.1, 0.1, 10.0]
    nets = [*(with_loss(net, loss) for loss in (3.0, 1.0, 5.0, 2.0, 6.0)), with_loss(net, 1.0, status="diverged")]
    sweep = swept(*nets, ValueError("no"), configs=[{"learning_rate": r, "seed": s} for s, r in enumerate([*rates, "x"])])
    ax = sweep.plot()
    points, means, crosses = drawn(ax)
    assert points == [[0.001, -3], [0.1, -1], [0.001, -5], [0.1, -2], [0.1, -6]]
    assert means == [[[0.001, -4], [0.1, -3]]]
    assert crosses == [(10.0,)]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == (
        "log", "learning_rate", "score: minus the training cross entropy",
    )  # fmt: skip
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a net", "mean", "diverged"]


@pytest.mark.parametrize(
    ("rates", "scale"), [([0.1, 9.9], "linear"), ([0.1, 10.0], "log"), ([0.0, 10.0], "linear"), ([-1, 100], "linear")]
)
def test_far_numbers_above_zero_have_a_logarithmic_axis(net, rates, scale):
    assert losses_of(net, [{"l2": rate} for rate in rates], [1, 2]).plot().get_xscale() == scale


def test_ticks_are_few_or_at_the_values(net):
    few = losses_of(net, [{"hidden": size} for size in (2, 5, 9)], [1, 2, 3]).plot()
    assert [text.get_text() for text in few.get_xticklabels()] == ["2", "5", "9"]
    one = losses_of(net, [{"hidden": 7}, {"hidden": 7}], [1, 2]).plot("hidden")
    assert [text.get_text() for text in one.get_xticklabels()] == ["7"]
    many = losses_of(net, [{"hidden": size} for size in range(1, 4)] + [{"hidden": 99}], [1, 2, 3, 4]).plot()
    assert 3 < len(many.get_xticks()) < 9


def test_picture_over_names(net):
    configs = [{"hidden": hidden, "seed": seed} for hidden in [(9,), [3, 3], None] for seed in (0, 1)]
    ax = losses_of(net, configs, [1.0, 3.0, 4.0, 4.0, 2.0, 0.0]).plot("hidden")
    points, means, crosses = drawn(ax)
    assert points == [[0, -1], [0, -3], [1, -4], [1, -4], [2, -2], [2, 0]]
    assert means == [[[0, -2], [1, -4], [2, -1]]]
    assert crosses == []
    assert [text.get_text() for text in ax.get_xticklabels()] == ["(9,)", "[3, 3]", "None"]
    assert ax.get_xlim() == (-0.5, 2.5)


@pytest.mark.parametrize(("n_names", "rotation"), [(3, 0), (8, 30), (40, 90)])
def test_names_do_not_overlap(net, n_names, rotation):
    configs = [{"hidden": (100 + place, 100), "seed": 0} for place in range(n_names)]
    ax = losses_of(net, configs, range(n_names)).plot()
    labels = ax.get_xticklabels()
    assert labels[0].get_text() == "(100, 100)"
    assert {label.get_rotation() for label in labels} == {rotation}
    assert len(labels) <= 30
    assert ax.get_legend() is None
    ax.figure.draw_without_rendering()
    if rotation != 30:
        boxes = [label.get_window_extent() for label in labels]
        assert not any(left.overlaps(right) for left, right in itertools.pairwise(boxes))
    assert ax.get_window_extent().height > 150


def test_dollars_and_long_names_are_as_they_are(net):
    configs = [{"activation": "$x$"}, {"activation": "y" * 50}]
    labels = losses_of(net, configs, [1, 2]).plot().get_xticklabels()
    assert [label.get_text() for label in labels] == [r"\$x\$", "y" * 21 + "..."]


def test_picture_on_given_axes_and_of_the_metric(net):
    sweep = swept(*(validated(net, [score], 1) for score in (0.5, 0.6)), validation=0.1, metric="accuracy")
    ax = matplotlib.figure.Figure().add_subplot()
    assert sweep.plot("seed", ax) is ax
    assert ax.get_ylabel() == "score: held-out accuracy"
    assert losses_of(net, [{"seed": 0, "l2": 0.5}], [1.0]).plot("l2").get_xlabel() == "l2"


def test_pictures_that_cannot_be(net, monkeypatch):
    configs = [{"l2": l2, "hidden": [hidden], "epochs": 3, "seed": l2} for l2 in (0, 1) for hidden in (2, 3)]
    sweep = losses_of(net, configs, range(4))
    with pytest.raises(ValueError, match="parameter=None: nets differ by 'l2', 'hidden', 'seed'; name the one to draw"):
        sweep.plot()
    with pytest.raises(
        ValueError, match="parameter='l3': train has no such parameter; nets differ by 'l2', 'hidden', 'seed'"
    ):
        sweep.plot("l3")
    with pytest.raises(ValueError, match="nets differ by nothing; name"):
        losses_of(net, [{"hidden": [2]}, {"hidden": [2]}], range(2)).plot()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastmlp\[plot\]"'):
        sweep.plot("l2")


def test_nets_differ_by_values_not_by_objects(net):
    array = np.arange(3)
    same = [
        [{"class_weight": {0: 1.0}}, {"class_weight": {0: 1.0}}],
        [{"sample_weight": array}, {"sample_weight": array}],
        [{"l2": 0.0}, {}],
        [{"hidden": (2, 3)}, {"hidden": (2, 3)}],
    ]
    differ = [
        [{"class_weight": {0: 1.0}}, {"class_weight": {0: 2.0}}],
        [{"sample_weight": array}, {"sample_weight": np.arange(3)}],
        [{"l2": 0.1}, {}],
        [{"hidden": (2, 3)}, {"hidden": [2, 3]}],
        [{"momentum": 1}, {"momentum": True}],
    ]
    for configs in same:
        with pytest.raises(ValueError, match="nets differ by nothing"):
            losses_of(net, configs, [1, 2]).plot()
    for configs in differ:
        assert losses_of(net, configs, [1, 2]).plot().get_xlabel() == next(iter(configs[0]))


def test_chart_without_a_mean_of_single_names():
    ax = charts.scores_chart("x", ["a", "b"], [1.0, 2.0], "y")
    assert drawn(ax)[1] == []
    assert drawn(charts.scores_chart("x", np.array([1, 2]), [1.0, 2.0], "y"))[1] == [[[1, 1], [2, 2]]]


def test_warnings_tell_what_failed_diverged_and_was_not_begun(net):
    lost = with_loss(net, 1.0, status="diverged")
    sweep = swept(net, lost, "out of time", ValueError("bad"), lost, TypeError("worse"), "out of time", "out of time")
    with pytest.warns(RuntimeWarning) as caught:
        sweep.warn()
    assert [str(warning.message) for warning in caught] == [
        "2 of 8 nets failed, see Sweep.errors; the first, configs[3]: bad",
        "2 of 8 nets diverged: lower their learning_rate or standardise X",
        "3 of 8 nets were not begun: out of time",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swept(net, net).warn()


def test_looks(net):
    assert repr(swept(net, net, ValueError("no"))) == "<Sweep of 3 nets: 2 finished, 1 failed>"
    assert repr(swept(net)) == "<Sweep of 1 net: 1 finished>"
    sweep = swept(net, ValueError("no"))
    assert sweep.seconds.tolist() == [1.5, 0.5]
    assert (len(sweep), list(sweep), sweep[-2], sweep[:1]) == (2, [net, None], net, [net])


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda sweep: pickle.loads(pickle.dumps(sweep))])
def test_copies_are_whole(blobs, twin):
    X, y = blobs
    with pytest.warns(RuntimeWarning, match="1 of 3 nets failed"):
        sweep = train_many(X, y, {"learning_rate": [0.1, -1, 0.01]}, hidden=(3,), epochs=3, validation=0.2)
    other = twin(sweep)
    assert (other.configs, other.common, other.statuses) == (sweep.configs, sweep.common, sweep.statuses)
    assert other.common["hidden"] == (3,)
    assert str(other.errors[1]) == str(sweep.errors[1])
    np.testing.assert_array_equal(other.scores, sweep.scores)
    np.testing.assert_array_equal(other.seconds, sweep.seconds)
    assert other.best().predict_proba(X).tobytes() == sweep.best().predict_proba(X).tobytes()
