"""Multi-layer perceptrons on the CPU: compiled kernels, and the plain-NumPy reference that judges them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastmlp import plotting as plotting
    from fastmlp import schedules as schedules
    from fastmlp.cache import warmup as warmup
    from fastmlp.estimators import MLPClassifier as MLPClassifier
    from fastmlp.estimators import MLPRegressor as MLPRegressor
    from fastmlp.network import Network as Network
    from fastmlp.storage import load as load
    from fastmlp.sweep import Ensemble as Ensemble
    from fastmlp.sweep import Sweep as Sweep
    from fastmlp.sweep import cross_validate as cross_validate
    from fastmlp.sweep import train_many as train_many
    from fastmlp.training import train as train

__version__ = "0.1.0"

# What is imported on first use, so that `import fastmlp` costs nothing.
_HOMES = {
    "Ensemble": "sweep",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Network": "network",
    "cross_validate": "sweep",
    "load": "storage",
    "Sweep": "sweep",
    "train": "training",
    "train_many": "sweep",
    "warmup": "cache",
}
_MODULES = ("plotting", "schedules")
__all__ = [
    "Ensemble",
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "Sweep",
    "cross_validate",
    "load",
    "plotting",
    "schedules",
    "train",
    "train_many",
    "warmup",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"fastmlp.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"fastmlp.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
