"""The table of the benchmarks: what it prints, writes and calls missed."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

from tests.bench import table

BENCHES = sorted(table.HERE.glob("bench_*.py"))
ROWS: list[table.Row] = [
    {"what": "plain", "value": 3134.4, "unit": "words/s"},
    {"what": "through us", "value": 0.98123, "unit": "s", "ratio": 0.98, "goal": ">= 0.95 x plain", "ok": True},
    {"what": "too slow", "value": 12, "unit": "ms", "goal": "at most 5 ms", "ok": False},
]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """A folder with one benchmark in it, and a report of its own."""
    (tmp_path / "bench_it.py").touch()
    module = ModuleType("tests.bench.bench_it", "What is measured.\n\nHow.")
    module.measure = lambda: ROWS  # type: ignore[attr-defined]
    monkeypatch.setattr(table, "HERE", tmp_path)
    monkeypatch.setattr(table, "REPORT", tmp_path / "benchmarks.md")
    monkeypatch.setattr(table.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(Path, "relative_to", lambda self, *_: self)
    return module


def test_a_run_prints_its_table_writes_it_and_says_what_was_missed(
    bench: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table.main([]) == 1
    printed = capsys.readouterr().out
    assert "  plain       3,134 words/s\n" in printed
    assert "Missed: too slow" in printed
    written = table.REPORT.read_text(encoding="utf-8")
    assert "## What is measured." in written
    assert "| through us | 0.981 s | 0.98 x | >= 0.95 x plain | yes |" in written
    assert "| too slow | 12 ms |  | at most 5 ms | NO |" in written


def test_a_part_is_printed_but_not_written(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    table.main(["it"])
    assert "through us" in capsys.readouterr().out
    assert not table.REPORT.exists()


def test_a_broken_part_leaves_the_last_report_alone(bench: ModuleType) -> None:
    bench.measure = lambda: 1 / 0  # type: ignore[attr-defined]
    assert table.main([]) == 1
    assert not table.REPORT.exists()


def test_a_part_that_is_not_there_is_said(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main(["rocket"]) == 1
    assert "Nothing here is called rocket. There is: it" in capsys.readouterr().out


@pytest.mark.parametrize("path", BENCHES, ids=lambda p: p.stem)
def test_every_benchmark_says_what_it_measures_and_can_be_called(path: Path) -> None:
    module = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(module)
    assert [f.name for f in module.body if isinstance(f, ast.FunctionDef) and f.name == "measure" and not f.args.args]
