"""Warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

PACKAGE = str(Path(__file__).parent)
# scikit-learn wraps the methods of estimators.
WRAPPER = str(Path("sklearn") / "base.py")


def warn(message: str, category: type[Warning]) -> None:
    """Warn, from the place outside of the package where it was called."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_between(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(file: str) -> bool:
    return file.startswith(PACKAGE) or file.endswith(WRAPPER)
