import math

import numpy as np
import pytest

from fastmlp import schedules, train


def test_constant():
    assert [schedules.constant()(epoch) for epoch in range(3)] == [1, 1, 1]


def test_exponential():
    assert [schedules.exponential(decay=0.5)(epoch) for epoch in range(4)] == [1, 0.5, 0.25, 0.125]


def test_inverse_time():
    assert [schedules.inverse_time(decay=0.5)(epoch) for epoch in (0, 2, 6)] == [1, 1 / 2, 1 / 4]


def test_step():
    assert [schedules.step(every=3, decay=0.5)(epoch) for epoch in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_cosine():
    fall = schedules.cosine(epochs=10, final=0.2)
    assert fall(0) == 1
    assert fall(5) == pytest.approx(0.6)
    assert fall(10) == fall(25) == pytest.approx(0.2)
    for epoch in range(10):
        assert fall(epoch) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi * epoch / 10)) / 2)


WARM = [
    schedules.constant,
    schedules.exponential,
    schedules.inverse_time,
    lambda warmup: schedules.step(every=2, warmup=warmup),
    lambda warmup: schedules.cosine(epochs=9, warmup=warmup),
]


@pytest.mark.parametrize("make", WARM, ids=["constant", "exponential", "inverse_time", "step", "cosine"])
def test_warmup_climbs_in_equal_steps_and_shifts_the_rest(make):
    warm = make(warmup=4)
    assert [warm(epoch) for epoch in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert warm(4) == 1
    if make is not WARM[-1]:
        assert [warm(4 + epoch) for epoch in range(6)] == [make(warmup=0)(epoch) for epoch in range(6)]


def test_cosine_counts_its_warmup():
    assert schedules.cosine(epochs=9, warmup=4)(9) == pytest.approx(0)
    assert schedules.cosine(epochs=9, warmup=4)(8) > 0.05


@pytest.mark.parametrize("power_t", [0.5, 0, 1, 2.5])
@pytest.mark.parametrize("n_samples", [1, 90])
def test_invscaling_counts_samples(power_t, n_samples):
    """As scikit-learn's: an epoch's rate is that of the samples before it, and one more."""
    rates = schedules.rates(schedules.invscaling(power_t=power_t), 0.5, 4, n_samples=n_samples)
    assert rates == pytest.approx([0.5 / (epoch * n_samples + 1) ** power_t for epoch in range(4)])


def test_epochs_count_on_from_those_before():
    for schedule in ("exponential", "invscaling", schedules.step(every=2, warmup=3), lambda epoch: epoch):
        whole = schedules.rates(schedule, 0.5, 9, n_samples=10)
        np.testing.assert_array_equal(schedules.rates(schedule, 0.5, 4, 5, 10), whole[5:])


def test_adaptive_begins_at_the_rate():
    assert schedules.rates(schedules.adaptive(decay=0.5, least=0.1), 0.25, 3).tolist() == [0.25] * 3


@pytest.mark.parametrize("name", schedules.NAMED)
def test_names_give_falling_rates(name):
    rates = schedules.rates(name, 0.5, 12)
    assert rates.dtype == np.float64
    assert rates.shape == (12,)
    assert rates[0] == 0.5
    assert (np.diff(rates) <= 0).all()
    # How "adaptive" falls, the training alone can tell.
    assert (rates[-1] < rates[0]) == (name not in ("constant", "adaptive"))
    assert schedules.rates(name, 0.5, 1).tolist() == [0.5]


def test_functions_and_none():
    assert schedules.rates(None, 0.25, 3).tolist() == [0.25] * 3
    assert schedules.rates(lambda epoch: epoch, 0.5, 4).tolist() == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.exponential(decay=0), "decay=0"),
        (lambda: schedules.exponential(decay=1.5), "decay=1.5"),
        (lambda: schedules.inverse_time(decay=-1), "decay=-1"),
        (lambda: schedules.step(every=0), "every=0"),
        (lambda: schedules.step(every=1.5), "every=1.5"),
        (lambda: schedules.step(every=3, decay=2), "decay=2"),
        (lambda: schedules.cosine(epochs=0), "epochs=0"),
        (lambda: schedules.cosine(epochs=5, final=2), "final=2"),
        (lambda: schedules.constant(warmup=-1), "warmup=-1"),
        (lambda: schedules.constant(warmup=0.5), "warmup=0.5"),
        (lambda: schedules.invscaling(power_t=-1), "power_t=-1: give a number from 0 on"),
        (lambda: schedules.adaptive(decay=0), "decay=0: give a number above 0 and below 1"),
        (lambda: schedules.adaptive(decay=1), "decay=1"),
        (lambda: schedules.adaptive(least=0), "least=0: give a number above 0"),
        (lambda: schedules.adaptive(least=-1), "least=-1"),
        (lambda: schedules.rates("linear", 0.1, 3), "schedule='linear' is unknown.*'cosine'"),
        (lambda: schedules.rates(lambda epoch: 1 - epoch, 0.1, 3), "schedule returned -1.0 for epoch 2"),
        (lambda: schedules.rates(lambda epoch: math.nan, 0.1, 3), "schedule returned nan for epoch 0"),
        (lambda: schedules.rates(lambda epoch: math.inf, 0.1, 3), "schedule returned inf for epoch 0"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_schedule_is_named():
    with pytest.raises(TypeError, match=r"schedule=0\.1: give a name or a function"):
        schedules.rates(0.1, 0.1, 3)


@pytest.mark.parametrize("engine", ["kernels", "reference"])
@pytest.mark.parametrize("batch_size", [None, 30])
def test_each_epoch_has_its_own_rate(blobs, engine, batch_size):
    """A net trained at factors 1, 0.5, 0 is one trained at 1, then at 0.5 of the rate."""
    X, y = blobs
    options = {"hidden": 4, "solver": "sgd", "batch_size": batch_size, "shuffle": False, "engine": engine}
    at_once = train(X, y, learning_rate=0.5, schedule=[1, 0.5, 0].__getitem__, epochs=3, seed=3, **options)
    first = train(X, y, learning_rate=0.5, epochs=1, seed=3, **options)
    second = train(X, y, learning_rate=0.25, epochs=1, init=(first.weights, first.biases), **options)
    assert at_once.params.tobytes() == second.params.tobytes()
    assert at_once.loss_curve[:2].tolist() == [first.loss_curve[0], second.loss_curve[0]]
    assert first.params.tobytes() != second.params.tobytes()
