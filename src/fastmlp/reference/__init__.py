"""The specification: a multi-layer perceptron and its training in textbook NumPy, module beside module of the kernels.

The compiled kernels compute the same; tests hold the two equal. Nothing here is shared with them but the options.
"""

from fastmlp.reference.activations import activate, activate_backward, logistic, normal_cdf, normal_pdf, softmax, softplus
from fastmlp.reference.dropout import kept_units
from fastmlp.reference.losses import loss_backward, output
from fastmlp.reference.network import backward, forward, objective_and_gradient, penalty, views
from fastmlp.reference.optimizers import update
from fastmlp.reference.orders import draw_orders
from fastmlp.reference.run import Run

__all__ = [
    "Run",
    "activate",
    "activate_backward",
    "backward",
    "draw_orders",
    "forward",
    "kept_units",
    "logistic",
    "loss_backward",
    "normal_cdf",
    "normal_pdf",
    "objective_and_gradient",
    "output",
    "penalty",
    "softmax",
    "softplus",
    "update",
    "views",
]
