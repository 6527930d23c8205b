"""Files made to harm: each must be refused, without a line of code run, and without memory or time beyond its size."""

import json
import math
import os
import pickle

import numpy as np

from crafted import container, forged, framed, parts_of, signed

WRONG = [None, True, -1, 10**30, 1.5, math.nan, math.inf, "x", "__import__('os')", [], [[]], {}, {"a": [1]}, ["x", None], 0]
# What these entries may be, so that it is no harm.
TEXTS = ("x", "__import__('os')")
RIGHT = {
    "flat_targets": (True,), "best_epoch": (None,), "errors": ([],), "classes.values.0": TEXTS, "errors.0.0": (0,),
    "kinds.0.labels": (0,), "columns.numbers.0.name": TEXTS, "columns.numbers.0.mean": (0, -1, 1.5, 10**30),
    "columns.numbers.0.scale": (0, 1.5, 10**30), "columns.numbers.0.missing": (0,), "columns.categories.0.name": TEXTS,
    "columns.categories.0.missing": (0,), "target.name": TEXTS, "target.mean": (0, -1, 1.5, 10**30),
    "target.scale": (0, 1.5, 10**30),
}  # fmt: skip
NET = ("format", "sizes", "sizes.1", "activations", "activations.0", "loss", "flat_targets", "status", "classes",
       "classes.dtype", "classes.values", "classes.values.0", "best_epoch")  # fmt: skip
SWEEP = ("format", "configs", "configs.0", "common", "statuses", "statuses.1", "errors", "errors.0", "errors.0.0", "kinds",
         "kinds.0", "kinds.0.sizes", "kinds.0.loss", "kinds.0.dtypes", "kinds.0.dtypes.0", "kinds.0.labels", "labels",
         "labels.0")  # fmt: skip
TABLE = ("columns", "target", "columns.numbers", "columns.numbers.0", "columns.numbers.0.name", "columns.numbers.0.mean",
         "columns.numbers.0.scale", "columns.numbers.0.missing", "columns.categories.0.name", "columns.categories.0.values",
         "columns.categories.0.missing", "target.name", "target.labels", "target.mean", "target.scale")  # fmt: skip
DTYPES = ("O", "V1000000000", "U1000000000", "U99999999", "<U99999999", "M8[ns]", "<M8[D]", "S9", "c16", "i4,i4", "|O",
          "(1000000000,)i4", "object_", "<U-1", "<i8\n", "{'names':['a'],'formats':['O']}", "f16", "<f3", "|b2",
          "<i1000")  # fmt: skip


