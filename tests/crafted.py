"""Files of fastmlp made by hand: whole ones of every kind, and ones made to harm, whose digests are right all the same."""

import copy
import json

import numpy as np

from fastmlp import Sweep, storage, train
from fastmlp.files.columns import Category, Columns, Number
from fastmlp.files.model import Model
from fastmlp.files.target import Target
from fastmlp.sweep.tasks import Outcome

NAMES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8"}


def content_of(net):
    """All that a net is."""
    if net is None:
        return None
    arrays = [getattr(net, name) for name in ("params", *storage.CURVES, "classes")]
    told = [None if array is None else (array.dtype.str, array.shape, array.tolist()) for array in arrays]
    return net.sizes, net.activations, net.loss, net.flat_targets, net.best_epoch, net.status, repr(told)


def read_net(path):
    return content_of(storage.load(path))


def read_sweep(path):
    sweep = Sweep.load(path)
    errors = {place: (type(error), str(error)) for place, error in sweep.errors.items()}
    return repr((list(map(content_of, sweep)), sweep.configs, sweep.common, sweep.statuses, errors, sweep.seconds.tolist()))


def read_model(path):
    model = Model.load(path)
    return content_of(model.network), repr((model.columns, model.target))


READERS = {"net": read_net, "sweep": read_sweep, "model": read_model}


def a_net(seed=0, **options):
    """A small one of three named classes."""
    random = np.random.default_rng(seed)
    X, y = random.standard_normal((30, 3)), np.array(["blue", "a", "ünïcode"])[np.arange(30) % 3]
    options = {"activation": ["tanh", "relu"], "epochs": 2, "seed": seed, "validation": 0.2, **options}
    return train(X, options.pop("y", y), (2, 3), engine="reference", **options)


def a_sweep():
    """Nets of two kinds, one that failed, one that was not begun."""
    nets = [a_net(0), a_net(1, dtype="float32", validation=None, y=np.arange(30) / 7), a_net(2)]
    outcomes = [Outcome(place, net, net.status, None, 0.5) for place, net in enumerate(nets)]
    outcomes += [Outcome(3, None, "failed", ValueError("l2=-1: give a number"), 0.1), Outcome(4, None, "out of time")]
    configs = [{"seed": place, "hidden": (2, 3), "l2": np.float32(0.1)} for place in range(5)]
    return Sweep(configs, {"epochs": 2, "class_weight": {"a": 1.5}, "schedule": None}, outcomes)


def a_model():
    """Of a table with a number and two texts."""
    columns = Columns([Number("width", 1.5, 0.25, 0)], [Category("colour", ["blue", "red"], 0)])
    return Model(a_net(), columns, Target("kind", sorted(["blue", "a", "ünïcode"])))


def parts_of(content):
    """The key of a file's header, the header without its digest, and the arrays."""
    length = int.from_bytes(content[:8], "little")
    entries, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    ((key, header),) = entries.pop("__metadata__").items()
    header = json.loads(header)
    del header["sha256"]
    dtypes = {code: np.dtype(name) for name, code in NAMES.items()}
    arrays = {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries.items()
    }
    return key, header, arrays


def signed(header, arrays):
    """The header as JSON, with the digest that its reader will compute."""
    text = json.dumps({**header, "sha256": storage.digest_of(header, arrays)})
    assert text.startswith("{")
    return text


def container(key, text, arrays, more=None):
    """A safetensors file of this header and these arrays; `more` of the container's own entries go over those that fit."""
    entries, data = {"__metadata__": {key: text}}, b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        entries[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    return framed(json.dumps({**entries, **(more or {})}).encode(), data)


def framed(header, data=b""):
    """The bytes of a safetensors file."""
    return len(header).to_bytes(8, "little") + header + data


def forged(content, change):
    """The file with header and arrays changed in place, and the digest to match."""
    key, header, arrays = parts_of(content)
    header = copy.deepcopy(header)
    change(header, arrays)
    return container(key, signed(header, arrays), arrays)
