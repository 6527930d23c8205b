"""Kernels compiled for narrower vectors than this machine's, which are known when fastmlp is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = [
    "test_elementary.py",
    "test_curves.py",
    "test_optimizers.py",
    "test_dropout.py::test_kernels_leave_out_what_the_reference_does",
    "test_bounds.py::test_nothing_is_touched_outside_the_arrays",
    "test_kernels.py",
    "test_abreast.py::test_nets_have_the_bits_they_have_alone",
    "test_check.py::test_all_checks_hold_here",
    "test_check.py::test_nets_of_the_check_go_abreast",
]
# As machines with AVX2 or SSE have them, and a CPU of which nothing is known: no fma, no wide registers.
MACHINES = {
    "8 lanes": {"FASTMLP_LANES": "8"},
    "4 lanes": {"FASTMLP_LANES": "4"},
    "generic": {"NUMBA_CPU_NAME": "generic"},
}


@pytest.mark.parametrize("machine", MACHINES)
def test_other_machines_pass_the_same_tests(machine):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(HERE / test) for test in TESTS)]
    environment = {**os.environ, **MACHINES[machine], "FASTMLP_TESTS_EVERY": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, cwd=HERE.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
