"""Pictures are made without a screen, show what they say, and refuse what cannot be drawn."""

import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

import fastmlp
from fastmlp import plotting

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 2))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def net():
    return fastmlp.train(X, Y, 3, epochs=20, seed=0)


def pixels(figure, tmp_path):
    return matplotlib.image.imread(plotting.save(figure, tmp_path / "picture.png"))[..., :3]


def right_side(x):
    return (x[:, 0] > 0).astype(int)


def test_boundary_of_net_has_shades_and_labels(net, tmp_path):
    ax = plotting.decision_boundary(net, X, Y)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 1", "feature 2")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class 0", "class 1"]
    shades = np.unique(ax.images[0].get_array().reshape(-1, 3), axis=0)
    assert len(shades) > 100
    picture = pixels(ax.figure, tmp_path)
    assert picture.shape == (int(4.8 * 144), int(6.4 * 144), 3)
    assert len(np.unique(picture @ (1, 2, 3))) > 100


def test_boundary_of_function_is_flat_and_lies_where_the_function_changes():
    ax = plotting.decision_boundary(right_side, X, Y)
    image = ax.images[0]
    shades = np.asarray(image.get_array())
    assert len(np.unique(shades.reshape(-1, 3), axis=0)) == 2
    left, right, *_ = image.get_extent()
    columns = np.linspace(left, right, shades.shape[1])
    assert (shades[:, columns < 0] == shades[0, 0]).all()
    assert (shades[:, columns > 0] == shades[0, -1]).all()


def test_surer_is_deeper(net):
    shades = np.asarray(plotting.decision_boundary(net, X, Y).images[0].get_array())
    image = plotting.decision_boundary(net, X, Y, resolution=50).images[0]
    left, right, bottom, top = image.get_extent()
    mesh = np.stack(np.meshgrid(np.linspace(left, right, 50), np.linspace(bottom, top, 50)), axis=-1).reshape(-1, 2)
    sure = net.predict_proba(mesh).max(axis=1)
    whiteness = np.asarray(image.get_array()).reshape(-1, 3).min(axis=1)
    for number in (0, 1):
        of_class = net.predict(mesh) == number
        order = np.argsort(sure[of_class])
        assert (np.diff(whiteness[of_class][order]) <= 1e-12).all()
    assert shades.max() <= 1
    assert shades.min() >= 0


def test_marks_of_the_classes_differ_in_shape_and_in_grey():
    labels = np.arange(60) % 3
    ax = plotting.points(X, labels)
    shapes = {len(collection.get_paths()[0].vertices) for collection in ax.collections}
    greys = sorted(collection.get_facecolor()[0, :3] @ (0.299, 0.587, 0.114) for collection in ax.collections)
    assert len(shapes) == 3
    assert (np.diff(greys) > 0.15).all()


def test_scikit_learn_classifiers_and_strings_work():
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeClassifier

    names = np.array(["left", "right"])[Y]
    for model in (DecisionTreeClassifier(random_state=0), LinearSVC(random_state=0)):
        ax = plotting.decision_boundary(model.fit(X, names), X, names)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class left", "class right"]


def test_draws_on_given_axes(net):
    figure, (first, second) = plotting.panels(1, 2)
    assert plotting.decision_boundary(net, X, Y, first, legend=False) is first
    assert first.get_legend() is None
    assert plotting.loss_curve(net, second) is second
    assert figure.axes == [first, second]


def test_points_on_a_line_have_room():
    ax = plotting.decision_boundary(right_side, np.column_stack([X[:, 0], np.zeros(60)]), Y)
    assert ax.get_ylim()[0] < 0 < ax.get_ylim()[1]


@pytest.mark.parametrize(
    ("model", "points", "labels", "message"),
    [
        (right_side, np.ones((4, 3)), [0, 1, 0, 1], "X has 3 columns"),
        (right_side, np.ones(4), [0, 1, 0, 1], "X has 1 dimension"),
        (right_side, np.full((4, 2), np.nan), [0, 1, 0, 1], "X holds nan"),
        (right_side, X, Y[:-1], "60 rows, but y has 59"),
        (right_side, X, np.column_stack([Y, Y]), "one class for each row"),
        (lambda x: np.ones((len(x), 2)), X, Y, r"gave shape \(90000, 2\)"),
        (lambda x: x[:, 0], X, Y, "must not give probabilities"),
    ],
)
def test_what_cannot_be_drawn_is_refused(model, points, labels, message):
    with pytest.raises(ValueError, match=message):
        plotting.decision_boundary(model, points, labels)


def test_nets_without_classes_are_refused():
    net = fastmlp.train(X, X[:, 0], 2, epochs=1, seed=0)
    with pytest.raises(ValueError, match="not trained on classes"):
        plotting.decision_boundary(net, X, Y)


def test_classes_the_net_does_not_know_are_refused(net):
    with pytest.raises(ValueError, match="does not know"):
        plotting.decision_boundary(net, X, Y + 1)


def test_loss_curves_of_one_of_several_and_of_named_nets(net):
    other = fastmlp.train(X, Y, (), epochs=5, seed=0)
    (line,) = plotting.loss_curve(net).lines
    np.testing.assert_array_equal(line.get_ydata(), net.loss_curve)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 21))
    ax = plotting.loss_curve([net, other])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["2-3-2 relu", "2-2 linear"]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    ax = plotting.loss_curve({"a": net, "b": other})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("pass", "loss", "log")


def test_loss_curve_of_nothing_is_refused(net):
    with pytest.raises(ValueError, match="no net"):
        plotting.loss_curve([])
    net = fastmlp.Network(net.sizes, net.activations, net.loss, net.params, net.classes, True, np.empty(0))
    with pytest.raises(ValueError, match="no losses"):
        plotting.loss_curve(net)


def test_without_matplotlib_the_error_says_what_to_install(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (lambda: plotting.decision_boundary(net, X, Y), lambda: plotting.loss_curve(net)):
        with pytest.raises(ImportError, match=r'pip install "fastmlp\[plot\]"'):
            draw()


def test_no_pyplot_no_screen_and_no_import_before_drawing(tmp_path):
    code = f"""
import sys
from fastmlp import plotting
assert "matplotlib" not in sys.modules
ax = plotting.decision_boundary(lambda x: (x[:, 0] > 0).astype(int), [[-1, 0], [1, 1]], [0, 1])
ax.figure.savefig({str(tmp_path / "picture.png")!r})
assert "matplotlib.pyplot" not in sys.modules
assert "numba" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "picture.png").stat().st_size > 1000
