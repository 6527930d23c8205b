"""What judges the kernels: problems, bounds and measures, shared with the tests; and ``fastmlp check``, which runs some."""
