"""Files of format 1 as they were once written: they must always be read, and their nets predict what they did."""

from pathlib import Path

import numpy as np
import pytest

from data import make_golden
from fastmlp import Sweep, load, train
from fastmlp.options import Activation, Loss

FOLDER = Path(__file__).parent / "data" / "golden"
EXPECTED = np.load(FOLDER / "expected.npz")
X = EXPECTED["X"]
TRAININGS = sorted(path.stem for path in FOLDER.glob("training-*.safetensors"))
NETS = sorted(path.stem for path in FOLDER.glob("*.safetensors") if path.stem not in ("sweep", *TRAININGS))
GONE_ON = np.load(FOLDER / "expected-trainings.npz")
# Machines add up in an order of their own.
CLOSE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-13}


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    net = load(FOLDER / f"{name}.safetensors")
    assert net.params.tobytes() == EXPECTED[f"{name}.params"].tobytes()
    assert net.params.dtype == EXPECTED[f"{name}.params"].dtype
    outputs = net.predict_proba(X) if net.is_classifier else net.predict(X)
    np.testing.assert_allclose(outputs, EXPECTED[f"{name}.outputs"], rtol=CLOSE[net.dtype], atol=CLOSE[net.dtype])
    assert outputs.shape == EXPECTED[f"{name}.outputs"].shape
    if net.is_classifier:
        assert net.predict(X).astype("U").tolist() == EXPECTED[f"{name}.predicted"].tolist()
    assert net.n_epochs == len(net.loss_curve) == 6
    assert net.status == "finished"


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_go_on(name):
    net, options = load(FOLDER / f"{name}.safetensors"), {**make_golden.COMMON, **make_golden.TRAININGS[name]}
    assert net.params.tobytes() == GONE_ON[f"{name}.params"].tobytes()
    options |= {"epochs": make_golden.ON, "seed": None}
    again = train(X, make_golden.KINDS, start=net, **options)
    close = 100 * CLOSE[net.dtype]
    np.testing.assert_allclose(again.params, GONE_ON[f"{name}.on"], rtol=close, atol=close)
    # Without its training it would go elsewhere.
    net._training = None
    other = train(X, make_golden.KINDS, start=net, **{**options, "seed": 1})
    assert np.abs(other.params - again.params).max() > 10 * close


def test_labels_keep_their_types():
    types = {name: load(FOLDER / f"{name}.safetensors").classes for name in ("classes", "texts", "objects", "truth")}
    assert types["classes"].dtype == np.int64
    assert types["texts"].dtype.kind == "U"
    assert types["objects"].tolist() == [-3, 1, 2**70]
    assert types["truth"].dtype == bool
    assert load(FOLDER / "multilabel.safetensors").classes is None


def test_a_net_with_validation():
    net = load(FOLDER / "validated.safetensors")
    assert net.best_epoch is not None
    assert net.validation_scores[net.best_epoch - 1] == net.validation_scores.max()
    assert len(net.validation_curve) == len(net.validation_scores) == 6


def test_a_sweep():
    sweep = Sweep.load(FOLDER / "sweep.safetensors")
    assert [(config["hidden"], config["learning_rate"]) for config in sweep.configs] == [
        (2, 0.1), (2, 0.01), (3, 0.1), (3, 0.01)
    ]  # fmt: skip
    for net, outputs in zip(sweep, EXPECTED["sweep.outputs"], strict=True):
        np.testing.assert_allclose(net.predict_proba(X), outputs, rtol=1e-13, atol=1e-13)


def test_every_activation_and_loss_is_there():
    nets = [load(FOLDER / f"{name}.safetensors") for name in NETS]
    assert {activation for net in nets for activation in net.activations} == set(Activation)
    assert {net.loss for net in nets} == set(Loss)
