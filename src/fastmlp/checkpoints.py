"""Checkpoints: files that a training's state goes to now and then, and that the same call goes on from.

A call is the same where all that its bits hang on is: the data, the parameters, the seed. What it has reached at the end of
an epoch is a net and its training's state, as ``Network.save(training=True)`` writes them.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp.initialise import Random, Remembered, start_params
from fastmlp.loop import Loop
from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.schedules import Adaptive, named
from fastmlp.setup import Setup

# How often what has been reached is kept in memory, beside the times that it is written.
SECONDS_IN_MEMORY = 1.0
# A call that ended so has not done all it was asked for.
UNFINISHED = ("interrupted", "out of time")
DIGEST = "blake2b:"


class Reached(NamedTuple):
    """What an earlier call has reached: its net, what it warned of, its random numbers, and whether that was its end."""

    net: Network
    message: str | None
    random: Remembered
    ended: bool


@dataclass
class Checkpoint:
    """The file of a call.

    Attributes
    ----------
    path, seconds : where it is, and how many pass between two times that it is written.
    call : what the call's bits hang on, by the names of parameters.
    """

    path: Path
    seconds: float
    call: dict[str, Any]
    _written: float = field(default_factory=time.monotonic)
    _has_failed: bool = False

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._written >= self.seconds

    def read(self) -> Reached | None:
        """What an earlier call has reached, or None where there was none.

        Raises
        ------
        ValueError
            If the file is not a whole checkpoint, or is another call's; the message says what differs.
        """
        from fastmlp.storage import load_with_header

        if not self.path.exists():
            return None
        try:
            net, header = load_with_header(self.path)
            kept = header.get("checkpoint")
            if kept is None:
                raise ValueError(f"{self.path}: the file holds a net, but no checkpoint; give another one")
            reached = Reached(net, kept["message"], Remembered.of(kept["random"]), kept["ended"])
            self._check(kept["call"])
        except (OSError, ValueError) as error:
            raise ValueError(f"checkpoint: {error}, or delete it to begin anew") from None
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"checkpoint: {self.path} is damaged; delete it to begin anew") from None
        if kept.get("version") != fastmlp.__version__:
            warn(
                f"checkpoint={str(self.path)!r} was written by fastmlp {kept.get('version')}, and this is "
                f"{fastmlp.__version__}: the bits may differ from those of a training without a break",
                RuntimeWarning,
            )
        return reached

    def _check(self, theirs: dict[str, Any]) -> None:
        """Raise ValueError where the file is of another call."""
        for name, ours in self.call.items():
            if ours != theirs.get(name):
                is_digest = isinstance(ours, str) and ours.startswith(DIGEST)
                what = f"another {name}" if is_digest else f"{name}={theirs.get(name)!r}, this one has {ours!r}"
                raise ValueError(f"{self.path} is of a training with {what}; ask for the same, give another file")

    def write(self, net: Network, random: Remembered, message: str | None = None, ended: bool = False) -> None:
        """Write what has been reached; where that fails warn, keep the file before, and try again when it is due."""
        from fastmlp.storage import save

        self._written = time.monotonic()
        kept = {
            "call": self.call, "message": message, "random": random.described(), "ended": ended,
            "version": fastmlp.__version__,
        }  # fmt: skip
        try:
            save(net, self.path, training=net._training is not None, checkpoint=kept)
        except OSError as error:
            if not self._has_failed:
                warn(f"checkpoint={str(self.path)!r} cannot be written ({error}); training goes on", RuntimeWarning)
            self._has_failed = True


class Keeper:
    """Keeps what a loop reaches: in memory about once a second, and in the file of a checkpoint when it is due.

    Parameters
    ----------
    checkpoint : the file.
    random : what the loop draws from.
    reach : makes a net, with its training's state, of what a loop has come to.
    """

    def __init__(self, checkpoint: Checkpoint, random: Random, reach: Callable[[Loop], Network]) -> None:
        self._checkpoint, self._random, self._reach = checkpoint, random, reach
        self._kept: tuple[Network, Remembered] | None = None
        self._kept_at = -math.inf

    def __call__(self, loop: Loop) -> None:
        """Keep what has been reached at the end of an epoch, if it is time to."""
        is_due = self._checkpoint.is_due()
        if not is_due and time.monotonic() - self._kept_at < SECONDS_IN_MEMORY:
            return
        self._take(loop)
        if is_due:
            self._write()

    def _take(self, loop: Loop) -> None:
        with loop.job.batches.settled(loop.run.done):
            net = self._reach(loop)
            if net._training is None:
                return
            net.status = "interrupted"
            self._kept, self._kept_at = (net, Remembered(self._random)), time.monotonic()

    def _write(self, message: str | None = None) -> None:
        if self._kept is not None:
            self._checkpoint.write(*self._kept, message)

    def end(self, loop: Loop, net: Network, message: str | None) -> None:
        """Write how it ended: the whole of it, or, where more was asked for, the last that can be gone on from."""
        if loop.status not in UNFINISHED:
            self._checkpoint.write(net, Remembered(self._random), message, ended=True)
            return
        if loop.is_at_end_of_epoch:
            self._take(loop)
        self._write()


def described_call(setup: Setup, seed: Any, validated: tuple[Any, ...] | None, rates: NDArray[Any]) -> dict[str, Any]:
    """What the bits of a training hang on, by the names of parameters, as JSON has it; of large things digests.

    `seed` is what :func:`described_seed` made of it before anything was drawn.
    """
    problem, samples, schedule, start = setup.problem, setup.samples, named(setup.schedule, setup.epochs), setup.before.net
    init = setup.init if isinstance(setup.init, str) else _digest(start_params(setup.init, problem.sizes, _NOBODY))
    call = {
        "X": _digest(samples.sample),
        "y": _digest(samples.targets.values) + repr(samples.targets.kind.classes),
        "hidden": problem.sizes[1:-1],
        "activation": [activation.name.lower() for activation in problem.activations],
        "loss": problem.loss.name.lower(),
        "solver": problem.solver.name.lower(),
        # Without validation the kernels see to the patience.
        **problem.hyperparameters._replace(patience=setup.patience or 0)._asdict(),
        "dropout": problem.dropout,
        "learning_rate": setup.learning_rate,
        "epochs": setup.epochs,
        "schedule": repr(schedule) if isinstance(schedule, Adaptive) else _digest(rates),
        "batch_size": setup.batch_size,
        "shuffle": setup.shuffle,
        "init": init,
        "seed": seed,
        "dtype": str(samples.targets.values.dtype),
        "sample_weight or class_weight": None if samples.weights is None else _digest(samples.weights),
        "validation or metric": validated,
        "max_fun": setup.max_fun,
        "start": None if start is None else _digest(start.params, start.loss_curve),
        "engine": setup.engine,
    }
    # As it comes back from a file.
    return dict(json.loads(json.dumps(call, default=np.generic.item)))


def described_seed(seed: int | Random | None) -> Any:
    """The seed, or a digest of where it stands."""
    if not isinstance(seed, Random):
        return seed
    return DIGEST + hashlib.blake2b(json.dumps(Remembered(seed).described()).encode(), digest_size=16).hexdigest()


# Given arrays leave nothing to draw.
_NOBODY = np.random.RandomState(0)


def _digest(*arrays: NDArray[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return DIGEST + digest.hexdigest()
