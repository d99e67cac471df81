"""Logs as files and pipes: huge, in other encodings, missing; and the command line over them. Real files and processes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.diagnosis import ROWS, diagnose, reading
from backend.diagnosis.matcher import find
from backend.errors import PanelError
from backend.workspace import ROOT
from tests.support.log_shapes import NOISE

DATA = ROOT / "tests" / "data" / "diagnosis"
OOM = (DATA / "gpu_out_of_memory.log").read_text(encoding="utf-8")
LINE = next(n for n, line in enumerate(OOM.split("\n"), 1) if line.startswith("torch.OutOfMemoryError"))


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Diagnose = Callable[..., Said]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """The command, as a shell gives it its arguments and input."""
    monkeypatch.setenv("TUNEDECK_LANGUAGE", "en")

    def run(*args: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        # The command sets a language for its thread: not for this one.
        code = copy_context().run(main, ["diagnose", *args])
        return Said(code, *capsys.readouterr())

    return run


def found(cli: Diagnose, *args: str, stdin: bytes = b"") -> Any:
    result = cli(*args, "--json", stdin=stdin)
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_it_runs_as_a_program_and_reads_a_pipe() -> None:
    program = [sys.executable, "-m", "backend", "diagnose", "-", "--json"]
    result = subprocess.run(program, input=OOM.encode(), capture_output=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    (first,) = json.loads(result.stdout)
    assert (first["code"], first["evidence"]["line"]) == ("gpu_out_of_memory", LINE)


def test_the_command_prints_one_list_with_cause_evidence_and_fixes(cli: Diagnose) -> None:
    first, *_rest = found(cli, str(DATA / "gpu_out_of_memory.log"))
    assert set(first) == {"code", "cause", "evidence", "fixes"}
    assert first["code"] == "gpu_out_of_memory"
    assert "1.21 GiB" in first["cause"]
    assert first["evidence"]["line"] == LINE
    assert first["fixes"][0]["kind"] == "spec"


def test_nothing_known_is_an_empty_list_and_no_failure(cli: Diagnose) -> None:
    assert found(cli, str(DATA / "harmless" / "training.log")) == []
    assert found(cli, "-", stdin=b"") == []
    told = cli(str(DATA / "harmless" / "training.log"))
    assert told.code == 0
    assert "No known cause" in told.out


def test_standard_input_exit_code_and_engine(cli: Diagnose) -> None:
    assert [f["code"] for f in found(cli, "-", stdin=OOM.encode())] == ["gpu_out_of_memory"]
    assert [f["code"] for f in found(cli, "-", "--exit-code", "137", stdin=b"loading\n")] == ["killed"]
    assert [f["code"] for f in found(cli, "-", "--exit-code", "-9", stdin=b"loading\n")] == ["killed"]
    assert found(cli, "-", "--engine", "lmdeploy", stdin=b"KeyError: 'conversation'\n") == []


def test_a_person_reads_the_cause_the_line_and_what_helps(cli: Diagnose) -> None:
    said = cli(str(DATA / "torchrun_missing.log")).out
    assert "torchrun was not found" in said
    assert "Line 10: FileNotFoundError" in said
    assert "      export PATH=" in said


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing.log", "log_missing", "There is no file"),
        ("folder", "log_is_folder", "is a folder"),
        ("model.safetensors", "log_not_text", "is not a text file"),
    ],
)
def test_what_cannot_be_read_is_said(cli: Diagnose, tmp_path: Path, name: str, code: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    result = cli(str(tmp_path / name), "--json")
    assert result.code == 1
    error = json.loads(result.out)["error"]
    assert (error["code"], words in error["message"], bool(error["hint"])) == (code, True, True)
    assert words in cli(str(tmp_path / name)).err


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    # /proc/self/mem opens for everybody and cannot be read at its beginning, not even by root.
    with pytest.raises(PanelError) as raised:
        reading.read(Path("/proc/self/mem"))
    assert raised.value.code == "log_unreadable"


def huge(path: Path, mib: int, *, before: str = "", after: str = "") -> int:
    """Write noise of about ``mib`` MiB between two texts; returns the number of its lines."""
    block = "".join(NOISE.format(n=n % 1920) + "\n" for n in range(20_000))
    times = (mib << 20) // len(block) + 1
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for _time in range(times):
            file.write(block)
        file.write(after)
    return times * 20_000


def test_the_end_of_a_huge_log_is_found_with_its_line_number(tmp_path: Path) -> None:
    log = tmp_path / "attempt-1.log"
    lines = huge(log, 200, after=OOM)
    began = time.process_time()
    (first,) = diagnose(log)
    # Processor time: a busy machine must not fail it. Most of it goes into counting the lines.
    assert time.process_time() - began < 2
    assert (first.code, first.line) == ("gpu_out_of_memory", lines + LINE)
    began = time.process_time()
    (again,) = diagnose(log, count_up_to=1 << 20)
    assert time.process_time() - began < 1
    assert (again.code, again.line) == ("gpu_out_of_memory", None)
    with log.open("rb") as pipe:
        (piped,) = find(reading.read_stream(pipe, "-"), ROWS)
    assert piped.line == lines + LINE


def test_the_beginning_is_read_too_and_the_middle_is_not(tmp_path: Path) -> None:
    text = "ModuleNotFoundError: No module named 'mmengine'\n"
    log = tmp_path / "a.log"
    noise = "INFO  nothing\n" * 200_000
    log.write_text(text + noise)
    assert [(f.code, f.line) for f in diagnose(log)] == [("module_missing", 1)]
    log.write_text(noise + text + noise)
    assert log.stat().st_size > reading.HEAD_BYTES + reading.TAIL_BYTES
    assert diagnose(log) == []


def test_one_line_without_an_end_is_no_trouble(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x" * (3 << 20) + "\nMemoryError\n")
    assert [(f.code, f.line) for f in diagnose(log)] == [("machine_out_of_memory", 2)]


@pytest.mark.parametrize("unit", [" ", "a:", "│ ", "[0]", "Error: ", "Retrying (Retry(total=", "size mismatch for "])
def test_no_log_makes_it_slow(tmp_path: Path, unit: str) -> None:
    log = tmp_path / "a.log"
    line = (unit * 4000)[:3900]
    log.write_text("".join(f"{line}{chr(97 + n % 26) * (n // 26)}\n" for n in range(400)))
    began = time.process_time()
    diagnose(log)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "latin-1"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = "größer: naïve café\n" if encoding in ("latin-1", "utf-16-le") else "加载模型：请稍候，路径 /数据/模型\n"
    log = tmp_path / "a.log"
    log.write_bytes((text * 3 + OOM).encode(encoding, "replace"))
    assert [(f.code, f.line) for f in diagnose(log)] == [("gpu_out_of_memory", LINE + 3)]
    log.write_bytes((text * 200_000 + OOM).encode(encoding, "replace"))
    # The bytes of a line's end are parts of other characters there.
    line = None if encoding.startswith("utf-16") else LINE + 200_000
    assert [(f.code, f.line) for f in diagnose(log)] == [("gpu_out_of_memory", line)]


def test_a_progress_bar_counts_as_one_line_and_its_colours_as_none(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    bar = "".join(f"\rLoading: {n}%" for n in range(100))
    log.write_bytes(f"\x1b[32m{bar}\x1b[0m\r\n\x1b[31mMemoryError\x1b[0m\r\n\x00\x00".encode())
    assert [(f.code, f.line, f.text) for f in diagnose(log)] == [("machine_out_of_memory", 2, "MemoryError")]
