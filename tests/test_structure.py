"""Who may import whom, and that kernels and reference can be read side by side."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fastmlp
from fastmlp import reference
from fastmlp.kernels import curves, optimizers
from fastmlp.kernels import run as kernels_run
from fastmlp.options import Solver
from table import Case, begin, start

PACKAGE = Path(fastmlp.__file__).parent
# Imports go down, from a layer to those above it in this list. `kernels` stands for the folder.
LAYERS = [
    {"checks", "options", "notices", "writing", "headers", "interrupts", "machine"},
    {"command_line"},
    {"kernels", "reference", "initialise", "schedules", "scales", "labels", "label_kinds", "progress", "tensors"},
    {"inputs"},
    {"arguments", "batches", "network", "targets"},
    {"export", "state", "validation", "plotting", "divergence"},
    {"stored_state"},
    {"storage", "cache", "loop", "samples", "charts"},
    {"lbfgs", "setup"},
    {"checkpoints"},
    {"fitting"},
    {"training"},
    {"estimators", "sweep", "files"},
    {"article", "bench", "check"},
    {"exercises"},
    {"pictures"},
    {"tour"},
    {"cli"},
    {"__main__"},
]
LAYER = {name: depth for depth, names in enumerate(LAYERS) for name in names}
# What is imported within functions: engines when they are wanted, and what else a net becomes when it is saved or exported.
WHEN_NEEDED = {
    ("cache", "kernels"),
    ("network", "kernels"),
    ("network", "storage"),
    ("network", "export"),
    ("network", "estimators"),
    ("export", "kernels"),
    ("fitting", "kernels"),
    ("fitting", "reference"),
    ("stored_state", "reference"),
}
# Those that are only imported when there is something to train.
WITH_ENGINES = {"bench", "check", "estimators", "sweep"}
OWNERS = {
    "numba": {"kernels"},
    "llvmlite": {"kernels"},
    "scipy": {"estimators", "lbfgs", "reference"},
    "matplotlib": {"plotting"},
    "sklearn": {"article", "bench", "cli", "estimators", "tour"},
    "pandas": {"sweep"},
    "onnx": {"export"},
    "torch": {"bench"},
    "jax": {"bench"},
}
# Slow to import: only within functions, where `import fastmlp` and `train` must not wait for them.
SLOW = {"scipy", "sklearn", "matplotlib", "onnx", "pandas", "rich", "safetensors", "typer"}


def files():
    """Each source file and the module or folder it stands for."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def imports(path):
    """Every import of a file: dotted name, and when it happens ("at once", "when called" or "never")."""

    def walk(node, when):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, when) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path.name}: relative import"
                yield from ((f"{child.module}.{alias.name}", when) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                yield from walk(child, "never")
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, "when called" if inside and when == "at once" else when)

    yield from walk(ast.parse(path.read_text()), "at once")


ARROWS = [
    (path.name, module, imported.split(".")[1], when)
    for path, module in files()
    for imported, when in imports(path)
    if imported.startswith("fastmlp.")
]


def test_every_module_has_its_layer():
    assert {module for _, module in files()} <= set(LAYER)


def test_imports_go_one_way():
    inside = [arrow for arrow in ARROWS if arrow[1] != arrow[2] and arrow[2] in LAYER and arrow[3] != "never"]
    assert len(inside) > 20
    wrong = [
        arrow
        for arrow in inside
        if LAYER[arrow[2]] >= LAYER[arrow[1]] and (arrow[1:3] not in WHEN_NEEDED or arrow[3] == "at once")
    ]
    assert wrong == []


def test_engines_share_nothing_but_the_options():
    for engine in ("kernels", "reference"):
        assert {target for _, module, target, _ in ARROWS if module == engine} - {engine} == {"options"}


