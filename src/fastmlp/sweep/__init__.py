"""Many nets in one call: searches, cross-validation and ensembles."""

from fastmlp.sweep.ensemble import Ensemble
from fastmlp.sweep.many import train_many
from fastmlp.sweep.result import Sweep
from fastmlp.sweep.values import NotKept

__all__ = ["Ensemble", "NotKept", "Sweep", "train_many"]
