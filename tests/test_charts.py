"""Pictures of results: what they show, not how they look."""

import matplotlib.figure
import numpy as np
import pytest

from fastmlp import charts


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_confusion_shows_counts_and_names():
    figure = charts.confusion_chart(["no", "perhaps", "yes"], np.array([[5, 0, 1], [0, 0, 0], [2, 0, 2000]]))
    (ax,) = figure.axes
    assert sorted(texts(ax)) == ["1", "2", "2,000", "5"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["no", "perhaps", "yes"]
    assert ax.get_title() == "99.9% right"
    # A class without rows is no division by zero.
    assert np.isfinite(ax.images[0].get_array()).all()


def test_confusion_of_many_classes_has_no_names():
    figure = charts.confusion_chart(list(range(100)), np.eye(100, dtype=np.int64))
    assert not texts(figure.axes[0])
    assert figure.get_size_inches().max() < 20


@pytest.mark.parametrize("n", [1, 7, 100_000])
def test_residuals(n):
    random = np.random.default_rng(0)
    true = random.normal(size=n)
    figure = charts.residuals_chart(true, true - 1, "price")
    left, right = figure.axes
    points = right.collections[0].get_offsets()
    assert min(n, charts.MOST_POINTS) <= len(points) < 2 * charts.MOST_POINTS
    np.testing.assert_allclose(points[:, 1], 1)
    assert left.get_ylabel() == "true price"


def test_sizes_have_a_line_for_each_name():
    figure = charts.sizes_chart([("fastmlp", [10, 100], [1.0, 2.0]), ("another", [10], [3.0])], "2-3-2")
    (ax,) = figure.axes
    assert isinstance(figure, matplotlib.figure.Figure)
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_title()) == ("log", "log", "2-3-2")
    assert [line.get_label() for line in ax.lines] == ["fastmlp", "another"]