def test_engines_are_imported_when_needed_alone():
    users = {(module, target, when) for _, module, target, when in ARROWS if target in {"kernels", "reference"} - {module}}
    users = {(module, target) for module, target, when in users if when != "never" and module not in WITH_ENGINES}
    assert users <= WHEN_NEEDED
    assert not [arrow for arrow in ARROWS if arrow[1:3] in WHEN_NEEDED and arrow[3] == "at once"]


@pytest.mark.parametrize("library", OWNERS)
def test_libraries_have_owners(library):
    users = {module for path, module in files() for imported, _ in imports(path) if imported.split(".")[0] == library}
    assert users <= OWNERS[library]
    assert users or library in {"torch", "jax"}


def test_slow_libraries_wait_until_they_are_needed():
    early = {
        (module, imported.split(".")[0])
        for path, module in files()
        for imported, when in imports(path)
        if when == "at once" and imported.split(".")[0] in SLOW
    }
    assert {module for module, _ in early} <= {"bench", "check", "cli", "estimators", "files", "tour"}


def loaded_after(code):
    """The top-level modules that a new process has loaded after running the code."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing():
    loaded = loaded_after("import fastmlp")
    assert "fastmlp" in loaded
    assert not loaded & {"numpy", "numba", "llvmlite", *SLOW}


def test_training_with_the_reference_needs_numpy_alone():
    loaded = loaded_after(
        "import fastmlp\nfastmlp.train([[0.0], [1.0], [2.0]], [0, 1, 1], 2, epochs=1, seed=0, engine='reference')"
    )
    assert "numpy" in loaded
    assert not loaded & {"numba", "llvmlite", *SLOW}


# What both engines have under one name; in modules of one name too, but for the passes, of which the kernels have two ways.
MIRRORED = {
    "activate": "activations",
    "activate_backward": "activations",
    "loss_backward": "losses",
    "update": "optimizers",
    "draw_orders": "orders",
    "Run": "run",
    "forward": None,
    "backward": None,
}
SAME_FILES = {"activations", "dropout", "losses", "optimizers", "orders", "run"}


def homes(engine, name):
    """The modules of an engine that define a function or a class of this name."""
    return [
        path.stem
        for path in sorted((PACKAGE / engine).glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ]


@pytest.mark.parametrize("name", MIRRORED)
def test_engines_use_the_same_names(name):
    assert callable(getattr(reference, name))
    ours, theirs = homes("kernels", name), homes("reference", name)
    assert len(ours) == len(theirs) == 1
    if MIRRORED[name] is not None:
        assert ours == theirs == [MIRRORED[name]]


def test_engines_have_the_same_files():
    ours, theirs = ({path.stem for path in (PACKAGE / engine).glob("*.py")} for engine in ("kernels", "reference"))
    assert ours & theirs - {"__init__"} == SAME_FILES
    assert {module for module in MIRRORED.values() if module} <= SAME_FILES


def test_engines_have_the_same_constants():
    for name in ("LEAK", "SELU_SCALE", "SELU_ALPHA"):
        assert getattr(curves, name) == getattr(reference.activations, name)
    assert optimizers.MOMENTS == reference.optimizers.MOMENTS
    assert set(optimizers.MOMENTS) == set(Solver)


@pytest.mark.parametrize("name", ["__init__", "advance", "order_begins_at", "snapshot", "begin_again"])
def test_runs_take_the_same_arguments(name):
    ours, theirs = (list(inspect.signature(getattr(run, name)).parameters) for run in (kernels_run.Run, reference.Run))
    assert ours == theirs


def test_runs_tell_the_same():
    case = Case(solver="none", n_samples=7, batch_size=7)
    ours, theirs = (begin(engine, case, start(case)) for engine in ("kernels", "reference"))
    public = {name for name in dir(ours) if not name.startswith("_")}
    assert {"params", "previous_params", "done", "gradient", "snapshot"} <= public
    # How many threads there are is the kernels' own business.
    assert public - {"threads"} <= set(dir(theirs))
