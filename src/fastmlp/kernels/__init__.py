"""The compiled kernels: the only folder that imports Numba. See run.py for what Python calls."""
