"""Is this commit slower than that one? Both are run in turn, and the ratio is told with its interval.

    python bench/compare.py HEAD~1
    python bench/compare.py v0.1 --with HEAD --problems 2-3-2 --seconds 100

A process has its luck with where things lie in memory, so each pair of processes gives one ratio, the median of rounds in
turn; the interval is that of the median over the pairs, with 95 % certainty. Without --with the working tree is compared.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from fastmlp.bench.rounds import Ratio, Timing, ratio

HERE = Path(__file__).resolve().parent.parent
# By name: what trains once, given X and y of the names below.
PROBLEMS = {
    "2-3-2": "fastmlp.train(X2, y2, 3, activation='tanh', solver='sgd', learning_rate=2.0, l2=5e-5, batch_size=None,"
    " epochs=20_000, init='lecun_normal', seed=0, threads=1)",
    "64-100-10": "fastmlp.train(X64, y10, 100, activation='tanh', batch_size=200, epochs=40, seed=0, threads=1)",
}
CHILD = """
import sys, time
import numpy as np
import fastmlp
random = np.random.default_rng(0)
t = random.uniform(0, np.pi, 200)
y2 = np.arange(200) % 2
X2 = np.column_stack([np.cos(t) + y2, np.sin(t)]) * np.where(y2, -1, 1)[:, None] + 0.2 * random.standard_normal((200, 2))
X2 = X2.astype("float32")
X64, y10 = random.standard_normal((2000, 64)).astype("float32"), random.integers(0, 10, 2000)
work = {work}
work()
for _ in sys.stdin:
    begin = time.perf_counter()
    work()
    print(time.perf_counter() - begin, flush=True)
"""


class Side:
    """A commit in a process of its own, which trains when told to."""

    def __init__(self, source: Path, problem: str, cache: str) -> None:
        # Where the stack begins depends on how long the environment is, and speed on where it begins: left to chance.
        padding = "x" * random.randrange(4096)
        environment = {**os.environ, "PYTHONPATH": str(source / "src"), "FASTMLP_CACHE_DIR": cache, "PADDING": padding}
        code = CHILD.replace("{work}", f"lambda: {PROBLEMS[problem]}")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("again", file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of {self._process.args[0]} has ended; see above why")
        return float(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def checked_out(commit: str, folder: Path) -> Path:
    """The files of a commit, in a folder."""
    archive = subprocess.run(["git", "-C", str(HERE), "archive", commit, "src"], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


def pair(this: Path, that: Path, problem: str, cache: str, rounds: int, turned: bool = False) -> tuple[float, float]:
    """Median seconds of one pair of processes, in turn; `turned` begins with the other."""
    sides = [Side(source, problem, cache) for source in ((that, this) if turned else (this, that))]
    try:
        times: list[list[float]] = [[], []]
        for turn in range(rounds):
            # A B, B A, ...: neither is always the second.
            for side in (0, 1) if turn % 2 else (1, 0):
                times[side].append(sides[side].seconds())
    finally:
        for one in sides:
            one.close()
    first, second = (statistics.median(taken) for taken in times)
    return (second, first) if turned else (first, second)


def compare(this: Path, that: Path, problem: str, cache: str, rounds: int, seconds: float) -> tuple[Ratio, int, float]:
    """How many times as long this takes as that, from so many pairs, and the seconds of a training of this."""
    begin, pairs = time.perf_counter(), []
    while len(pairs) < 6 or time.perf_counter() - begin < seconds:
        pairs.append(pair(this, that, problem, cache, rounds, turned=len(pairs) % 2 == 1))
    found = ratio(Timing(tuple(theirs for _, theirs in pairs)), Timing(tuple(ours for ours, _ in pairs)))
    return found, len(pairs), statistics.median(ours for ours, _ in pairs)


def told(found: Ratio) -> str:
    if found.low > 1:
        return "slower"
    return "faster" if found.high < 1 else "no difference to be seen"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("that", help="the commit compared to")
    parser.add_argument("--with", dest="this", help="the commit compared; the working tree if left out")
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--rounds", type=int, default=6, help="of each pair of processes")
    parser.add_argument("--seconds", type=float, default=50, help="for each problem")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        try:
            that = checked_out(wanted.that, place / "that")
            if wanted.this is None:
                this = place / "this"
                shutil.copytree(HERE / "src", this / "src")
            else:
                this = checked_out(wanted.this, place / "this")
        except subprocess.CalledProcessError as error:
            parser.error(error.stderr.decode().strip())
        for problem in wanted.problems:
            # What must be compiled is compiled before.
            pair(this, that, problem, str(place / "cache"), 1)
            found, pairs, seconds = compare(this, that, problem, str(place / "cache"), wanted.rounds, wanted.seconds)
            print(
                f"{problem}: {found.median:.3f} times as long as {wanted.that} ({found.low:.3f} to {found.high:.3f}, "
                f"{pairs} pairs of processes, {seconds * 1e3:.1f} ms a training): {told(found)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
