"""What was tried and what held, for the table that tests/trust prints."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FAILURES_SHOWN = 5


class Trial:
    """Cases of one kind; each counts as held unless it raises."""

    def __init__(self, name: str) -> None:
        self.name, self.tried, self.failures = name, 0, []

    @contextmanager
    def case(self, what: object) -> Iterator[None]:
        """One case: a failed assertion or any other exception is noted, and the next case goes on."""
        self.tried += 1
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            self.failures.append(f"{what}: {type(error).__name__}: {error}")

    @property
    def held(self) -> int:
        return self.tried - len(self.failures)


class Trials:
    """All trials of a session, by name; several tests may add to one."""

    def __init__(self) -> None:
        self.all: dict[str, Trial] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[Trial]:
        """Add to a trial; fails at the end where a case did, or where there was none."""
        trial = self.all.setdefault(name, Trial(name))
        tried, failed = trial.tried, len(trial.failures)
        yield trial
        assert trial.tried > tried, f"{name}: nothing was tried"
        failures = trial.failures[failed:]
        if failures:
            pytest.fail("\n".join([f"{name}: {len(failures)} did not hold", *failures[:FAILURES_SHOWN]]), pytrace=False)
