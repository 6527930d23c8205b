"""Going on from a net: the bits of a training without an end between, and what there is to go on from otherwise."""

import copy
import pickle
import warnings

import numpy as np
import pytest

from fastmlp import batches, inputs, load, loop, schedules, train, train_many

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
EPOCHS = 9


def own_score(wanted, predicted):
    return np.mean(wanted == predicted)


# What a training is varied in; a "seed" is made anew for each.
CASES = {
    "plain": {},
    "sgd": {"solver": "sgd"},
    "momentum": {"solver": "sgd", "momentum": 0.9},
    "nesterov": {"solver": "sgd", "momentum": 0.9, "nesterov": True},
    "adamw": {"solver": "adamw", "weight_decay": 0.1},
    "rmsprop": {"solver": "rmsprop"},
    "rmsprop with momentum": {"solver": "rmsprop", "momentum": 0.5},
    "rprop": {"solver": "rprop"},
    "lbfgs": {"solver": "lbfgs", "l2": 0.01},
    "full batches": {"batch_size": None},
    "no shuffling": {"shuffle": False},
    "blocks": {"shuffle": "blocks"},
    "blocks, RandomState": {"shuffle": "blocks", "seed": np.random.RandomState},
    "Generator": {"seed": np.random.default_rng},
    "RandomState": {"seed": np.random.RandomState},
    "dropout": {"dropout": 0.3},
    "dropout, rprop": {"dropout": 0.3, "solver": "rprop"},
    "dropout, RandomState": {"dropout": [0.3, 0.1], "hidden": (5, 4), "seed": np.random.RandomState},
    "cosine": {"schedule": schedules.cosine(epochs=EPOCHS)},
    "warm-up": {"schedule": schedules.step(every=2, warmup=3)},
    "invscaling": {"schedule": "invscaling"},
    "exponential": {"schedule": "exponential", "solver": "sgd"},
    "function": {"schedule": lambda epoch: 1 / (1 + epoch % 3)},
    "adaptive": {"schedule": schedules.adaptive(decay=0.3), "patience": 2, "tol": 0.3},
    "weights": {"sample_weight": np.arange(90) % 4, "class_weight": {0: 2.0}},
    "balanced": {"class_weight": "balanced", "batch_size": None},
    "l1 and l2": {"l1": 0.01, "l2": 0.1},
    "clipped": {"max_grad_norm": 0.1, "l1": 0.01},
    "smoothed": {"label_smoothing": 0.2, "activation": "gelu"},
    "validation": {"validation": 0.3},
    "validation, patience": {"validation": 0.3, "patience": 3, "tol": 0.0},
    "validation, accuracy": {"validation": 0.3, "metric": "accuracy", "seed": np.random.RandomState, "dropout": 0.2},
    "validation, function": {"validation": 0.3, "metric": own_score, "sample_weight": np.arange(90) % 4},
    "validation, lbfgs": {"validation": 0.3, "solver": "lbfgs", "patience": 4},
    "validation, rprop": {"validation": 0.3, "solver": "rprop", "learning_rate": 0.1},
    "validation, adaptive": {"validation": 0.3, "schedule": schedules.adaptive(decay=0.3), "patience": 2, "tol": 0.1},
    "patience": {"patience": 3, "tol": 0.0, "dropout": 0.4, "solver": "sgd"},
    "callback": {"callback": lambda epoch: None, "callback_every": 2},
}
by_case = pytest.mark.parametrize("options", CASES.values(), ids=CASES)


def bits(net):
    """All that a training gives out."""
    curves = (net.params, net.loss_curve, net.validation_curve, net.validation_scores)
    return [None if part is None else part.tobytes() for part in curves], net.best_epoch


def one_after_the_other(X, y, pieces, start=None, **options):
    """Trainings of so many epochs each, the first with the seed, each going on from the one before."""
    options = {"hidden": 4, "batch_size": 16, "learning_rate": 0.03, "seed": int, **options}
    if options.get("solver") in ("rprop", "lbfgs"):
        options["batch_size"] = None
    seed = options.pop("seed")(7)
    net = start
    for epochs in pieces:
        net = train(X, y, start=net, epochs=epochs, seed=seed if net is None else None, **options)
    return net


@by_case
@by_dtype
@by_engine
def test_pieces_give_the_bits_of_the_whole(blobs, options, dtype, engine):
    options = {"dtype": dtype, "engine": engine, **options}
    whole = one_after_the_other(*blobs, [EPOCHS], **options)
    assert whole.n_epochs > 5
    for pieces in ([4, EPOCHS - 4], [1, 3, EPOCHS - 4]):
        net = one_after_the_other(*blobs, pieces, **options)
        assert bits(net) == bits(whole)
        assert net.n_epochs == whole.n_epochs
    assert net.status == whole.status


