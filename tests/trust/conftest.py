"""The trials' table, and how often each is tried."""

import pytest

from trials import Trials

TRIALS = pytest.StashKey[Trials]()


def pytest_configure(config):
    config.stash[TRIALS] = Trials()


@pytest.fixture
def trials(request):
    """``with trials("name") as trial: ... with trial.case(what): ...``: see :class:`trials.Trials`."""
    return request.config.stash[TRIALS]


@pytest.fixture
def count(request):
    """``count(reduced, full)``: how often to try, by whether --full was given."""
    return lambda reduced, full: full if request.config.getoption("full") else reduced


def pytest_terminal_summary(terminalreporter, config):
    trials = config.stash[TRIALS].all.values()
    if trials:
        terminalreporter.section("trials: tried, held")
        for trial in trials:
            terminalreporter.line(f"{trial.name:<72} {trial.tried:>7,} {trial.held:>7,}", red=trial.held < trial.tried)
