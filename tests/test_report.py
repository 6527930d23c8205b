"""The report on a small made-up file."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "bench" / "report.py"


@pytest.fixture(scope="module")
def report() -> Iterator[ModuleType]:
    # As for a script: what lies beside it can be imported.
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("bench_report", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))


def entry(table: str, library: str, threads: int, n_samples: int, median: float) -> dict[str, Any]:
    info = {
        "table": table,
        "problem": f"{table} 2-3-2, {n_samples} samples",
        "net": "2-3-2",
        "batch": "full batch",
        "dtype": "float64",
        "solver": "sgd",
        "n_samples": n_samples,
        "library": library,
        "threads": threads,
        "steps": 1,
        "arithmetic": 4800 * n_samples // 200,
        "activations": 3 * n_samples,
        "loss": 0.0713158,
    }
    return {"extra_info": info, "stats": {"median": median}}


def start(case: str, median: float) -> dict[str, Any]:
    return {"extra_info": {"problem": "start-up", "case": case}, "stats": {"median": median}}


def content(*benchmarks: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine_info": {
            "node": "a-secret-name",
            "machine": "x86_64",
            "python_version": "3.11.7",
            "cpu": {"brand_raw": "A Fine CPU", "count": 2},
            "versions": {"fastmlp": "0.1.0", "numpy": "2.4.6"},
        },
        "datetime": "2026-01-02T03:04:05.678",
        "benchmarks": benchmarks,
    }


def limit(kind: str, dtype: str, seconds: float) -> dict[str, Any]:
    return {"extra_info": {"limit": kind, "dtype": dtype, "count": 10}, "stats": {"median": 99.0, "min": 10 * seconds}}


BENCHMARKS = (
    entry("steps", "fastmlp", 0, 200, 0.5e-6),
    entry("steps", "fastmlp, 1 thread", 1, 200, 1e-6),
    entry("steps", "JAX", 2, 200, 8e-6),
    *(limit("arithmetic", dtype, 1e-10) for dtype in ("float32", "float64")),
    *(limit("activations", dtype, 2e-10) for dtype in ("float32", "float64")),
    *(limit("NumPy's tanh", dtype, 5e-10) for dtype in ("float32", "float64")),
    entry("article", "fastmlp", 1, 200, 1.5e-6),
    entry("article", "NumPy reference", 1, 200, 75e-6),
    entry("article", "NumPy reference", 2, 200, 60e-6),
    entry("article", "scikit-learn", 1, 200, 1.2e-6),
    entry("sizes", "fastmlp", 1, 200, 1.5e-6),
    entry("sizes", "fastmlp", 1, 10_000, 50e-6),
    entry("sizes", "NumPy reference", 1, 200, 45e-6),
    entry("sizes", "NumPy reference", 1, 10_000, 2.5e-3),
    entry("sizes", "a library of next year", 1, 200, 10e-6),
    start("import numpy", 0.100),
    start("import numpy, fastmlp", 0.125),
    start("first train, empty cache", 5.5),
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content(*BENCHMARKS)))
    return path


def rows_of(text: str) -> list[list[str]]:
    return [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_tables(report: ModuleType, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.main([str(results), "--figures", str(tmp_path)])
    text = capsys.readouterr().out
    assert "A Fine CPU, x86_64, 2 cores; Python 3.11.7, fastmlp 0.1.0, numpy 2.4.6; 2026-01-02" in text
    assert "secret" not in text
    rows = rows_of(text)
    # The faster of one and two threads, and a loss of ours shown as one.
    assert ["2-3-2", "200", "full batch", "float64", "1.5 us (0.07132)", "40.0x (0.07132)", "0.80x (0.07132)"] in rows
    # Missing peers leave a dash.
    assert ["2-3-2", "200", "full batch", "float64", "1.5 us (0.07132)", "30.0x (0.07132)", "6.67x (0.07132)"] in rows
    assert ["2-3-2", "10,000", "full batch", "float64", "50 us (0.07132)", "50.0x (0.07132)", "-"] in rows
    assert ["import fastmlp, beyond NumPy's own import", "25 ms"] in rows
    # 4,800 operations at 0.1 ns and 600 values of tanh at 0.2 ns make 0.6 us.
    assert ["2-3-2", "full batch", "sgd", "float64", "0.5 us", "1 us", "60 %", "16.0x"] in rows
    assert "10 GFLOP/s, 0.20 ns a value of tanh (NumPy's: 0.50) in float32" in text
    assert ["first train, empty cache", "5.5 s"] in rows


def test_chart(report: ModuleType, results: Path, tmp_path: Path) -> None:
    report.main([str(results), "--figures", str(tmp_path / "new" / "figures")])
    for name in ("sizes-float64", "speed-ups"):
        chart = (tmp_path / "new" / "figures" / f"{name}.png").read_bytes()
        assert chart.startswith(b"\x89PNG")
        assert len(chart) > 10_000


def test_readme_block_is_replaced(report: ModuleType, results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        report.main([str(results), "--readme", str(readme), "--figures", str(tmp_path / "figures")])
        text = readme.read_text()
        assert text.startswith(f"before\n{report.BEGIN}\nMeasured on: A Fine CPU")
        assert text.endswith(f"</details>\n{report.END}\nafter\n")
        assert "old" not in text
        assert "](figures/sizes-float64.png)" in text
        assert "](figures/speed-ups.png)" in text


def test_a_problem_without_fastmlp_shows_times(report: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content(entry("article", "scikit-learn", 1, 200, 70e-6))))
    results = report.load(path)
    assert rows_of(report.compose(results, {}, tmp_path))[-1][-2:] == ["-", "70 us (0.07132)"]


def test_start_up_alone_draws_nothing(report: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content(start("import numpy", 0.1))))
    assert report.draw_all(report.load(path), tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", '{"benchmarks": 3}', json.dumps({"benchmarks": [{"extra_info": {}}]}), json.dumps(content())],
)
def test_wrong_file(report: ModuleType, tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"^report: .*wrong\.json.*--benchmark-json"):
        report.main([str(path), "--figures", str(tmp_path / "figures")])
    assert not (tmp_path / "figures").exists()


def test_missing_file(report: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"none\.json cannot be read: No such file"):
        report.main([str(tmp_path / "none.json")])


def test_readme_without_marks(report: ModuleType, results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here\n")
    with pytest.raises(SystemExit, match="must hold the lines"):
        report.main([str(results), "--readme", str(readme), "--figures", str(tmp_path / "figures")])
    assert readme.read_text() == "nothing here\n"
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-6, "1.23 us"),
        (4.56e-8, "0.0456 us"),
        (0.000456, "456 us"),
        (0.0789, "78.9 ms"),
        (12.34, "12.3 s"),
        (250.0, "250 s"),
    ],
)
def test_durations(report: ModuleType, seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_it_runs_as_a_script_without_the_package(results: Path, tmp_path: Path) -> None:
    imports = [line for line in SCRIPT.read_text().splitlines() if line.startswith(("import ", "from "))]
    modules = {line.split()[1].split(".")[0] for line in imports}
    assert modules <= sys.stdlib_module_names | {"drawing"}
