"""The models that are shipped, in every transformers that an engine brings: the same prompts and the same answers.

The engines' environments are those of the person who runs the tests, those in the folder TUNEDECK_TEST_ENVIRONMENTS (see
tests/engines), and those whose interpreters are named in TUNEDECK_TEST_PYTHONS, separated by colons. A version that none of
them has is skipped, and the reason says how to get it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from backend.workspace import ROOT, default_root
from jobs.starter import tokenizer as tok
from tests.support import other_environment

STARTER, TINY = (str(ROOT / "models" / name) for name in ("starter", "tiny"))
NEEDED = {
    "4.48": ("XTuner", "torch==2.13.0 transformers==4.48.0"),
    "4.57": ("OpenCompass", "torch==2.13.0 transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2"),
}
"""transformers -> the engine that needs it, and what to install for this test."""


@cache
def _run(python: str) -> subprocess.CompletedProcess[str]:
    """:mod:`tests.support.other_environment` as ``python`` runs it, offline and without our packages."""
    return subprocess.run(
        [python, "-I", "-B", str(other_environment.__file__), STARTER, TINY],
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def seen(python: str) -> dict[str, Any]:
    """What it printed; fails with its last words where it ended early."""
    done = _run(python)
    assert done.returncode == 0, f"{python} ended with {done.returncode}:\n{done.stderr[-4000:]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _transformers(python: str) -> str:
    """Its version where ``python`` runs; empty where there is none."""
    code = "from importlib.metadata import version; print(version('transformers'))"
    try:
        done = subprocess.run([python, "-I", "-B", "-c", code], capture_output=True, text=True, timeout=30)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _environments() -> list[Any]:
    """One parameter per interpreter, and a skipped one per version that is needed and not there.

    Called while tests are collected: later, ``TUNEDECK_`` variables are gone. An interpreter that was named stays in,
    so that its test fails, where it has no transformers.
    """
    named = [path for path in os.environ.get("TUNEDECK_TEST_PYTHONS", "").split(":") if path]
    found = {path: _transformers(path) for path in named}
    homes = [default_root() / "environments", *map(Path, filter(None, [os.environ.get("TUNEDECK_TEST_ENVIRONMENTS")]))]
    for path in sorted(
        path for home in homes for way in ("current/bin", "bin") for path in home.glob(f"*/{way}/python")
    ):
        if has := _transformers(str(path)):
            found[str(path)] = has
    params = [pytest.param(path, id=has or path) for path, has in found.items()]
    for needed, (engine, packages) in NEEDED.items():
        if not any(has.startswith(f"{needed}.") for has in found.values()):
            reason = (
                f"no environment with transformers {needed} ({engine}); to get one: python3.11 -m venv ENV && "
                f"ENV/bin/pip install {packages}, then TUNEDECK_TEST_PYTHONS=ENV/bin/python"
            )
            params.append(pytest.param("", id=needed, marks=pytest.mark.skip(reason)))
    return params


@pytest.mark.parametrize("folder", [STARTER, TINY], ids=["starter", "tiny"])
def test_the_base_reads_a_prompt_as_the_tokenizer_by_itself_does(folder: str) -> None:
    base = seen(sys.executable)
    assert base["versions"]["transformers"] == version("transformers")
    tokenizer = tok.load(Path(folder))
    for chat in base["models"][folder].values():
        assert chat["prompt"] == tokenizer.encode(chat["text"], add_special_tokens=False).ids


def test_the_base_answers_and_stops() -> None:
    chats = seen(sys.executable)["models"][STARTER]
    assert "Paris" in chats["English"]["answer"]
    assert "TuneDeck starter" in chats["Chinese"]["answer"]
    assert '"description": "Adds two numbers. 两数之和"' in chats["with a function"]["text"]
    stops = json.loads((Path(STARTER) / "generation_config.json").read_text())["eos_token_id"]
    assert all(chats[name]["written"][-1] in stops for name in ("English", "Chinese"))


@pytest.mark.parametrize("folder", [STARTER, TINY], ids=["starter", "tiny"])
@pytest.mark.parametrize("python", _environments())
def test_an_engine_reads_and_answers_as_the_base_does(python: str, folder: str) -> None:
    here, there = (seen(each)["models"][folder] for each in (sys.executable, python))
    for name, chat in here.items():
        assert there[name]["text"] == chat["text"], name
        assert there[name]["prompt"] == chat["prompt"], name
        assert there[name]["written"] == chat["written"], name
        assert there[name]["answer"] == chat["answer"], name
