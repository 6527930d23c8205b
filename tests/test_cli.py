"""The command line: what it tells, where its pictures go, and how it ends."""

import sys

import matplotlib.image
import numpy as np
import pytest
from typer.testing import CliRunner

import fastmlp
from fastmlp import tour
from fastmlp.cli import app
from fastmlp.kernels.run import Run

NAMES = ["moons", "baseline", "network", "sizes", "minibatches", "annealing", "activations", "classes", "layers"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text):
    """The text without line breaks and the frames that messages may have."""
    return " ".join(text.replace("│", " ").split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour") / "made" / "if missing"
    return run("tour", "--fast", "--out", out), out


def test_version():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"fastmlp {fastmlp.__version__}\n")


def test_help_lists_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    assert "tour" in result.output


def test_whole_tour_tells_every_chapter_and_says_where_the_pictures_are(whole):
    result, out = whole
    assert result.exit_code == 0, result.output
    for number, chapter in tour.find(None):
        assert f"{number} · {chapter.title}" in result.output
        assert f"picture: {out / f'{number}-{chapter.name}.png'}" in result.output
    text = words(result.output)
    for said in (
        "0.432387",
        "0.068947",
        "period-2 oscillation between 0.070758 and 0.071316",
        "compiled",
        "the reference's",
    ):
        assert said in text


@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES, start=1)))
def test_pictures_have_their_size_and_show_something(whole, number, name):
    picture = matplotlib.image.imread(whole[1] / f"{number}-{name}.png")[..., :3]
    height, width, _ = picture.shape
    assert 500 <= height <= 1500
    assert 800 <= width <= 2200
    assert len(np.unique(picture @ (1, 2, 3))) > 50
    assert picture.std() > 0.05


@pytest.mark.parametrize("chapter", ["3", "network", " Network "])
def test_one_chapter_by_number_or_name(chapter, tmp_path):
    result = run("tour", "--fast", "--chapter", chapter, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["3-network.png"]
    assert "The moons" not in result.output


@pytest.mark.parametrize("chapter", ["0", "10", "networks", ""])
def test_unknown_chapter(chapter, tmp_path):
    result = run("tour", "--chapter", chapter, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"there is no chapter '{chapter}'" in words(result.output)
    assert "9 layers" in words(result.output)
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        result = run("tour", "--chapter", "moons", "--out", out)
        assert result.exit_code == 1
        assert f"Cannot write pictures to {out}" in result.output
        assert "--out" in result.output


def test_picture_that_cannot_be_written(tmp_path):
    (tmp_path / "1-moons.png").mkdir()
    result = run("tour", "--chapter", "moons", "--out", tmp_path)
    assert result.exit_code == 1
    assert "Cannot write pictures" in result.output


def test_without_matplotlib_it_says_what_to_install_and_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("tour", "--fast", "--chapter", "network", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert 'pip install "fastmlp[plot]"' in result.output
    assert "0.068947" in result.output
    assert not (tmp_path / "out").exists()


def test_interrupt_in_training_ends_the_tour(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "advance", interrupt)
    result = run("tour", "--chapter", "network", "--out", tmp_path)
    assert result.exit_code == 130
    assert "Interrupted" in result.output


def test_interrupt_between_trainings_ends_the_tour(tmp_path, monkeypatch):
    def interrupt(console):
        raise KeyboardInterrupt

    monkeypatch.setattr(tour, "_warm_up", interrupt)
    assert run("tour", "--out", tmp_path).exit_code == 130


def test_other_warnings_are_not_taken_for_an_interrupt(tmp_path, monkeypatch):
    def warn(console):
        raise RuntimeWarning("overflow")

    monkeypatch.setattr(tour, "_warm_up", warn)
    result = run("tour", "--out", tmp_path)
    assert isinstance(result.exception, RuntimeWarning)


def test_a_folder_with_brackets_is_no_markup(tmp_path):
    out = tmp_path / "[bold] pictures"
    result = run("tour", "--chapter", "moons", "--out", out)
    assert f"picture: {out / '1-moons.png'}" in result.output
    assert (out / "1-moons.png").exists()
