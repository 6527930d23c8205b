import math
import re

import pytest

from fastmlp import train
from fastmlp.progress import reporting


@pytest.fixture
def no_terminal(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("engine", ["kernels", "reference"])
def test_silent_where_there_is_no_terminal(blobs, capfd, no_terminal, engine):
    X, y = blobs
    net = train(X, y, 3, epochs=50, seed=0, progress=True, engine=engine)
    assert capfd.readouterr() == ("", "")
    assert net.params.tobytes() == train(X, y, 3, epochs=50, seed=0, engine=engine).params.tobytes()


def test_silent_unless_wanted(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with reporting(False, 3) as report:
        report(1, 0.5, 0.1, math.nan)
    assert capfd.readouterr() == ("", "")


def test_bar_tells_epochs_loss_and_rate(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with reporting(True, 30) as report:
        report(30, 0.123456, 0.01, math.nan)
    out, err = capfd.readouterr()
    assert out == ""
    for part in ("training", "30/30", "loss 0.123456", "rate 0.01"):
        assert part in err
    assert "validation" not in err


@pytest.mark.parametrize("engine", ["kernels", "reference"])
def test_bar_tells_the_validation_loss(blobs, capfd, monkeypatch, engine):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    net = train(*blobs, 3, epochs=4, seed=0, validation=0.2, progress=True, engine=engine)
    out, err = capfd.readouterr()
    assert out == ""
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err).split("training")[-1]
    for part in ("4/4", f"loss {net.loss_curve[-1]:.6g}  validation {net.validation_curve[-1]:.6g}  rate 0.001"):
        assert part in last
