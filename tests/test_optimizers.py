"""Updates by given gradients: the kernels against the reference, and both against PyTorch's optimisers."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.kernels import blockwise, slabs
from fastmlp.kernels.blocks import begin_with, in_groups, in_rows, new_state, plan, shape_of
from fastmlp.kernels.epochs import memories_of_state, net_of
from fastmlp.kernels.jit import passing_entry
from fastmlp.kernels.optimizers import MOMENTS, settings_array
from fastmlp.kernels.vectors import fill, memory
from fastmlp.options import Hyperparameters, Loss, Solver
from table import NETS, SOLVERS, TANH, Case, relative_error, worst_error

STEPS = 20
# What max|a - b| / max|b| may come to in all of them; the most measured is 5.4e-16 and 3.6e-7.
BOUNDS = {np.float64: 1e-14, np.float32: 1e-6}


def compiled(share):
    """The update of a whole net by the one thread there is."""

    def update(layers, shape, state, solver, settings, rate, l2, scale, step, here, q0):
        net = net_of(layers, shape)
        zero, one = np.int64(0), np.int64(1)
        rate, l2, scale = fill(settings, rate), fill(settings, l2), fill(settings, scale)
        share(
            net, memories_of_state(state), solver, memory(settings), rate, l2, scale, step, here, q0, True, zero, one
        )  # fmt: skip

    # Not `entry`: its cache on disk would not notice edits here.
    return passing_entry(update)


UPDATES = {False: compiled(blockwise.update_share), True: compiled(slabs.update_share)}


class Updates:
    """A net's parameters and moments, stepped by the kernels with gradients that are given."""

    def __init__(self, sizes, solver, settings, params):
        self.net = plan(sizes, (TANH,) * (len(sizes) - 2), int(Loss.SQUARED_ERROR), sizes[-1], params.dtype, 1)
        assert self.net.parts == 1
        self.dtype, self.size = params.dtype.type, params.size
        self.solver, self.settings = solver, settings_array(solver, settings, params.dtype)
        self.state = new_state(self.net, params.dtype, MOMENTS[solver], clips=False, threads=1)
        begin_with(self.net, self.state, params, None)
        self.step = self.here = 0

    def by(self, gradient, rate, l2=0.0, scale=1.0):
        """Make a step."""
        self.state.gradient[: self.size] = in_groups(self.net, gradient)
        self.step += 1
        self.q0 = 2 * self.net.n_squares * (self.step % 2)
        UPDATES[self.net.wide](
            self.net.layers, shape_of(self.net), self.state, int(self.solver), self.settings, self.dtype(rate),
            self.dtype(l2), self.dtype(scale), self.step, self.here, self.q0
        )  # fmt: skip
        self.here = self.net.n_parameters - self.here

    @property
    def params(self):
        return in_rows(self.net, self.state.params[self.here : self.here + self.size])

    @property
    def moments(self):
        rows = self.state.moments.reshape(-1, self.net.n_parameters)[:, : self.size]
        return [in_rows(self.net, row) for row in rows]

    def sums(self, place):
        """Over the weights: of their squares, at place 0, or of their sizes, at place 1."""
        first = self.q0 + place * self.net.n_squares
        return self.state.squares[first : first + self.net.n_squares].astype(np.float64).sum()


def given_gradients(size, random):
    """Of very different sizes, each with a mean of its own; some are 0, and signs change."""
    scales, means = 10.0 ** random.uniform(-5, 1, size), random.standard_normal(size)
    gradients = scales * (means + random.standard_normal((STEPS, size)))
    gradients[random.random(gradients.shape) < 0.1] = 0
    assert ((gradients[1:] * gradients[:-1]) < 0).any()
    return gradients.astype(np.float32)


# The gradient alone, and scaled with a penalty's slope; not so in float32, where the two may cancel and the few digits left
# are then divided by their own size.
WAYS = [(np.float64, 0.0, 1.0), (np.float32, 0.0, 1.0), (np.float64, 0.25, 0.5)]


