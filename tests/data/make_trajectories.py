"""Record what PyTorch's optimisers make of given gradients: ``python tests/data/make_trajectories.py``, once, by hand.

Everything in float64 and at PyTorch's defaults but for what the names say. The gradients are random, with a mean of their
own for each parameter, of very different sizes, and some of them are 0.
"""

from pathlib import Path

import numpy as np
import torch

PARAMETERS, STEPS = 20, 100
# After how many steps the parameters are kept: at first all, then some.
KEPT = [*range(1, 6), *range(10, STEPS + 1, 5)]
OPTIMISERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.01}),
    "momentum": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "rmsprop-momentum": (torch.optim.RMSprop, {"momentum": 0.9}),
    "rprop": (torch.optim.Rprop, {}),
}


def trajectory(kind, settings, start, gradients):
    """The parameters after the steps that are kept."""
    parameters = torch.nn.Parameter(torch.tensor(start))
    optimiser = kind([parameters], **settings)
    found = []
    for gradient in gradients:
        parameters.grad = torch.tensor(gradient)
        optimiser.step()
        found.append(parameters.detach().numpy().copy())
    return np.array(found)[np.array(KEPT) - 1]


def main():
    random = np.random.default_rng(20150903)
    start = random.standard_normal(PARAMETERS)
    sizes, means = 10.0 ** random.uniform(-4, 2, PARAMETERS), random.standard_normal(PARAMETERS)
    gradients = sizes * (means + random.standard_normal((STEPS, PARAMETERS)))
    gradients[random.random(gradients.shape) < 0.1] = 0
    recorded = {name: trajectory(*chosen, start, gradients) for name, chosen in OPTIMISERS.items()}
    np.savez(
        Path(__file__).with_name("trajectories.npz"), start=start, gradients=gradients, kept=KEPT, torch=torch.__version__,
        **recorded
    )  # fmt: skip


if __name__ == "__main__":
    main()