@by_dtype
@by_engine
@pytest.mark.parametrize("abreast", [False, True])
def test_what_diverges_at_once_gives_the_net_of_the_whole(curve, abreast, dtype, engine):
    """The last whose objective was finite comes before the last update, which the first piece made."""
    X, y = curve
    options = {
        "solver": "sgd", "learning_rate": 9.0, "activation": "identity", "batch_size": None, "dtype": dtype,
        "engine": engine,
    }  # fmt: skip

    def trained(epochs, **more):
        if abreast and engine == "kernels":
            return train_many(X, y, [{}] * 3, hidden=4, epochs=epochs, **options, **more)[0]
        return train(X, y, 4, epochs=epochs, **options, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = trained(9, seed=1)
        first = trained(whole.n_epochs, seed=1)
        net = trained(9, start=first)
    assert whole.n_epochs > 1
    assert (whole.status, first.status, net.status) == ("diverged", "finished", "diverged")
    assert bits(net) == bits(whole)
    assert first.params.tobytes() != whole.params.tobytes()


@by_dtype
@pytest.mark.parametrize("kind", ["values", "labels", "counts"])
@pytest.mark.parametrize("validation", [None, 0.3])
def test_pieces_of_other_losses(curve, kind, validation, dtype):
    X, y = curve
    targets, options = {
        "values": (np.column_stack([y, -y]), {"loss": "huber", "metric": "r2"}),
        "labels": (np.column_stack([y > 0, y > 0.5]).astype(int), {"metric": "accuracy", "label_smoothing": 0.1}),
        "counts": (np.floor(np.exp(y)), {"loss": "poisson"}),
    }[kind]
    options = {"dtype": dtype, "validation": validation, **options}
    whole = one_after_the_other(X, targets, [EPOCHS], **options)
    assert bits(one_after_the_other(X, targets, [3, 1, EPOCHS - 4], **options)) == bits(whole)


@pytest.mark.parametrize("options", ["plain", "RandomState", "blocks", "validation, accuracy", "dropout"])
@by_engine
def test_pieces_of_streamed_rows(blobs, monkeypatch, options, engine):
    X, y = blobs
    options = {"dtype": "float32", "engine": engine, **CASES[options]}
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 40 * 2 * 4)
    streams = []
    monkeypatch.setattr("fastmlp.fitting.Streamed", lambda *args: streams.append(1) or batches.Streamed(*args))
    pieces = one_after_the_other(X, y, [4, 1, EPOCHS - 5], **options)
    whole = one_after_the_other(X, y, [EPOCHS], **options)
    assert len(streams) == 4
    assert pieces.params.tobytes() == whole.params.tobytes()
    assert pieces.loss_curve.tobytes() == whole.loss_curve.tobytes()


@pytest.mark.parametrize("options", ["plain", "RandomState", "blocks", "validation, accuracy"])
def test_chunks_and_draws_ahead_do_not_show(blobs, monkeypatch, options):
    whole = one_after_the_other(*blobs, [EPOCHS], **CASES[options])
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    for ahead in (1, 200):
        monkeypatch.setattr(batches, "ROWS_DRAWN_AHEAD", ahead)
        assert bits(one_after_the_other(*blobs, [4, EPOCHS - 4], **CASES[options])) == bits(whole)


@by_dtype
@by_engine
@pytest.mark.parametrize("validated", [False, True])
def test_adaptive_rates_go_on_from_any_epoch(blobs, validated, dtype, engine):
    """Where the rate falls at the very end of the first piece, and where it has fallen more than once."""
    options = {
        "solver": "sgd", "learning_rate": 0.1, "schedule": schedules.adaptive(decay=0.2, least=1e-5), "patience": 2,
        "tol": 0.05, "dtype": dtype, "engine": engine, "validation": 0.3 if validated else None, "dropout": 0.3,
    }  # fmt: skip
    rates = []
    options["callback"] = lambda epoch: rates.append(epoch.learning_rate)
    whole, all_rates = one_after_the_other(*blobs, [14], **options), rates.copy()
    assert len(set(all_rates)) > 3
    wrong = []
    for before in range(1, 14):
        rates.clear()
        net = one_after_the_other(*blobs, [before, 14 - before], **options)
        if rates != all_rates or bits(net) != bits(whole):
            wrong.append(before)
    assert wrong == []


