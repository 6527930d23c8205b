"""The same seed, the same bits: whatever the number of threads, in every process, each time."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from configurations import NAMES

import fastmlp

PLACES = (Path(__file__).parent, Path(fastmlp.__file__).parents[1])
THREADS = (1, 2, 4)
PROCESSES = 3
SCRIPT = """
import json, sys
from configurations import NAMES, digest

threads, refits = json.loads(sys.argv[1])
print(json.dumps({name: [digest(name, number) for _ in range(refits) for number in threads] for name in NAMES}))
"""


def hashes(refits, hash_seed):
    """What a fresh process comes to in each configuration."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PLACES)), "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", SCRIPT, json.dumps([THREADS, refits])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
def test_one_hash_for_each_configuration(trials, count):
    refits = count(1, 12)
    of_processes = [hashes(refits, seed) for seed in range(PROCESSES)]
    with trials("refits x threads x processes give one hash") as trial:
        for name in NAMES:
            found = [one for of_process in of_processes for one in of_process[name]]
            assert len(found) == PROCESSES * len(THREADS) * refits
            usual = Counter(found).most_common(1)[0][0]
            for place, one in enumerate(found):
                with trial.case(f"{name}, refit {place}"):
                    assert one == usual
    # Configurations are told apart.
    assert len({of_processes[0][name][0] for name in NAMES}) == len(NAMES) == 20
