"""Kernels compiled for narrower vectors than this machine's, which are known when fastmlp is imported."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TESTS = [
    "test_elementary.py",
    "test_bounds.py::test_nothing_is_touched_outside_the_arrays",
    "test_kernels.py::test_update_equals_the_reference",
]


def test_eight_lanes_pass_the_same_tests():
    """As machines without AVX-512 have them; powers of two are made in another way there."""
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *(str(HERE / test) for test in TESTS)]
    environment = {**os.environ, "FASTMLP_LANES": "8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=HERE.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
