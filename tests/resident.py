"""The memory of a process of its own, as Linux counts it: not that of files, which it can have back at any time."""

import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
linux_alone = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident():
    """Bytes in memory."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def settled():
    """Bytes in memory when all that is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident()


class Watch:
    """Looks all the time how many bytes are in memory; `grown` by how many more there were at most than at the start."""

    def __enter__(self):
        self._start = self._peak = resident()
        self._done = False
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def _watch(self):
        while not self._done:
            self._peak = max(self._peak, resident())
            time.sleep(0.001)

    def __exit__(self, *_):
        self._done = True
        self._watcher.join()

    @property
    def grown(self):
        return self._peak - self._start


def told_by(script, *arguments, timeout=300):
    """What a fresh process prints, as JSON, that runs the script with these arguments; this module is there to import."""
    places = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": places}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