@by_engine
@pytest.mark.parametrize("options", ["plain", "RandomState", "validation, patience", "dropout", "lbfgs", "rprop"])
def test_a_net_can_be_gone_on_from_again_and_again(blobs, options, engine):
    options = {"engine": engine, **CASES[options]}
    net = one_after_the_other(*blobs, [3], **options)
    before = bits(net)
    nets = [net, copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    ends = [bits(one_after_the_other(*blobs, [3], start=each, **options)) for each in (*nets, net)]
    assert [bits(each) for each in nets] == [before] * 4
    assert ends == [bits(one_after_the_other(*blobs, [6], **options))] * 5


@pytest.mark.parametrize("source", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("ahead", [1, 500, 1 << 18])
@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("ends_by", ["callback", "validation", "objective", "interrupt"])
def test_what_was_drawn_ahead_is_taken_back(blobs, monkeypatch, source, ahead, batch_size, ends_by):
    """Training goes on as if it had not ended early, and the user's own source stands where it would."""
    monkeypatch.setattr(batches, "ROWS_DRAWN_AHEAD", ahead)
    stops = {
        "callback": {"callback": lambda epoch: epoch.epoch == 5},
        "validation": {"patience": 4, "tol": 100.0},
        "objective": {"patience": 4, "tol": 100.0},
        "interrupt": {"callback": lambda epoch: interrupt() if epoch.epoch == 5 else None},
    }[ends_by]
    options = {"batch_size": batch_size, "validation": 0.3 if ends_by == "validation" else None}
    early, late, straight = source(7), source(7), source(7)

    def begin():
        return one_after_the_other(*blobs, [50], seed=lambda _: early, **options, **stops)

    if ends_by == "interrupt":
        with pytest.warns(RuntimeWarning, match="interrupted in epoch 6 of 50: this is the network trained so far"):
            net = begin()
    else:
        net = begin()
    assert net.n_epochs == 5
    assert bits(net) == bits(one_after_the_other(*blobs, [5], seed=lambda _: late, **options))
    assert early.uniform() == late.uniform()
    # The net has a copy of its own, from which no one else draws.
    whole = one_after_the_other(*blobs, [8], seed=lambda _: straight, **options)
    assert bits(one_after_the_other(*blobs, [3], start=net, **options)) == bits(whole)
    assert early.uniform() == late.uniform()


def interrupt():
    raise KeyboardInterrupt


@by_engine
def test_going_on_after_an_interrupt_within_an_epoch(blobs, monkeypatch, engine):
    from fastmlp import reference
    from fastmlp.kernels.run import Run

    run = {"kernels": Run, "reference": reference.Run}[engine]
    advance, calls = run.advance, []

    def a_little(self, rates, losses, until, budget):
        calls.append(1)
        return interrupt() if len(calls) > 5 else advance(self, rates, losses, until, 1)

    monkeypatch.setattr(run, "advance", a_little)
    with pytest.warns(RuntimeWarning, match=r"interrupted in epoch 1 of 9"):
        net = one_after_the_other(*blobs, [EPOCHS], engine=engine, batch_size=5)
    monkeypatch.setattr(run, "advance", advance)
    assert (net.n_epochs, net.status) == (0, "interrupted")
    again = one_after_the_other(*blobs, [4], start=net, engine=engine, batch_size=5)
    assert (again.n_epochs, again.status) == (4, "finished")
    assert np.isfinite(again.loss_curve).all()
    assert (again.params != net.params).all()


@by_dtype
def test_a_loaded_net_has_its_parameters_to_go_on_from(blobs, tmp_path, dtype):
    """The solver and the random numbers begin anew; curves and epochs go on."""
    net = one_after_the_other(*blobs, [4], dtype=dtype, validation=0.3)
    loaded = load(net.save(tmp_path / "net.safetensors"))
    options = {"hidden": 4, "batch_size": 16, "epochs": 3, "seed": 3, "validation": 0.3, "dtype": dtype}
    again = train(*blobs, start=loaded, **options)
    fresh = train(*blobs, init=(net.weights, net.biases), **options)
    assert again.params.tobytes() == fresh.params.tobytes()
    assert (again.n_epochs, again.best_epoch, fresh.best_epoch) == (7, 7, 3)
    for name in ("loss_curve", "validation_curve", "validation_scores"):
        expected = np.concatenate([getattr(net, name), getattr(fresh, name)])
        assert getattr(again, name).tobytes() == expected.tobytes()
    assert loaded.params.tobytes() == net.params.tobytes()


def test_a_new_seed_replaces_the_random_numbers(blobs):
    net = one_after_the_other(*blobs, [3], dropout=0.3)
    # Those of the rows, and dropout's where there are no others.
    for options in ({"dropout": 0.3, "batch_size": 16}, {"batch_size": 16}, {"dropout": 0.3, "batch_size": None}):
        ends = [train(*blobs, start=net, epochs=2, seed=seed, **options).params.tobytes() for seed in (1, 1, 2)]
        assert ends[0] == ends[1] != ends[2]


def test_another_solver_takes_the_parameters_over(blobs):
    net = one_after_the_other(*blobs, [3])
    other = train(*blobs, start=net, epochs=2, solver="sgd", batch_size=None)
    fresh = train(*blobs, 4, epochs=2, solver="sgd", batch_size=None, init=(net.weights, net.biases))
    assert other.params.tobytes() == fresh.params.tobytes()


def test_the_dtype_is_the_nets_unless_named(blobs):
    X, y = blobs
    net = one_after_the_other(X, y, [2])
    assert train(X.astype(np.float32), y, start=net, epochs=1).dtype == np.float64
    single = train(X, y, start=net, epochs=1, dtype="float32")
    assert single.dtype == single.loss_curve.dtype == np.float32
    assert train(X, y, start=single, epochs=1).dtype == np.float32
    assert train(X, y, start=single, epochs=1).n_epochs == 4


def test_the_best_of_another_dtype_is_forgotten(blobs):
    options = {"validation": 0.3, "metric": lambda wanted, predicted: 1.0}
    net = one_after_the_other(*blobs, [2], **options)
    assert train(*blobs, start=net, epochs=2, **options).best_epoch == 1
    single = train(*blobs, start=net, epochs=2, dtype="float32", **options)
    assert (single.dtype, single.best_epoch) == (np.float32, 3)


def test_epochs_count_on_in_callbacks(blobs):
    seen = []
    options = {"callback": lambda epoch: seen.append((epoch.epoch, epoch.loss)), "callback_every": 2}
    net = one_after_the_other(*blobs, [3, 1, 5], **options)
    assert [epoch for epoch, _ in seen] == [2, 4, 6, 8]
    assert [loss for _, loss in seen] == net.loss_curve[1::2].tolist()


def test_curves_tell_where_there_was_no_validation(blobs):
    net = one_after_the_other(*blobs, [2])
    assert net.validation_curve is None
    net = train(*blobs, start=net, epochs=3, validation=0.3)
    assert np.isnan(net.validation_curve).tolist() == np.isnan(net.validation_scores).tolist() == [True] * 2 + [False] * 3
    assert 2 < net.best_epoch <= 5
    net = train(*blobs, start=net, epochs=2)
    assert net.best_epoch is None
    assert np.isnan(net.validation_curve).tolist() == [True, True, False, False, False, True, True]


@by_engine
@pytest.mark.parametrize("options", ["plain", "RandomState", "validation, patience", "lbfgs", "rprop", "full batches"])
def test_other_data_are_gone_on_with(blobs, options, engine):
    """What belongs to the samples before is forgotten, the parameters are not."""
    X, y = blobs
    options = {"engine": engine, **CASES[options]}
    net = one_after_the_other(X, y, [3], **options)
    other = one_after_the_other(X[:60] + 0.1, y[:60], [4], start=net, **options)
    assert other.n_epochs == 7
    np.testing.assert_array_equal(other.loss_curve[:3], net.loss_curve)
    assert other.params.tobytes() == one_after_the_other(X[:60] + 0.1, y[:60], [4], start=net, **options).params.tobytes()
    assert (other.params != net.params).any()
    if other.best_epoch:
        assert len(other._training.held_out) == 18
        assert other.best_epoch > 3
    # Further than from weights drawn anew, which see the new samples as often.
    if options.get("solver") not in ("rprop", "lbfgs"):
        assert other.loss_curve[-1] < one_after_the_other(X[:60] + 0.1, y[:60], [4], **options).loss_curve[-1]


@by_engine
def test_rows_are_numbered_anew_in_as_many_as_were_trained_on(blobs, engine):
    """63 of 90 rows, and then 63: the order that a RandomState goes on from holds numbers of the first."""
    X, y = blobs
    net = one_after_the_other(X, y, [2], seed=np.random.RandomState, validation=0.3, engine=engine)
    again = train(X[:63], y[:63], start=net, epochs=1, learning_rate=1e-9, batch_size=16, engine=engine)
    net._training.order = np.empty(0, np.int32)
    fresh = train(X[:63], y[:63], start=net, epochs=1, learning_rate=1e-9, batch_size=16, engine=engine)
    assert again.params.tobytes() == fresh.params.tobytes()


@by_engine
def test_patience_begins_anew_with_other_data(blobs, engine):
    """Losses that are larger on these are no reason to stop, as long as they fall."""
    X, y = blobs
    options = {"tol": 0.0, "engine": engine, "learning_rate": 0.01, "batch_size": None}
    net = train(X, y, 10, epochs=100, seed=0, patience=50, **options)
    again = train(X[:60], np.roll(y[:60], 1), start=net, epochs=20, patience=3, **options)
    assert again.loss_curve[100] > 2 * net.loss_curve[-1]
    assert (np.diff(again.loss_curve[100:]) < 0).all()
    assert again.n_epochs == 120


@by_engine
@pytest.mark.parametrize("what", ["l2", "samples", "weights"])
def test_lbfgs_goes_on_with_another_objective(blobs, what, engine):
    """As it would from these parameters, however few iterations the new one would have taken from the start."""
    X, y = blobs
    options = {"solver": "lbfgs", "tol": 1e-4, "engine": engine, "l2": 0.01}
    net = train(X, y, 4, epochs=60, seed=0, **options)
    changed = {"l2": {"l2": 1.0}, "samples": {}, "weights": {"class_weight": {0: 50.0}}}[what]
    if what == "samples":
        X = 0.01 * X
    again = train(X, y, start=net, epochs=60, **{**options, **changed})
    anew = train(X, y, 4, epochs=60, init=(net.weights, net.biases), **{**options, **changed})
    assert again.params.tobytes() == anew.params.tobytes()
    assert again.n_epochs == net.n_epochs + anew.n_epochs
    assert (anew.params != net.params).any()


@pytest.mark.parametrize("hidden", [(4, 3), [4, 3], np.array([4, 3])])
@pytest.mark.parametrize("activation", ["relu", ["relu", "relu"], ("relu", "relu")])
def test_what_agrees_may_be_given_again(blobs, hidden, activation):
    net = one_after_the_other(*blobs, [2], hidden=(4, 3))
    again = train(*blobs, hidden, activation=activation, loss="cross_entropy", start=net, epochs=1)
    assert again.params.tobytes() == train(*blobs, start=net, epochs=1).params.tobytes()


def test_some_of_the_classes_are_enough(blobs):
    X, y = blobs
    net = one_after_the_other(X, y, [2])
    again = train(X[y == 1], y[y == 1], start=net, epochs=1)
    assert again.classes.tolist() == [0, 1, 2]
    assert again.sizes == net.sizes


@by_engine
@pytest.mark.parametrize("validated", [None, 0.2])
def test_changed_parameters_are_gone_on_from(blobs, validated, engine):
    """As after pruning: not from those that the training remembers."""
    options = {"engine": engine, "validation": validated, "solver": "sgd", "learning_rate": 1e-9}
    net = train(*blobs, 4, epochs=3, seed=0, **options)
    net.weights[0][:] = 0
    again = train(*blobs, start=net, epochs=1, **options)
    np.testing.assert_allclose(again.params, net.params, atol=1e-6)


@by_engine
def test_best_scores_of_other_samples_do_not_count(blobs, engine):
    X, y = blobs
    net = train(X, y, 4, epochs=10, validation=0.2, seed=0, engine=engine)
    again = train(X, y, start=net, epochs=3, validation=(X + 5, y[::-1]), engine=engine)
    assert again.best_epoch > 10
    assert again.validation_scores[again.best_epoch - 1] == again.validation_scores[10:].max()


def test_another_share_is_refused(blobs):
    net = train(*blobs, 4, epochs=2, validation=0.2, seed=0)
    with pytest.raises(ValueError, match=r"validation=0.5, but start held out 0.2; give the same"):
        train(*blobs, start=net, epochs=2, validation=0.5)


@by_engine
def test_patience_begins_anew_with_another_objective(blobs, engine):
    options = {"tol": 0.0, "engine": engine, "learning_rate": 0.01, "batch_size": None}
    net = train(*blobs, 10, epochs=50, seed=0, patience=50, **options)
    again = train(*blobs, start=net, epochs=10, patience=3, l2=1.0, **options)
    assert again.loss_curve[50] > net.loss_curve[-1]
    assert again.n_epochs == 60
