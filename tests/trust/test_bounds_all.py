"""Tests again, with every index that compiled code takes into an array checked against its bounds.

What kernels read and write by address no compiler checks: for that there are the canaries of test_bounds and test_abreast.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# In the reduced number a net of each kind, in one dtype: what takes the time is to compile.
SOME = [
    "test_kernels.py",
    "test_bounds.py::test_nothing_is_touched_outside_the_arrays",
    "test_abreast.py::test_nets_have_the_bits_they_have_alone",
]
# These are about time, about what compiling without checks leaves, or run the tests in other ways themselves.
LEFT_OUT = ("test_bench.py", "test_cache.py", "test_lanes.py", "test_readme.py", "test_recipes.py")
CODE_TESTS = ("test_float32_code_has_no_double", "test_code_allocates_nothing", "test_code_keeps_nan_visible")


def arguments(whole):
    if not whole:
        return [*(str(TESTS / test) for test in SOME), "-k", "float64"]
    left_out = [f"--ignore={TESTS / name}" for name in ("trust", "external", *LEFT_OUT)]
    return [str(TESTS), *left_out, "-k", " and ".join(f"not {name}" for name in CODE_TESTS)]


@pytest.mark.long
def test_no_index_is_out_of_bounds(tmp_path, trials, count):
    environment = {
        **os.environ,
        "NUMBA_BOUNDSCHECK": "1",
        "FASTMLP_CACHE_DIR": str(tmp_path),
        "FASTMLP_TESTS_EVERY": str(count(200, 1)),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments(count(False, True))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * 3600, env=environment, cwd=TESTS.parent)
    told = dict.fromkeys(("passed", "failed", "error"), 0)
    told |= {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])}
    with trials("tests with bounds checked") as trial:
        trial.tried += sum(told.values())
        trial.failures += [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        assert told["passed"] > 50


def test_an_index_out_of_bounds_is_noticed():
    """In the compiled code as the kernels' decorators make it."""
    script = """
import numpy as np
from fastmlp.kernels.jit import passing_entry, routine

@routine
def part(array, place):
    return array[place]

@passing_entry
def whole(array, place):
    return part(array, place)

whole(np.zeros(3), 2)
whole(np.zeros(3), 3)
"""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environment)
    assert "IndexError" in done.stderr