class Harm:
    """Would run a command where it is unpickled."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def cases(files):
    """Name, kind of reader and bytes of each; `files` are whole ones by their kind."""
    for kind, entries in (("net", NET), ("sweep", SWEEP), ("model", TABLE)):
        for entry in entries:
            yield from _wrong_entries(kind, files[kind], entry)
    yield from _labels(files["net"])
    yield from _headers(files)
    yield from _arrays(files)
    yield from _sweeps(files["sweep"])
    yield from _containers(files["net"])
    yield from _large(files)


def _wrong_entries(kind, content, entry):
    for number, value in enumerate(WRONG):
        if not any(value is right or (value == right and type(value) is type(right)) for right in RIGHT.get(entry, ())):
            path = f"table.{entry}" if kind == "model" else entry
            yield (
                f"{kind}: {path} = {value!r} ({number})",
                kind,
                forged(content, lambda header, _, p=path, v=value: put(header, p, v)),
            )
    path = f"table.{entry}" if kind == "model" else entry
    if "." not in entry and entry not in ("best_epoch", "status"):
        yield f"{kind}: no {path}", kind, forged(content, lambda header, _: take(header, path))


def at(header, path):
    """What holds the entry, and its name or place there."""
    *above, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in above:
        header = header[part]
    return header, last


def put(header, path, value):
    holder, last = at(header, path)
    holder[last] = value


def take(header, path):
    holder, last = at(header, path)
    del holder[last]


def _labels(net):
    def labelled(dtype, values):
        return forged(net, lambda header, _: header.update(classes={"dtype": dtype, "values": values}))

    for dtype in DTYPES:
        yield f"labels of dtype {dtype!r}", "net", labelled(dtype, ["a", "b", "c"])
    for dtype, values in (
        ("<i8", [1, 2, 2**63]), ("|u1", [1, 2, 256]), ("|u1", [-1, 2, 3]), ("<i8", [1, True, 3]), ("<i8", [1, 2.0, 3]),
        ("|b1", [True, False, 1]), ("<f8", [1.0, 2.0, math.inf]), ("<f8", [1.0, math.nan, 2.0]), ("<f2", [1.0, 2.0, 1e6]),
        ("<f4", [1.0, 2.0, 1e300]), ("<f8", [1, 2, 3]), ("<f8", [10**400, 2, 3]), ("<U1", ["a", "b", "cd"]),
        ("object", ["a", None, "b"]), ("object", ["a", ["b"], "c"]), ("object", ["a", {}, "c"]),
        ("object", [math.nan, 1, 2]), ("<U4", ["a", "b"]), ("<U4", ["a", "b", "c", "d"]), ("<U20000000", ["a", "b", "c"]),
        ("StringDType()", ["a", 1, "b"]), ("StringDType()", ["a", "\ud800", "b"]),
    ):  # fmt: skip
        yield f"labels {values!r} of {dtype}", "net", labelled(dtype, values)


def _headers(files):
    """JSON that is no header, and headers that say what nobody asked for."""
    key, header, arrays = parts_of(files["net"])
    whole = signed(header, arrays)
    digest = json.loads(whole)["sha256"]
    for name, text in {
        "twice": '{"format": 1, ' + whole[1:],
        "twice, further in": whole.replace('"dtype":', '"dtype": "O", "dtype":', 1),
        "no JSON": whole[:-1],
        "nothing": "",
        "null": "null",
        "a number": "1",
        "a list": f"[{whole}]",
        "no digest": json.dumps(header),
        "a digest of another kind": json.dumps({**header, "sha256": [digest]}),
        "deep lists": "[" * 100_000 + "]" * 100_000,
        "deep dicts": '{"a":' * 20_000 + "1" + "}" * 20_000,
        "a deep entry": whole[:-1] + ', "more": ' + "[" * 900 + "]" * 900 + "}",
        "a number of a million digits": whole.replace('"format": 1', '"format": ' + "9" * 1_000_000),
        "a number of 4000 digits": json.dumps({**header, "format": 10**4000}),
        "behind it more": whole + "{}",
        "Infinity": whole.replace('"format": 1', '"format": Infinity'),
        "a NUL": whole.replace("finished", "finished\\u0000"),
    }.items():
        yield f"header: {name}", "net", container(key, text, arrays)
    for name, change in {
        "an unknown entry": {"code": "import os"},
        "a newer format": {"format": 2},
        "a format far ahead": {"format": 10**18},
        "a status nobody knows": {"status": "failed"},
        "best_epoch beyond": {"best_epoch": 3},
        "sizes that multiply to much": {"sizes": [2**31, 2**31, 2**31, 3]},
        "one layer less": {"sizes": [3, 2, 3], "activations": ["tanh"]},
        "an activation less": {"activations": ["tanh"]},
        "an activation more": {"activations": ["tanh", "relu", "relu"]},
        "another case": {"loss": "CROSS_ENTROPY"},
        "a loss without classes": {"loss": "squared_error"},
        "too many classes for one output": {"loss": "binary_cross_entropy"},
        "no classes": {"classes": None},
    }.items():
        yield f"header: {name}", "net", forged(files["net"], lambda header, _, c=change: header.update(c))
    for name, kind in (("a sweep as a net", "net"), ("a net as a sweep", "sweep"), ("a net as a model", "model")):
        yield name, kind, files["sweep" if kind == "net" else "net"]


def _arrays(files):
    """Arrays that are not those of the header."""

    def changed(change):
        return forged(files["net"], lambda _, arrays: change(arrays))

    for name, change in {
        "none": lambda arrays: arrays.clear(),
        "one missing": lambda arrays: arrays.pop("weights.1"),
        "no loss curve": lambda arrays: arrays.pop("loss_curve"),
        "one too many": lambda arrays: arrays.update(extra=np.zeros(3)),
        "training without an entry": lambda arrays: arrays.update({"training.moments": np.zeros(3)}),
        "a layer too many": lambda arrays: arrays.update({"weights.3": np.zeros((3, 3)), "biases.3": np.zeros(3)}),
        "the same number, another shape": lambda arrays: arrays.update({"weights.0": np.zeros((2, 3))}),
        "flat": lambda arrays: arrays.update({"weights.0": np.zeros(6)}),
        "three dimensions": lambda arrays: arrays.update({"weights.0": np.zeros((3, 2, 1))}),
        "a number": lambda arrays: arrays.update({"weights.0": np.float64(1).reshape(())}),
        "whole numbers": lambda arrays: arrays.update({"weights.0": np.zeros((3, 2), np.int64)}),
        "mixed": lambda arrays: arrays.update({"biases.0": np.zeros(2, np.float32)}),
        "bytes": lambda arrays: arrays.update({"loss_curve": np.zeros(2, np.uint8)}),
        "NaN": lambda arrays: arrays.update({"weights.1": np.full((2, 3), np.nan)}),
        "infinity": lambda arrays: arrays.update({"biases.1": np.full(3, -np.inf)}),
        "a curve too short": lambda arrays: arrays.update({"validation_curve": np.zeros(1)}),
        "a curve too long": lambda arrays: arrays.update({"loss_curve": np.zeros(3)}),
        "a curve of rows": lambda arrays: arrays.update({"loss_curve": np.zeros((2, 1))}),
    }.items():
        yield f"arrays: {name}", "net", changed(change)


def _sweeps(sweep):
    def changed(change):
        return forged(sweep, change)

    configs = {
        "two entries": {"dict": [], "tuple": []},
        "an unknown kind": {"pickle": "gASV"},
        "no pairs": {"dict": [1]},
        "half a pair": {"dict": [["a"]]},
        "a name that is no text": {"dict": [[1, 2]]},
        "a name that has no hash": {"dict": [[{"dict": []}, 1]]},
        "a class": {"dict": [["a", {"type": "object"}]]},
        "a dtype": {"dict": [["a", {"dtype": "O"}]]},
        "a dtype that is a list": {"dict": [["a", {"dtype": ["O"]}]]},
        "a scalar of objects": {"dict": [["a", {"numpy": ["O", 1]}]]},
        "a scalar of many bytes": {"dict": [["a", {"numpy": ["V1000000000", 1]}]]},
        "a scalar that is too large": {"dict": [["a", {"numpy": ["|i1", 1000]}]]},
        "a scalar of three": {"dict": [["a", {"numpy": ["|i1", 1, 1]}]]},
        "a scalar that is a list": {"dict": [["a", {"numpy": ["<i8", [1, 2]]}]]},
        "an option": {"dict": [["a", {"option": ["Loss", "__class__"]}]]},
        "an option of three": {"dict": [["a", {"option": ["Loss"]}]]},
        "an option of nobody": {"dict": [["a", {"option": ["os", "system"]}]]},
        "not kept, not a text": {"dict": [["a", {"not kept": {"dict": []}}]]},
        "no dict": {"tuple": []},
    }
    for name, config in configs.items():
        yield f"config: {name}", "sweep", changed(lambda header, _, c=config: header["configs"].__setitem__(0, c))
        yield f"common: {name}", "sweep", changed(lambda header, _, c=config: header.update(common=c))
    deep = 1
    for _ in range(400):
        deep = {"tuple": [deep]}
    yield "config: deep", "sweep", changed(lambda header, _: put(header, "configs.0", {"dict": [["a", deep]]}))
    for name, change in {
        "a kind beyond": ("kinds", 2), "a kind below": ("kinds", -2), "a kind far away": ("kinds", 2**31 - 1),
        "an epoch beyond": ("best_epochs", 99), "an epoch below": ("best_epochs", -1), "no seconds": ("seconds", np.nan),
        "a length below": ("lengths", -1), "a length beyond": ("lengths", 2**62), "other lengths": ("lengths", 1),
        "parameters that are not numbers": ("params.float64", np.nan), "infinite ones": ("params.float32", np.inf),
    }.items():  # fmt: skip
        name_of, value = change

        def fill(_, arrays, name_of=name_of, value=value):
            arrays[name_of] = np.full_like(arrays[name_of], value)

        yield f"sweep: {name}", "sweep", changed(fill)
    for name, change in {
        "an array less": lambda header, arrays: arrays.pop("params.float32"),
        "an array more": lambda header, arrays: arrays.update({"params.int64": np.zeros(3, np.int64)}),
        "training": lambda header, arrays: arrays.update({"training.moments": np.zeros(3)}),
        "a parameter more": lambda header, arrays: arrays.update({"params.float32": np.zeros(99, np.float32)}),
        "other kinds": lambda header, arrays: arrays.update(kinds=np.zeros(5, np.int64)),
        "fewer statuses": lambda header, arrays: header["statuses"].pop(),
        "fewer configs": lambda header, arrays: header["configs"].pop(),
        "an error twice": lambda header, arrays: header["errors"].append(header["errors"][0]),
        "an error beyond": lambda header, arrays: put(header, "errors.0.0", 5),
        "labels beyond": lambda header, arrays: put(header, "kinds.0.labels", 1),
        "labels that are objects": lambda header, arrays: put(header, "labels.0.dtype", "O"),
        "many labels of many bytes": lambda header, arrays: header.update(
            labels=[*header["labels"], *[{"dtype": "<U2000000", "values": ["a"]}] * 1000]
        ),
        "whole curves": lambda header, arrays: put(header, "kinds.0.dtypes.1", None),
    }.items():
        yield f"sweep: {name}", "sweep", changed(change)


def _containers(net):
    """What is wrong before there is a header of ours."""
    key, header, arrays = parts_of(net)
    text = signed(header, arrays)
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    for name, entry in {
        "an unknown dtype": {**empty, "dtype": "F8_E4M3"}, "halves": {**empty, "dtype": "BF16"},
        "a dtype that is none": {**empty, "dtype": "O"}, "a list as dtype": {**empty, "dtype": ["F32"]},
        "a negative length": {**empty, "shape": [-1]}, "half a length": {**empty, "shape": [0.0]},
        "a large shape of nothing": {**empty, "shape": [2**62, 0]}, "larger": {**empty, "shape": [2**63 - 1, 2**63 - 1, 0]},
        "many dimensions": {**empty, "shape": [0] * 100}, "a lying shape": {**empty, "shape": [10**12]},
        "lying offsets": {**empty, "shape": [10**9], "data_offsets": [0, 4 * 10**9]},
        "offsets that fall": {**empty, "data_offsets": [8, 0]}, "offsets below": {**empty, "data_offsets": [-8, -8]},
        "over another": {**empty, "shape": [2], "data_offsets": [0, 8]},
        "one offset": {**empty, "data_offsets": [0]}, "a true offset": {**empty, "data_offsets": [True, True]},
        "another entry": {**empty, "code": "x"}, "no entry": {}, "none": None, "a list": [],
    }.items():  # fmt: skip
        yield f"container: {name}", "net", container(key, text, arrays, {"a": entry})
    plain = container(key, text, arrays)
    length = int.from_bytes(plain[:8], "little")
    for name, content in {
        "a header longer than the file": (2**63).to_bytes(8, "little") + plain[8:],
        "a header of 99 MB": (99_000_000).to_bytes(8, "little") + plain[8:],
        "a shorter header": (length - 1).to_bytes(8, "little") + plain[8:],
        "no header": framed(b""),
        "bytes behind": plain + b"\0" * 8,
        "bytes missing": plain[:-1],
        "no UTF-8": framed(b'{"__metadata__": {"fastmlp": "\xff"}}'),
        "no ASCII": framed('{"__metadata__": {"fastmlp": "ü"}}'.encode()),
        "no dict": framed(b"[]"),
        "metadata twice": framed(plain[8 : 8 + length].replace(b"{", b'{"__metadata__": {}, ', 1), plain[8 + length :]),
        "metadata of lists": framed(b'{"__metadata__": []}'),
        "metadata of numbers": framed(b'{"__metadata__": {"fastmlp": 1}}'),
        "deep": framed(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "a pickle": pickle.dumps(Harm()),
        "a zip": b"PK\x03\x04" + bytes(100),
    }.items():
        yield f"container: {name}", "net", content


def _large(files):
    """What takes much more memory than its bytes, if it is let."""
    key, header, arrays = parts_of(files["net"])
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    yield "a million lists", "net", container(key, "[" + "[]," * 999_999 + "[]]", {})
    yield "four million lists", "net", container(key, "[" + "[]," * 3_999_999 + "[]]", {})
    yield "two million dicts", "net", container(key, "[" + "{}," * 1_999_999 + "{}]", {})
    yield "two million texts", "net", container(key, "[" + '"ab",' * 1_999_999 + '"ab"]', {})
    yield "four million numbers", "net", container(key, "[" + "1000," * 3_999_999 + "1]", {})
    yield "a wide sign", "net", container(key, json.dumps({**header, "more": "a" * 20_000_000 + "\U0001f600"}), arrays)
    yield (
        "100,000 arrays",
        "net",
        container(key, signed(header, arrays), {}, {str(place): empty for place in range(100_000)}),
    )
    yield "a million dimensions", "net", container(key, "{}", {}, {"a": {**empty, "shape": [0] * 1_000_000}})
    yield (
        "100,000 metadata",
        "net",
        framed(json.dumps({"__metadata__": {str(place): "" for place in range(100_000)}}).encode()),
    )
    yield "five million lists in a sweep", "sweep", container("fastmlp_sweep", "[" + "[]," * 4_999_999 + "[]]", {})
    label = "a" * 60_000
    wide = {"dtype": "<U60000", "values": [label, *map(str, range(5000))]}
    yield "one long label of many", "net", forged(files["net"], lambda header, _: header.update(classes=wide))
    huge = np.zeros((1000, 5000))
    yield "40 MB that do not belong", "net", forged(files["net"], lambda _, arrays: arrays.update({"weights.0": huge}))
    yield (
        "40 MB of NaN",
        "net",
        forged(files["net"], lambda header, arrays: _grown(header, arrays, np.full((5000, 1000), np.nan))),
    )


def _grown(header, arrays, weights):
    header["sizes"][:2] = weights.shape
    arrays.update(
        {"weights.0": weights, "biases.0": np.zeros(weights.shape[1]), "weights.1": np.zeros((weights.shape[1], 3))}
    )
