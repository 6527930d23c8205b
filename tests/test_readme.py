"""What the README shows runs, as it stands there."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn.neural_network

import fastmlp

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# Those folded away are the recipes, which have a test of their own.
OPEN = re.sub(r"<details>.*?</details>", "", README, flags=re.DOTALL)
SNIPPETS = re.findall(r"```python\n(.*?)```", OPEN, re.DOTALL)
OUTPUTS = dict(re.findall(r"<!-- output: (\w+) -->\n```\n(.*?)```", README, re.DOTALL))
COMMANDS = dict(re.findall(r"<!-- command: (\w+) -->\n```bash\n(.*?)```", README, re.DOTALL))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def fastmlp_command(line, folder):
    """What a line of a command of the README prints."""
    program, *arguments = line.split()
    assert program == ".venv/bin/fastmlp"
    command = [sys.executable, "-m", "fastmlp", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "120"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tour_command_runs_what_it_installs(tmp_path):
    *setup, tour = COMMANDS["tour"].splitlines()
    assert setup == ["python3 -m venv .venv", '.venv/bin/pip install --quiet -e ".[plot]"']
    assert "0.068947" in fastmlp_command(tour, tmp_path)
    assert list(tmp_path.rglob("*.png"))


def test_bench_command_runs(tmp_path):
    printed = fastmlp_command(f"{COMMANDS['bench'].strip()} --seconds 2 --rounds 1", tmp_path)
    assert "30-100-2" in printed
    assert "Forecast from 2,000, 20,000 samples" in printed


def test_check_command_prints_what_is_shown(tmp_path):
    printed = fastmlp_command(COMMANDS["check"].strip(), tmp_path).splitlines()
    begins, text = [re.split(r"  +", line)[0] for line in printed], " ".join(" ".join(printed).split())
    shown = [line for line in OUTPUTS["check"].splitlines() if line not in ("", "...")]
    # What is found, and with what, hangs on the machine; the lines' breaks on the terminal.
    missing = [line for line in shown[:-1] if re.split(r"  +", line)[0] not in begins and line not in text]
    assert missing == []
    assert len([line for line in shown if line.endswith("  ok")]) >= 10
    assert shown[-1].split(",")[0] == printed[-1].split(",")[0]
    assert re.fullmatch(r"All \d+ checks held", printed[-1].split(",")[0])


def test_table_commands_print_what_is_shown(tmp_path):
    (making,) = [snippet for snippet in SNIPPETS if "wine.csv" in snippet]
    subprocess.run([sys.executable, "-c", making], cwd=tmp_path, check=True, timeout=120)
    training, prediction = COMMANDS["table"].splitlines()
    printed = fastmlp_command(training, tmp_path)
    lines = [line.rstrip() for line in printed.splitlines()]
    told = [line for line in OUTPUTS["table"].splitlines() if line != "..."]
    # How long it took, and the last digits, hang on the machine.
    exact = [line for line in told if not re.search(r"epochs|right", line)]
    assert len(exact) == len(told) - 2 >= 4
    assert set(exact) <= set(lines)
    accuracy = float(re.search(r"accuracy ([\d.]+)", printed)[1])
    assert accuracy == pytest.approx(float(re.search(r"accuracy ([\d.]+)", OUTPUTS["table"])[1]), abs=0.06)
    assert "Not used: 'hue'." in fastmlp_command(prediction, tmp_path)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 178


def test_names_of_others_are_parameters_that_exist():
    rows = re.search(r"<!-- names -->\n(.*?)<!-- end of names -->", README, re.DOTALL)[1].splitlines()[2:]
    theirs = {*inspect.signature(sklearn.neural_network.MLPClassifier).parameters, "coefs_", "intercepts_", "loss_curve_"}
    theirs |= {"warm_start", "partial_fit", "fit"}
    ours = {*inspect.signature(fastmlp.train).parameters, "net", "fastmlp", "None"}
    assert len(rows) > 20
    for row in rows:
        scikit, _, mine = (re.findall(r"`(\w+)", cell) for cell in row.strip("|").split("|"))
        assert set(scikit) <= theirs, row
        assert mine, row
        assert set(mine) <= ours, row


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