@pytest.mark.parametrize(("dtype", "l2", "scale"), WAYS, ids=["float64", "float32", "float64-l2"])
@pytest.mark.parametrize("solver", [*SOLVERS, "none"])
@pytest.mark.parametrize("sizes", NETS.values(), ids=NETS)
def test_kernels_step_as_the_reference_does(sizes, solver, dtype, l2, scale):
    case = Case(sizes, (TANH,) * (len(sizes) - 2), Loss.SQUARED_ERROR, solver, "l1")
    kind, settings = case.problem.solver, case.problem.hyperparameters
    size = sum((a + 1) * b for a, b in pairwise(sizes))
    n_weights, random = size - sum(sizes[1:]), np.random.default_rng(3)
    p = random.standard_normal(size).astype(np.float32).astype(np.float64)
    ours, moments = Updates(sizes, kind, settings, p.astype(dtype)), [np.zeros(size) for _ in range(MOMENTS[kind])]
    for step, gradient in enumerate(given_gradients(size, random).astype(np.float64), 1):
        # A schedule's rates, which a velocity carries along.
        rate = 2.0 ** -(5 + step % 3)
        ours.by(gradient.astype(dtype), rate, l2, scale)
        gradient = scale * gradient
        gradient[:n_weights] += l2 * p[:n_weights]
        p = reference.update(kind, settings, rate, step, p, gradient, moments, n_weights)
        assert worst_error(case, ours.params, p) <= BOUNDS[dtype]
    # Plain gradient descent needs no velocity, and the kernels write none.
    if solver != "sgd":
        for mine, theirs in zip(ours.moments, moments, strict=True):
            assert relative_error(mine, theirs) <= BOUNDS[dtype]
    assert ours.sums(0) == pytest.approx(np.square(p[:n_weights]).sum(), rel=10 * BOUNDS[dtype])
    assert ours.sums(1) == pytest.approx(np.abs(p[:n_weights]).sum(), rel=10 * BOUNDS[dtype])
    # What fills up the last vector is 0 still.
    rows = np.concatenate([ours.state.params, ours.state.gradient]).reshape(-1, ours.net.n_parameters)
    assert not rows[:, size:].any()


TORCH = np.load(Path(__file__).parent / "data" / "trajectories.npz")
# PyTorch's defaults, written out where they are not those of Hyperparameters; with a velocity, SGD's is without the rate
# there, which is the same thing while the rate does not change.
RECORDED = {
    "sgd": (Solver.SGD, 0.01, {}),
    "momentum": (Solver.SGD, 0.01, {"momentum": 0.9}),
    "nesterov": (Solver.SGD, 0.01, {"momentum": 0.9, "nesterov": True}),
    "adam": (Solver.ADAM, 0.001, {}),
    "adamw": (Solver.ADAMW, 0.001, {"weight_decay": 0.01}),
    "rmsprop": (Solver.RMSPROP, 0.01, {}),
    "rmsprop-momentum": (Solver.RMSPROP, 0.01, {"momentum": 0.9}),
    "rprop": (Solver.RPROP, 0.01, {}),
}


def reference_trajectory(solver, settings, rate, start, gradients):
    p, moments, found = start, [np.zeros_like(start) for _ in range(MOMENTS[solver])], []
    for step, gradient in enumerate(gradients, 1):
        p = reference.update(solver, settings, rate, step, p, gradient, moments, p.size)
        found.append(p)
    return np.array(found)


def kernels_trajectory(solver, settings, rate, start, gradients):
    """All parameters that are recorded are weights; the biases beside them have gradients of 0."""
    biases = np.zeros(4)
    ours, found = Updates((start.size // 4, 4), solver, settings, np.concatenate([start, biases])), []
    for gradient in gradients:
        ours.by(np.concatenate([gradient, biases]), rate)
        found.append(ours.params[: start.size])
    return np.array(found)


@pytest.mark.parametrize("trajectory", [reference_trajectory, kernels_trajectory])
@pytest.mark.parametrize("name", RECORDED)
def test_steps_are_those_of_torch(name, trajectory):
    solver, rate, settings = RECORDED[name]
    found = trajectory(solver, Hyperparameters(**settings), rate, TORCH["start"], TORCH["gradients"])
    np.testing.assert_allclose(found[TORCH["kept"] - 1], TORCH[name], rtol=1e-10, atol=1e-10)


def test_all_that_was_recorded_is_compared():
    assert set(RECORDED) == set(TORCH.files) - {"start", "gradients", "kept", "torch"}
    assert {solver for solver, _, _ in RECORDED.values()} == set(Solver) - {Solver.LBFGS}
    assert TORCH["kept"].max() == len(TORCH["gradients"]) == 100
