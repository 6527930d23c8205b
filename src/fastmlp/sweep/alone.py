"""Nets that may have ended their workers, each in a process where nothing but itself can be lost."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fastmlp.loop import Halted
from fastmlp.sweep.sending import Parcels
from fastmlp.sweep.tasks import Outcome, Task
from fastmlp.sweep.worker import Terms, train_group

# A child of multiprocessing would run the user's script again where that is not prepared for it.
COMMAND = (sys.executable, "-c", "from fastmlp.sweep.alone import main; main()")
SECONDS_BETWEEN_LOOKS = 0.02


class Suspects:
    """Work for one thread: nets that were lost with their workers, tried in a process of their own.

    Where that ends too, they are tried by halves, until it is known which net ends it.
    """

    def __init__(self, tasks: Sequence[Task], parcels: Parcels, terms: Terms) -> None:
        self._tasks, self._parcels, self._terms = tasks, parcels, terms

    @property
    def cost(self) -> float:
        """What they cost, in the unit of their tasks."""
        return sum(task.cost for task in self._tasks)

    @property
    def kernels(self) -> set[str]:
        """None: they are not tried here."""
        return set()

    def run(self, halted: Halted) -> list[Outcome]:
        """Try them."""
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="fastmlp-") as folder:
            finished, told = self._tried(Path(folder), halted)
        if finished is not None:
            return finished
        if halted() is not None:
            return []
        if len(self._tasks) > 1:
            middle = len(self._tasks) // 2
            parts = (self._tasks[:middle], self._tasks[middle:])
            return [outcome for part in parts for outcome in Suspects(part, self._parcels, self._terms).run(halted)]
        error = RuntimeError(f"the net was lost with its worker and ended a process of its own too: {told}")
        return [Outcome(self._tasks[0].place, None, "failed", error, time.perf_counter() - begin)]

    def _tried(self, folder: Path, halted: Halted) -> tuple[list[Outcome] | None, str]:
        """What came of them, or None and what is known of why."""
        nets = self._parcels.nets([task.place for task in self._tasks])
        (folder / "shared").write_bytes(self._parcels.blob)
        (folder / "nets").write_bytes(pickle.dumps((nets, self._terms)))
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with (folder / "told").open("wb") as told:
            process = subprocess.Popen(
                [*COMMAND, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                env={**os.environ, "PYTHONPATH": path},
            )
            try:
                while process.poll() is None and halted() is None:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
            finally:
                process.kill()
                process.wait()
        if (folder / "outcomes").exists():
            return pickle.loads((folder / "outcomes").read_bytes()), ""
        lines = (folder / "told").read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return None, f"exit code {process.returncode}" + (f", {last}" if last else "")


def main() -> None:
    """Train the nets that lie in a folder, the command's last argument, and leave there what comes of them."""
    folder = Path(sys.argv[-1])
    shared = pickle.loads((folder / "shared").read_bytes())
    nets, terms = pickle.loads((folder / "nets").read_bytes())
    written = folder / "written"
    written.write_bytes(pickle.dumps(train_group(shared, nets, Terms(*terms))))
    written.rename(folder / "outcomes")
