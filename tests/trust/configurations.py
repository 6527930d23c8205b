"""Trainings of every kind, each of which comes to one hash: for trials of threads, processes and repetitions."""

import hashlib

import numpy as np

import fastmlp


def samples(n_samples, n_features, targets, dtype):
    random = np.random.default_rng(n_samples + n_features)
    X = random.standard_normal((n_samples, n_features)).astype(dtype)
    score = X[:, 0] + np.sin(2 * X[:, -1])
    if targets == "classes":
        return X, np.digitize(score, [-0.5, 0.5])
    if targets == "labels":
        return X, np.column_stack([score > 0, X[:, 0] > 0.3]).astype(int)
    if targets == "counts":
        return X, random.poisson(np.exp(score / 4)).astype(float)
    return X, np.column_stack([score, score**2, -score]) if targets == "three values" else score


F32, F64 = "float32", "float64"
# Samples, and options of `train`. Nets of each kind that the kernels know: narrow, wide, and between; one, several and a
# part of a block, of a slab, and shares for four threads.
NETS = {
    "narrow, SGD, full batch": ((9_001, 2, "classes", F64), {"hidden": 3, "solver": "sgd", "batch_size": None}),
    "narrow, momentum, steps": (
        (4_500, 4, "classes", F32),
        {"hidden": (32, 16), "solver": "sgd", "momentum": 0.9, "schedule": "step", "batch_size": 3_000},
    ),
    "between, Nesterov, remainder": (
        (700, 30, "classes", F32),
        {"hidden": (64, 64), "solver": "sgd", "momentum": 0.8, "nesterov": True, "batch_size": 256},
    ),
    "between, Adam": ((1_300, 64, "classes", F64), {"hidden": 100, "activation": "gelu", "batch_size": 650}),
    "between, AdamW, cosine": (
        (333, 20, "classes", F32), {"hidden": 100, "solver": "adamw", "schedule": "cosine", "batch_size": 130}
    ),
    "wide, Adam, slabs": ((700, 100, "classes", F32), {"hidden": (200, 70, 150), "batch_size": None}),
    "wide, dropout": ((333, 50, "classes", F64), {"hidden": 700, "dropout": 0.3, "batch_size": 200}),
    "wide, RMSprop, clipped": (
        (300, 100, "values", F32),
        {"hidden": (200, 170), "solver": "rmsprop", "momentum": 0.5, "max_grad_norm": 0.5, "l1": 1e-4, "batch_size": 130},
    ),
    "Rprop": ((600, 5, "values", F64), {"hidden": (40, 20), "solver": "rprop"}),
    "L-BFGS": ((400, 20, "classes", F64), {"hidden": 60, "solver": "lbfgs", "l2": 1e-3}),
    "adaptive, patience": (
        (500, 20, "classes", F32), {"hidden": 60, "schedule": "adaptive", "patience": 2, "tol": 0.05, "epochs": 12}
    ),
    "sample and class weights": (
        (900, 7, "classes", F64), {"hidden": (50, 30), "class_weight": "balanced", "weighted": True}
    ),
    "validation": ((900, 7, "classes", F32), {"hidden": (50, 30), "validation": 0.2, "patience": 3, "metric": "accuracy"}),
    "Huber, three outputs": ((400, 9, "three values", F64), {"hidden": (40, 40), "loss": "huber", "l2": 0.01}),
    "Poisson, blocks of rows": ((800, 30, "counts", F32), {"hidden": 40, "loss": "poisson", "shuffle": "blocks"}),
    "labels, smoothed": ((500, 12, "labels", F64), {"hidden": (48, 24), "activation": "mish", "label_smoothing": 0.1}),
    "a RandomState": ((300, 4, "classes", F32), {"hidden": (33, 17), "batch_size": 64, "seed": np.random.RandomState}),
}  # fmt: skip


def train(name, threads, epochs=None):
    """The net of a configuration, and its samples."""
    shape, options = NETS[name]
    (X, y), options = samples(*shape), dict(options)
    if options.pop("weighted", False):
        options["sample_weight"] = np.random.default_rng(0).uniform(0, 2, len(X))
    options["seed"] = options.pop("seed", int)(7)
    options["epochs"] = epochs or options.get("epochs", 4)
    return fastmlp.train(X, y, threads=threads, **options), X


def of_net(name, threads):
    net, X = train(name, threads)
    return net.params, net.loss_curve, net.predict(X[:100])


def of_sweep(threads):
    X, y = samples(150, 4, "classes", F32)
    grid = {"seed": range(9), "hidden": [3, 8]}
    nets = fastmlp.train_many(X, y, grid, epochs=4, batch_size=16, validation=0.2, threads=threads)
    return [array for net in nets for array in (net.params, net.loss_curve)]


def of_classifier(threads):
    X, y = samples(400, 20, "classes", F64)
    net = fastmlp.MLPClassifier((80, 40), max_iter=4, random_state=3, n_jobs=threads).fit(X, y)
    return *net.coefs_, *net.intercepts_, np.array(net.loss_curve_), net.predict_proba(X)


def of_regressor(threads):
    X, y = samples(300, 20, "values", F32)
    options = {"solver": "lbfgs", "hidden_layer_sizes": (60,), "max_iter": 6, "random_state": 3, "n_jobs": threads}
    net = fastmlp.MLPRegressor(**options).fit(X, y)
    return *net.coefs_, *net.intercepts_, net.predict(X)


OTHERS = {"many nets": of_sweep, "MLPClassifier": of_classifier, "MLPRegressor": of_regressor}
NAMES = [*NETS, *OTHERS]


def digest(name, threads=1):
    """The hash of all that a configuration comes to."""
    parts = OTHERS[name](threads) if name in OTHERS else of_net(name, threads)
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes())
    return total.hexdigest()[:16]
