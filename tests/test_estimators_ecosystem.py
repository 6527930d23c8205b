"""The estimators where scikit-learn's users put them."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_moons
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Scoring failed"),
]
X, Y = make_moons(120, noise=0.2, random_state=0)
NET = MLPClassifier((8,), learning_rate_init=0.05, max_iter=25, random_state=0)
GRID = {"hidden_layer_sizes": [(4,), (8, 3)], "alpha": [1e-4, 1.0]}


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_grid_search(backend):
    alone = GridSearchCV(NET, GRID, cv=3).fit(X, Y)
    with joblib.parallel_backend(backend):
        together = GridSearchCV(NET, GRID, cv=3, n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert together.best_params_ == alone.best_params_
    theirs = GridSearchCV(Theirs(**{name: NET.get_params()[name] for name in Theirs().get_params()}), GRID, cv=3).fit(X, Y)
    np.testing.assert_array_equal(theirs.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_other_searches():
    halving = HalvingGridSearchCV(NET, {"alpha": [1e-4, 0.01, 1.0]}, cv=2, random_state=0, min_resources=40).fit(X, Y)
    assert halving.best_score_ > 0.7
    by_iterations = HalvingGridSearchCV(
        NET, {"alpha": [1e-4, 0.01, 1.0]}, cv=2, resource="max_iter", max_resources=27, min_resources=3, random_state=0
    ).fit(X, Y)
    assert by_iterations.best_estimator_.n_iter_ == by_iterations.best_estimator_.max_iter == 9
    at_random = RandomizedSearchCV(NET, {"learning_rate_init": np.geomspace(1e-3, 0.1, 9)}, n_iter=3, random_state=0)
    assert at_random.fit(X, Y).best_score_ > 0.7


def test_cross_validation_within_a_pipeline():
    net = make_pipeline(StandardScaler(), NET)
    scores = cross_val_score(net, X, Y, cv=4, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(net, X, Y, cv=4))
    assert scores.mean() > 0.8
    np.testing.assert_allclose(cross_val_predict(net, X, Y, method="predict_proba").sum(axis=1), 1)


@pytest.mark.parametrize(
    "ensemble",
    [
        CalibratedClassifierCV(NET, cv=3),
        BaggingClassifier(NET, 4, random_state=0, n_jobs=2),
        AdaBoostClassifier(NET, n_estimators=3, random_state=0),
        StackingClassifier([("a", NET), ("b", clone(NET).set_params(solver="lbfgs"))], LogisticRegression(), cv=3),
        VotingClassifier([("a", NET), ("b", LogisticRegression())], voting="soft"),
    ],
    ids=lambda ensemble: type(ensemble).__name__,
)
def test_ensembles(ensemble):
    fitted = clone(ensemble).fit(X, Y)
    assert fitted.score(X, Y) > 0.85
    np.testing.assert_array_equal(fitted.predict(X), clone(ensemble).fit(X, Y).predict(X))


def test_regressors_within_others():
    curve = np.sin(2 * X[:, 0])
    net = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", max_iter=200, random_state=0)
    assert TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, 100 * curve).score(X, 100 * curve) > 0.95
    assert (
        MultiOutputRegressor(net).fit(X, np.column_stack([curve, -curve])).score(X, np.column_stack([curve, -curve])) > 0.95
    )


def test_inspection():
    net = clone(NET).set_params(max_iter=200).fit(X, Y)
    importances = permutation_importance(net, X, Y, n_repeats=5, random_state=0).importances_mean
    assert (importances > 0.05).all()
    pytest.importorskip("matplotlib").use("agg")
    display = DecisionBoundaryDisplay.from_estimator(net, X, grid_resolution=20, response_method="predict")
    assert set(np.unique(display.response)) == {0, 1}


@pytest.mark.parametrize("incremental", [False, True])
def test_learning_curves(incremental):
    sizes, _, scores = learning_curve(
        NET, X, Y, train_sizes=[0.2, 0.6, 1.0], cv=3, exploit_incremental_learning=incremental, shuffle=True, random_state=0
    )
    assert sizes.tolist() == [16, 48, 80]
    assert np.isfinite(scores).all()


def test_metadata_is_routed():
    weights = np.where(Y == 1, 1.0, 0.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        net = make_pipeline(scaler, clone(NET).set_fit_request(sample_weight=True))
        found = cross_validate(net, X, Y, params={"sample_weight": weights}, cv=3, return_estimator=True)
        assert all((fitted.predict(X) == 1).all() for fitted in found["estimator"])
        held = clone(NET).set_fit_request(X_val=True, y_val=True)
        fitted = make_pipeline(held).fit(X, Y, X_val=X[:20], y_val=Y[:20])
        assert len(fitted[-1].validation_scores_) == fitted[-1].n_iter_


def test_shown_cloned_and_stored(tmp_path):
    net = clone(NET).fit(X, Y)
    assert repr(net).startswith("MLPClassifier(hidden_layer_sizes=(8,)")
    assert "MLPClassifier" in net._repr_html_()
    assert "dropout" in net.get_params()
    path = tmp_path / "net.joblib"
    joblib.dump(net, path)
    for mode in (None, "r"):
        loaded = joblib.load(path, mmap_mode=mode)
        np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))
    assert loaded.partial_fit(X, Y).t_ == net.t_ + 120
    assert clone(loaded).get_params() == net.get_params()


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_tables_with_names(table):
    given = table({"left": X[:, 0], "right": X[:, 1]})
    labels = pd.Series(np.where(Y == 1, "yes", "no"), dtype="category")
    net = make_pipeline(StandardScaler(), NET).fit(given, labels)
    assert net[0].feature_names_in_.tolist() == ["left", "right"]
    assert set(net.predict(given)) == {"yes", "no"}
    plain = clone(NET).fit(given, labels)
    assert plain.feature_names_in_.tolist() == ["left", "right"]
    assert plain.score(given, labels) == plain.score(given, labels.to_numpy())
