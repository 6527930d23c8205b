"""Bad files and options of commands: refused by an error that names the argument, the file or the option."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from bad_values import BASE, N, X, Y, refused
from safetensors.numpy import save as safetensors_of

import fastmlp
from fastmlp import Sweep, train, train_many
from fastmlp.bench import command
from fastmlp.kernels.run import Run
from tables_in_files import contents, run, words, write_csv

TRIAL = "bad inputs refused with the argument named"
ERRORS = (TypeError, ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, OSError)
NO_PATHS = {"None": None, "a number": 3, "a list": ["a"], "a float": 1.5, "a net": Y, "a dict": {}}
NO_FILES = {
    "nothing": b"",
    "blanks": b"   \n",
    "text": b"hello",
    "JSON": json.dumps({"fastmlp": {}}).encode(),
    "a pickle": pickle.dumps({"weights": [1.0]}),
    "a table": b"a,b\n1,2\n",
    "a compressed file": gzip.compress(b"hello"),
    "zeros": bytes(1000),
    "a header without end": b"\xff" * 8 + b"{}",
    "a foreign file": safetensors_of({"weights": np.ones((2, 2))}),
    "a foreign file with a header": safetensors_of({"w": np.ones(2)}, {"fastmlp": "no json"}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A net, a sweep and much that is neither."""
    folder = tmp_path_factory.mktemp("files")
    net, sweep = train(X, Y, **BASE), train_many(X, Y, [{}, {"l2": 0.1}], **BASE)
    paths = {"a net": net.save(folder / "net.safetensors"), "a sweep": sweep.save(folder / "sweep.safetensors")}
    for what, content in NO_FILES.items():
        paths[what] = folder / what
        paths[what].write_bytes(content)
    for name in ("net", "sweep"):
        content = (folder / f"{name}.safetensors").read_bytes()
        for what, changed in {
            "half": content[: len(content) // 2],
            "longer": content + b"x",
            "pickled": b"\x80" + content,
        }.items():
            paths[f"a {name}, {what}"] = folder / f"{name}-{what}"
            paths[f"a {name}, {what}"].write_bytes(changed)
    np.savez(folder / "arrays.npz", a=np.ones(3))
    return {
        **paths,
        "arrays": folder / "arrays.npz",
        "a folder": folder,
        "no file": folder / "none",
        "within": folder / "text" / "x",
    }


def test_load(files, trials):
    with trials(TRIAL) as trial:
        for name, load, own in (("load", fastmlp.load, "a net"), ("Sweep.load", Sweep.load, "a sweep")):
            for what, path in files.items():
                if what != own:
                    for given in (path, str(path)):
                        with trial.case(f"{name}: {what}, {type(given).__name__}"):
                            refused(path.name, lambda load=load, given=given: load(given), errors=ERRORS)
            for what, value in NO_PATHS.items():
                with trial.case(f"{name}: {what}"):
                    refused("(?i:path|pathlike)", lambda load=load, value=value: load(value), errors=ERRORS)


SHARES = ["-0.1", "1", "2", "nan", "inf", "a", ""]
WHOLE = ["0", "-1", "1.5", "a", "", "nan", "inf", "1e3x"]
# Of each option: what it cannot be.
OPTIONS_OF_TRAIN = {
    "--task": ["ranking", "", "Classification"],
    "--hidden": ["0", "-1", "1.5", "a", "", "8,,8", ",", "8;8", "nan", "inf", "1e400", "1e15", "1e10,1e10"],
    "--activation": ["sinus", "", "RELU", "3"],
    "--loss": ["hinge", "", "3"],
    "--solver": ["newton", "", "ADAM", "3"],
    "--learning-rate": ["0", "-1", "nan", "inf", "1e400", "fast", ""],
    "--l2": ["-1", "nan", "inf", "a", ""],
    "--dropout": ["-0.1", "1", "nan", "a", ""],
    "--batch": ["0", "-1", "1.5", "some", "", "nan", "inf", "1e400"],
    "--epochs": [*WHOLE, "1" + "0" * 30, "1" + "0" * 400, "1" + "0" * 13],
    "--patience": [*WHOLE, "1" + "0" * 400],
    "--validation": SHARES,
    "--test": SHARES,
    "--seed": ["-1", "1.5", "a", ""],
    "--dtype": ["float16", "int", "", "FLOAT32"],
    "--threads": ["-1", "1.5", "a", "", "1" + "0" * 30],
    "--most-categories": WHOLE,
    "--delimiter": ["", ",,", '"', "\n"],
    "--decimal": [";", "", ".."],
    "--encoding": ["utf-9", "", "hex"],
    "--drop": ["none", "", "kind"],
    "--category": ["none", ""],
    "--target": ["none", "", "Kind"],
    "--unknown": ["1"],
}  # fmt: skip
OPTIONS_OF_BENCH = {
    "--sizes": ["0", "1", "-5", "a", "", "200:", ":200", "500:200", "1:2:3", "nan", "inf", "1.5", "200,a", "1e400"],
    "--features": ["0", "-1", "1.5", "a", ""],
    "--hidden": ["0", "-1", "a", "", "8,,8", "1.5", "nan", "inf"],
    "--classes": ["0", "1", "-1", "a", ""],
    "--batch": ["0", "-1", "a", "", "1.5", "nan", "inf"],
    "--solver": ["newton", "lbfgs", "", "3"],
    "--activation": ["sinus", "", "3"],
    "--dtype": ["float16", "", "int"],
    "--threads": ["-1", "a", "1.5"],
    "--rounds": ["0", "-1", "a", "1.5"],
    "--seconds": ["0", "-1", "a", "nan", "inf", ""],
    "--against": ["none", "numpy,none", "3"],
    "--forecast": ["0", "n=0", "n=a", "n=", "-1", "n=999", "n=nan", "n=inf"],
    "--data": ["none.csv"],
    "--target": ["a"],
}
OPTIONS_OF_PREDICT = {
    "--new-categories": ["none", "", "Refuse"],
    "--delimiter": ["", ",,"],
    "--decimal": [";", ""],
    "--encoding": ["utf-9", ""],
    "--unknown": ["1"],
}


@pytest.fixture
def no_measuring(monkeypatch):
    def begin(*_, **__):
        raise AssertionError("work began")

    monkeypatch.setattr(command, "run", begin)
    # The options alone are tried on the reference.
    monkeypatch.setattr(Run, "__init__", begin)


def some(cases, count):
    """All cases in full, one in five else: each runs a command."""
    return [*cases][:: count(5, 1)]


def cases_of(options):
    return [(option, value) for option, values in options.items() for value in values]


def told(name, folder, *arguments):
    """Fail unless the command ends with 1 or 2 and names what is wrong, without a traceback, and nothing is written."""
    before = contents(folder)
    result = run(*arguments)
    text = words(result.output)
    assert result.exit_code in (1, 2), f"{result.exit_code}: {text[:200]}, {result.exception!r}"
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in text
    assert name in text, f"does not name {name}: {text[:300]}"
    assert contents(folder) == before, "something was written"


def test_options_of_train(trials, count, tmp_path, no_measuring):
    table = write_csv(tmp_path / "table.csv", {"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "kind": ["u", "v"] * (N // 2)})
    with trials(TRIAL) as trial:
        for option, value in some(cases_of(OPTIONS_OF_TRAIN), count):
            with trial.case(f"train {option}={value!r}"[:60]):
                target = () if option == "--target" else ("--target", "kind")
                given = (
                    "train",
                    table,
                    *target,
                    f"{option}={value}",
                    "-o",
                    tmp_path / "model.safetensors",
                    "--no-pictures",
                )
                named = value if option in ("--drop", "--category", "--target") else option
                told(named, tmp_path, *given)
        for what, given in {
            "FILE": ("train",),
            "--target": ("train", table),
            "nowhere.csv": ("train", "nowhere.csv", "--target=a"),
        }.items():
            with trial.case(f"train: {what}"):
                told(what, tmp_path, *given)


def test_options_of_bench(trials, count, tmp_path, no_measuring):
    with trials(TRIAL) as trial:
        for option, value in some(cases_of(OPTIONS_OF_BENCH), count):
            with trial.case(f"bench {option}={value!r}"):
                told(option, tmp_path, "bench", f"{option}={value}")


def test_options_of_predict(files, trials, count, tmp_path, no_measuring):
    table = write_csv(tmp_path / "table.csv", {"a": X[:, 0].tolist(), "b": X[:, 1].tolist()})
    out = tmp_path / "predictions.csv"
    with trials(TRIAL) as trial:
        for option, value in some(cases_of(OPTIONS_OF_PREDICT), count):
            with trial.case(f"predict {option}={value!r}"):
                told(option, tmp_path, "predict", files["a net"], table, f"{option}={value}", "-o", out)
        for what, path in some(files.items(), count):
            # Of a net that no table was trained by it is told so.
            with trial.case(f"predict: {what}"):
                told(Path(path).name, tmp_path, "predict", path, table, "-o", out)
        for what, given in {"MODEL": (), "FILE": (table,)}.items():
            with trial.case(f"predict: {what}"):
                told(what, tmp_path, "predict", *given)
