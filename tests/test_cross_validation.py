"""Scores and predictions of rows that a net was not trained on."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit

import fastmlp
from fastmlp import cross_validate, train

CONFIG = {"hidden": 8, "epochs": 20, "batch_size": 16, "learning_rate": 0.01, "seed": 3}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def test_folds_are_scored_by_nets_that_have_not_seen_them(iris):
    X, y = iris
    found = cross_validate(X, y, CONFIG)
    assert found.scores.shape == (5,)
    for fold, (rows, test) in enumerate(found.folds):
        np.testing.assert_array_equal(np.sort([*rows, *test]), np.arange(150))
        assert np.bincount(y[test]).tolist() == [10, 10, 10]
        alone = train(X[rows], y[rows], **CONFIG)
        assert alone.params.tobytes() == found.sweep[fold].params.tobytes()
        assert found.scores[fold] == alone.score(X[test], y[test])
        np.testing.assert_array_equal(found.predictions[test], alone.predict(X[test]))
        np.testing.assert_array_equal(found.probabilities[test], alone.predict_proba(X[test]))
    assert found.scores.mean() > 0.9
    assert repr(found) == f"<CrossValidation of 5 folds: {found.scores.mean():.4g} +- {found.scores.std():.2g}>"


def test_folds_are_the_same_each_time_unless_asked_otherwise(iris):
    X, y = iris
    first, again, other = (cross_validate(X, y, {**CONFIG, "epochs": 1}, split_seed=seed) for seed in (0, 0, 1))
    assert [test.tobytes() for _, test in first.folds] == [test.tobytes() for _, test in again.folds]
    assert [test.tobytes() for _, test in first.folds] != [test.tobytes() for _, test in other.folds]


@pytest.mark.parametrize("labels", [np.array(["b", "a", "c"]), np.array([2.5, 0.5, 1.5]), np.array([True, False, True])])
def test_labels_come_back_as_they_are(iris, labels):
    X, y = iris
    found = cross_validate(X, labels[y], CONFIG, cv=3, loss="cross_entropy")
    assert found.predictions.dtype == labels.dtype
    assert (found.predictions == labels[y]).mean() > 0.85


def test_regression_of_one_and_several_outputs():
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    for targets in (y, np.column_stack([y, -y])):
        found = cross_validate(X, targets, {"hidden": 5, "epochs": 5, "seed": 0}, cv=4, dtype="float32")
        assert found.predictions.shape == targets.shape
        assert found.predictions.dtype == np.float32
        with pytest.raises(ValueError, match="probabilities: a regression net has none"):
            found.probabilities  # noqa: B018


def test_multilabel(iris):
    X, y = iris
    found = cross_validate(X, np.eye(3, dtype=int)[y], CONFIG, cv=3)
    assert found.probabilities.shape == (150, 3)
    assert ((found.probabilities > 0.5).astype(int) == found.predictions).all()


@pytest.mark.parametrize(
    "cv",
    [KFold(3), GroupKFold, [(np.arange(100), np.arange(100, 150)), (np.arange(50, 150), np.arange(50))]],
    ids=["splitter", "generator", "pairs"],
)
def test_folds_may_be_given(iris, cv):
    X, y = iris
    if cv is GroupKFold:
        cv = GroupKFold(3).split(X, y, np.arange(150) % 7)
    y = np.random.default_rng(0).permutation(y)
    found = cross_validate(X, y, {**CONFIG, "epochs": 1}, cv=cv)
    assert found.scores.shape == (len(found.folds),)
    assert len(found.sweep) == len(found.folds)


def test_predictions_need_each_row_once(iris):
    X, y = iris
    found = cross_validate(X, y, {**CONFIG, "epochs": 1}, cv=ShuffleSplit(4, random_state=0))
    assert found.scores.shape == (4,)
    with pytest.raises(ValueError, match=r"the folds score row \d+ \d times: predictions need folds"):
        found.predictions  # noqa: B018


def test_scoring_is_a_function_of_true_and_predicted(iris):
    X, y = iris
    calls = []
    found = cross_validate(X, y, CONFIG, cv=3, scoring=lambda true, predicted: calls.append((true, predicted)) or -2.0)
    assert found.scores.tolist() == [-2.0] * 3
    np.testing.assert_array_equal(calls[0][0], y[found.folds[0][1]])
    np.testing.assert_array_equal(calls[1][1], found.predictions[found.folds[1][1]])


@pytest.mark.parametrize("kind", ["list", "frame", "float32"])
def test_features_of_any_kind(iris, kind):
    X, y = iris
    pandas = pytest.importorskip("pandas")
    given = {"list": X.tolist(), "frame": pandas.DataFrame(X), "float32": X.astype(np.float32)}[kind]
    found = cross_validate(given, y.tolist(), CONFIG, cv=2)
    assert found.sweep[0].dtype == (np.float32 if kind == "float32" else np.float64)
    assert found.scores.min() > 0.8


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cv": 1}, ValueError, "cv=1: give a whole number from 2 on"),
        ({"cv": 151}, ValueError, "cv=151: there are 150 samples"),
        ({"cv": "five"}, TypeError, "cv='five': give a number of folds"),
        ({"cv": []}, ValueError, "cv has no folds"),
        ({"cv": [3]}, TypeError, "cv: fold 0 is 3; give a pair"),
        ({"cv": [([1, 2], [150])]}, ValueError, "cv: fold 0 holds 150, but X has the rows 0 to 149"),
        ({"cv": [([1, 2], [])]}, ValueError, "cv: fold 0 is empty"),
        ({"config": 3}, TypeError, "config=3: give a dict"),
        ({"config": {"hiden": 3}}, TypeError, "hiden: train has no such parameter; did you mean 'hidden'"),
        ({"config": {"learning_rate": -1}}, ValueError, "learning_rate=-1"),
        ({"scoring": "accuracy"}, TypeError, "scoring='accuracy': give a function"),
        ({"split_seed": "x"}, TypeError, "split_seed='x'"),
    ],
)
def test_bad_arguments_are_named(iris, arguments, error, message):
    with pytest.raises(error, match=message):
        cross_validate(*iris, **arguments)


def test_what_is_not_trained_is_told(iris):
    with pytest.warns(RuntimeWarning), pytest.raises(RuntimeError, match="only 0 of 5 nets were trained"):
        cross_validate(*iris, {**CONFIG, "epochs": 100_000}, max_seconds=1e-9)


def test_it_is_public():
    assert fastmlp.cross_validate is cross_validate
