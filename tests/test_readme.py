"""What the README shows runs, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# Those folded away are the recipes, which have a test of their own.
OPEN = re.sub(r"<details>.*?</details>", "", README, flags=re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", OPEN, re.DOTALL)
COMMANDS = dict(re.findall(r"<!-- command: (\w+) -->\n```bash\n(.*?)```", README, re.DOTALL))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_tour_command_runs_what_it_installs(tmp_path):
    *setup, tour = COMMANDS["tour"].splitlines()
    assert setup == ["python3 -m venv .venv", '.venv/bin/pip install --quiet -e ".[plot]"']
    program, *arguments = tour.split()
    assert program == ".venv/bin/fastmlp"
    command = [sys.executable, "-c", "from fastmlp.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "0.068947" in done.stdout
    assert list(tmp_path.rglob("*.png"))


def test_bench_command_runs(tmp_path):
    program, *arguments = COMMANDS["bench"].split()
    assert program == ".venv/bin/fastmlp"
    command = [sys.executable, "-c", "from fastmlp.cli import main; main()", *arguments, "--seconds", "2", "--rounds", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "30-100-2" in done.stdout
    assert "Forecast from 200, 2,000, 20,000 samples" in done.stdout


def test_tests_command_installs_the_extra_that_has_pytest():
    assert COMMANDS["tests"].splitlines() == [
        "python3 -m venv .venv",
        '.venv/bin/pip install --quiet -e ".[test]"',
        ".venv/bin/pytest",
    ]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_files_and_folders_named_exist(page):
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:src|tests|bench|kernels|\.ci)/[\w./-]*)`", text))
    assert named
    for path in named:
        assert (ROOT / path).exists() or (ROOT / "src" / "fastmlp" / path).exists(), path


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 80
