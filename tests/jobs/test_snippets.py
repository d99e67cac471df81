"""The examples of the Connect tab, run as a person would run them: the text that the page shows, as a program of its own,
with the key in the environment, against a real panel and its gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import playwright
import pytest

from backend.deploy.connect import KEY_VARIABLE, Snippet, export, snippets
from backend.queue.store import open_store
from backend.web.keys import Keys
from backend.workspace import Workspace
from tests.support.panel import Panel
from tests.support.served import served
from tests.support.stub_openai import Stub, stub

MODEL = """it's a "model" $HOME \\n 模型"""
PROMPT = """Don't say "no": $1 `id` 你好"""
SAID = f"You said: {PROMPT}"
NODE = Path(playwright.__file__).parent / "driver" / "node"
"""Playwright brings a Node.js along."""
NAMES = [snippet.name for snippet in snippets("", "", "")]


@pytest.fixture(scope="module")
def key(home: Workspace) -> str:
    return Keys(home).create("snippets")[1]


@pytest.fixture(scope="module")
def model(home: Workspace) -> Iterator[Stub]:
    """A model with a name that every kind of quoting has to survive."""
    store = open_store(home)
    with stub(MODEL) as running, served(store, running.server):
        yield running
    store.close()


def shown(panel: Panel, name: str, prompt: str = PROMPT) -> Snippet:
    return next(found for found in snippets(panel.url, MODEL, prompt) if found.name == name)


def run(
    snippet: Snippet, key: str, folder: Path, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The example as a program in ``folder``, with nothing of ours on its path; ``more`` of its environment."""
    shell = {"bash": ["bash", "-euc"], "python": [sys.executable, "-c"]}
    if snippet.language == "javascript":
        (folder / "example.mjs").write_text(snippet.text, encoding="utf-8")
        command = [str(NODE), "example.mjs"]
    else:
        command = [*shell[snippet.language], snippet.text]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", KEY_VARIABLE: key, **(more or {})}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def answer(snippet: Snippet, out: str) -> str:
    """What the model said: curl prints the JSON that holds it."""
    if snippet.language != "bash":
        return out.removesuffix("\n")
    data: dict[str, Any] = json.loads(out)
    return str(data["response"] if "response" in data else data["choices"][0]["message"]["content"])


@pytest.fixture
def old_client(tmp_path: Path) -> Path:
    """A folder with LMDeploy's own client, from the last version that had it; not the engine with its gigabytes."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(tmp_path / "wheel"), "lmdeploy==0.17.0"]
    got = subprocess.run(command, capture_output=True, text=True)
    if got.returncode:
        assert not os.environ.get("CI"), got.stderr
        pytest.skip("the package index has no lmdeploy 0.17.0 here, or cannot be reached")
    package = tmp_path / "old" / "lmdeploy"
    (package / "serve" / "openai").mkdir(parents=True)
    for folder in (package, package / "serve", package / "serve" / "openai"):
        (folder / "__init__.py").touch()
    # All that the client takes from the rest of LMDeploy, whose import would load torch.
    (package / "utils.py").write_text("from logging import getLogger as get_logger\n")
    with zipfile.ZipFile(next((tmp_path / "wheel").glob("*.whl"))) as wheel:
        inside = "lmdeploy/serve/openai/api_client.py"
        (package.parent / inside).write_bytes(wheel.read(inside))
    return package.parent


@pytest.mark.slow
def test_the_example_of_lmdeploys_old_client_prints_the_answer(
    panel: Panel, model: Stub, key: str, tmp_path: Path, old_client: Path
) -> None:
    done = run(shown(panel, "lmdeploy"), key, tmp_path, {"PYTHONPATH": str(old_client)})
    assert (done.returncode, done.stdout) == (0, SAID + "\n"), done.stderr


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lmdeploy"])
def test_the_example_prints_the_answer(panel: Panel, model: Stub, key: str, tmp_path: Path, name: str) -> None:
    if name.endswith("curl"):
        assert shutil.which("curl"), "curl is missing"
    snippet = shown(panel, name)
    done = run(snippet, key, tmp_path)
    assert (done.returncode, answer(snippet, done.stdout)) == (0, SAID), done.stderr
    asked = model.requests()[-1]
    assert (asked["model"], asked["messages"]) == (MODEL, [{"role": "user", "content": PROMPT}])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("lmdeploy", "curl", "simple-curl")])
def test_with_a_wrong_key_the_example_fails_and_says_so(panel: Panel, tmp_path: Path, name: str) -> None:
    done = run(shown(panel, name), "td-wrong", tmp_path)
    assert done.returncode != 0
    assert "401" in done.stderr or "not known" in done.stderr


def test_the_line_that_sets_the_key_sets_it_for_what_follows(
    panel: Panel, model: Stub, key: str, tmp_path: Path
) -> None:
    snippet = shown(panel, "curl")
    done = run(replace(snippet, text=f"{export(key)}\n{snippet.text}"), "td-wrong", tmp_path)
    assert answer(snippet, done.stdout) == SAID


def test_no_example_holds_a_key(key: str) -> None:
    assert [s.name for s in snippets("http://127.0.0.1:8501", MODEL, PROMPT) if KEY_VARIABLE not in s.text] == []
    assert export() == f"export {KEY_VARIABLE}=..."
