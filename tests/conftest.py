import os
import signal

import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="try the trials of tests/trust as often as is claimed: hours")


@pytest.fixture
def random():
    return np.random.default_rng(20150903)


@pytest.fixture(scope="session")
def moons():
    """The article's data."""
    from sklearn.datasets import make_moons

    X, y = make_moons(200, noise=0.20, random_state=np.random.RandomState(0))
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def blobs():
    """Three classes in the plane, 90 samples."""
    random = np.random.default_rng(7)
    y = np.arange(90) % 3
    X = random.standard_normal((90, 2)) + 3 * np.array([[0, 0], [1, 0], [0, 1]])[y]
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def curve():
    """A smooth function of two features, 120 samples."""
    X = np.random.default_rng(8).uniform(-1, 1, (120, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture
def no_work_after(monkeypatch):
    """To be called where no engine may be set to work any more."""
    from fastmlp import reference
    from fastmlp.kernels.run import Run

    def begin(*_, **__):
        raise AssertionError("work began")

    def forbid():
        monkeypatch.setattr(Run, "__init__", begin)
        monkeypatch.setattr(reference.Run, "__init__", begin)

    return forbid


@pytest.fixture
def no_work(no_work_after):
    """Fails where an engine is set to work."""
    no_work_after()


@pytest.fixture(scope="session", autouse=True)
def _sigint_is_heard():
    """A shell begins jobs in the background with SIGINT ignored, and so Python leaves it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def quick_disk(monkeypatch):
    """Files are written as ever, but nobody waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def interrupts():
    """Ctrl-C raises KeyboardInterrupt, whatever tests before have made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
