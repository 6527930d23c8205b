"""The README's recipes run as they stand there, and reach on held-out samples what they are said to reach."""

import re
import warnings
from pathlib import Path

import matplotlib.image
import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDED = re.findall(r"<details>\n<summary>(.*?)</summary>\n(.*?)</details>", PAGE, re.DOTALL)
RECIPES = [(summary, code) for summary, text in FOLDED for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
# The score needed, below the least over ten seeds, and for those with a net to compare with how much better it must be.
NEEDED = {
    "Regression": (0.32, None),
    "Several labels for each sample": (0.92, None),
    "Classes of unequal size": (0.86, 0.03),
    "Early stopping, with its curves": (0.94, None),
    "Dropout against overfitting": (0.90, 0.03),
    "Going on with a training": (0.95, None),
    "A long training that survives its process": (0.95, None),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs a recipe in a folder of its own and gives what names it leaves."""
    monkeypatch.chdir(tmp_path)

    def run(summary):
        left = {"__name__": "recipe"}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(dict(RECIPES)[summary], f"recipe: {summary}", "exec"), left)
        return left

    return run


def test_each_recipe_has_one_snippet_and_a_score_to_reach():
    assert [summary for summary, _ in RECIPES] == list(NEEDED)


@pytest.mark.parametrize("summary", NEEDED)
def test_recipe_reaches_its_score(run, summary, tmp_path):
    needed, gain = NEEDED[summary]
    left = run(summary)
    assert needed <= left["score"] <= 1
    if gain is not None:
        assert left["score"] - left["without"] >= gain
    if summary.startswith("Early stopping"):
        net = left["net"]
        assert net.status == "stopped early"
        assert net.best_epoch < net.n_epochs
        assert matplotlib.image.imread(tmp_path / "early_stopping.png")[..., :3].std() > 0.01
