"""The elementary functions by themselves, of whole arrays: for those who judge them."""

from __future__ import annotations

from fastmlp.kernels.elementary import exp, expm1, log, logistic, tanh
from fastmlp.kernels.jit import entry
from fastmlp.kernels.vectors import lanes, load, store

EXP, LOG, TANH, LOGISTIC, EXPM1 = range(5)


@entry
def evaluate(function, x, y):
    """Write the function of each element of `x`, of whole vectors of them, into `y`."""
    for i in range(0, x.shape[0], lanes(x)):
        a = load(x, i)
        if function == EXP:
            store(y, i, exp(a))
        elif function == LOG:
            store(y, i, log(a))
        elif function == TANH:
            store(y, i, tanh(a))
        elif function == LOGISTIC:
            store(y, i, logistic(a))
        else:
            store(y, i, expm1(a))
