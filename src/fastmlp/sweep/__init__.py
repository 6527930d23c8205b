"""Many nets in one call: searches, cross-validation and ensembles."""

from fastmlp.sweep.crossing import CrossValidation, cross_validate
from fastmlp.sweep.ensemble import Ensemble
from fastmlp.sweep.many import train_many
from fastmlp.sweep.result import Sweep
from fastmlp.sweep.tasks import Outcome
from fastmlp.sweep.values import NotKept

__all__ = ["CrossValidation", "Ensemble", "NotKept", "Outcome", "Sweep", "cross_validate", "train_many"]
