"""What commands tell their users, without a traceback."""

from __future__ import annotations


class TableError(ValueError):
    """What is wrong with a table or a model in a file, where, and what to do."""
