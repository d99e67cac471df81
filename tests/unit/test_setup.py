"""`make setup` in small: real environments, real pip, three tiny packages from a folder instead of the index."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.wait import until

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "setup.py"
FIND_PYTHON = SETUP.with_name("find_python.sh")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with blanks in its name that has requirement files, beside the wheels that they ask for."""
    for name in ("torch", "panel-part", "test-tool"):
        for version in ("1.0", "2.0"):
            wheel(tmp_path / "wheels", name, version)
    folder = tmp_path / "my checkout"
    folder.mkdir()
    (folder / "requirements.txt").write_text("torch==1.0\npanel-part==1.0\n")
    (folder / "requirements-dev.txt").write_text("test-tool==1.0\n")
    (folder / "constraints.txt").write_text("torch==1.0\n")
    return folder


def wheel(folder: Path, name: str, version: str) -> None:
    """An empty package, as an index would give it."""
    folder.mkdir(exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{module}.py", f"version = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def environment(checkout: Path, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    return (
        clean
        | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout.parent / "wheels"), "PIP_CONFIG_FILE": os.devnull}
        | more
    )


def call(checkout: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SETUP), "--root", str(checkout), "--env", str(checkout / ".venv"), *options]
    return subprocess.run(command, env=environment(checkout, **more), capture_output=True, text=True)


def version(checkout: Path, module: str) -> str:
    program = f"import {module}; print({module}.version)"
    result = subprocess.run([checkout / ".venv/bin/python", "-c", program], capture_output=True, text=True)
    return result.stdout.strip()


def test_setup_installs_shows_its_steps_and_does_nothing_the_second_time(checkout: Path) -> None:
    first = call(checkout)
    assert first.returncode == 0, first.stderr
    assert "[1/4] environment" in first.stdout
    assert "[2/4] torch==1.0" in first.stdout
    assert "Ready in 0:" in first.stdout
    assert (version(checkout, "torch"), version(checkout, "panel_part")) == ("1.0", "1.0")
    second = call(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")

    # The tools of the tests come on top, without the base being done again.
    tools = call(checkout, "--dev")
    assert tools.returncode == 0, tools.stderr
    assert "torch==1.0" not in tools.stdout
    assert version(checkout, "test_tool") == "1.0"
    assert call(checkout).stdout == ""

    # A changed requirement is followed.
    (checkout / "requirements.txt").write_text("torch==1.0\npanel-part==2.0\n")
    assert call(checkout).returncode == 0
    assert version(checkout, "panel_part") == "2.0"


def test_an_environment_that_lost_its_python_is_made_anew(checkout: Path) -> None:
    assert call(checkout).returncode == 0
    for link in (checkout / ".venv/bin").glob("python*"):
        link.unlink()
    again = call(checkout)
    assert again.returncode == 0, again.stderr
    assert version(checkout, "torch") == "1.0"


def test_an_index_out_of_reach_is_one_plain_sentence_and_a_log(checkout: Path) -> None:
    # Nothing listens on port 9 of loopback.
    outcome = call(checkout, PIP_NO_INDEX="", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert outcome.returncode == 1
    assert "The package index cannot be reached." in outcome.stderr
    assert str(checkout / ".venv" / "setup.log") in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert call(checkout).returncode == 0, "the next call goes on from there"


def test_a_package_that_the_index_lacks_is_named(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("torch==1.0\nnot-there==3.0\n")
    outcome = call(checkout)
    assert outcome.returncode == 1
    assert "The package index does not offer not-there==3.0 for this machine." in outcome.stderr


def test_a_setup_that_was_interrupted_goes_on(checkout: Path) -> None:
    # An index that never answers: a socket that nobody reads.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        command = [sys.executable, str(SETUP), "--root", str(checkout), "--env", str(checkout / ".venv")]
        env = environment(checkout, PIP_NO_INDEX="", PIP_INDEX_URL=url)
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            log = checkout / ".venv" / "setup.log"
            until(lambda: log.exists() and "Looking in" in log.read_text(), 30, "pip is at work")
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 130
    assert "The same command goes on from here." in stderr
    assert call(checkout).returncode == 0
    assert version(checkout, "panel_part") == "1.0"


def test_two_setups_at_once_take_turns(checkout: Path) -> None:
    command = [sys.executable, str(SETUP), "--root", str(checkout), "--env", str(checkout / ".venv")]
    both = [
        subprocess.Popen(command, env=environment(checkout), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = sorted((p.communicate(timeout=100)[0] for p in both), key=len)
    assert [p.returncode for p in both] == [0, 0]
    assert outputs[0] == "Another setup is at work on this folder; waiting for it.\n"
    assert version(checkout, "torch") == "1.0"


def find_python(path: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell
    env = {"PATH": str(path), "PYTHON": python}
    return subprocess.run([shell, str(FIND_PYTHON)], env=env, capture_output=True, text=True, cwd=path)


def test_a_machine_without_a_fitting_python_is_told_what_to_install(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\necho 3.9.2\n')
    old.chmod(0o755)
    outcome = find_python(tmp_path)
    assert outcome.returncode == 1
    assert "TuneDeck needs Python 3.11 or 3.12" in outcome.stderr
    assert "python3 (3.9.2)" in outcome.stderr
    assert "make setup PYTHON=" in outcome.stderr


def test_a_python_can_be_named_by_hand(tmp_path: Path) -> None:
    outcome = find_python(tmp_path, sys.executable)
    assert outcome.returncode == 0, outcome.stderr
    assert Path(outcome.stdout.strip()).resolve() == Path(sys.executable).resolve()
