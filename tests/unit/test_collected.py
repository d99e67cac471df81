"""Rows for a dataset in real files: whole whatever happens, each once, with where they come from."""

from __future__ import annotations

import fcntl
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.data.collected import Collected
from backend.errors import ConflictError, WorkspaceError
from backend.workspace import ROOT, Workspace

LINEAGE = {"source": "chat", "corrected": False}


def row(question: str = "What is wheat?", answer: str = "A cereal.") -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_row_is_one_line_in_the_form_of_the_openai_api_with_its_lineage(workspace: Workspace) -> None:
    added = Collected(workspace).add("From chat", row("小麦是什么？\nSay", "一种谷物😀"), LINEAGE)
    assert added.collection.path == workspace.root / "datasets" / "collected" / "From chat.jsonl"
    assert (added.collection.name, added.collection.rows, added.duplicate) == ("From chat", 1, False)
    assert rows(added.collection.path) == [{"messages": row("小麦是什么？\nSay", "一种谷物😀"), "lineage": LINEAGE}]
    assert "小麦" in added.collection.path.read_text(encoding="utf-8")
    assert stat.S_IMODE(added.collection.path.stat().st_mode) == 0o600


def test_the_same_row_is_kept_once_and_another_answer_to_the_same_question_is_noticed(workspace: Workspace) -> None:
    collected = Collected(workspace)
    collected.add("a", row(), LINEAGE)
    again = collected.add("a", row(), {**LINEAGE, "corrected": True})
    assert (again.duplicate, again.collection.rows) == (True, 1)
    other = collected.add("a", row(answer="A plant."), LINEAGE)
    assert (other.duplicate, other.same_question, other.collection.rows) == (False, 1, 2)
    assert not collected.add("b", row(), LINEAGE).duplicate
    assert [(c.name, c.rows) for c in sorted(collected.list(), key=lambda c: c.name)] == [("a", 2), ("b", 1)]


def test_two_processes_add_at_once_and_every_row_is_there_whole_and_once(workspace: Workspace) -> None:
    writer = (
        "import sys; from backend.data.collected import Collected; from backend.workspace import open_workspace\n"
        "collected = Collected(open_workspace())\n"
        "for n in range(60):\n"
        "    for who in ('both', sys.argv[1]):\n"
        "        messages = [{'role': 'user', 'content': who * 999 + str(n)}, {'role': 'assistant', 'content': 'x'}]\n"
        "        collected.add('rows', messages, {})\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", writer, name], cwd=ROOT, stdin=subprocess.DEVNULL) for name in "ab"
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    (collection,) = Collected(workspace).list()
    said = [r["messages"][0]["content"] for r in rows(collection.path)]
    assert sorted(said) == sorted(who * 999 + str(n) for who in ("a", "b", "both") for n in range(60))


def test_a_row_that_another_process_is_adding_is_waited_for_and_noticed(workspace: Workspace) -> None:
    path = Collected(workspace).add("a", row("1"), LINEAGE).collection.path
    adder = (
        "import sys; from backend.data.collected import Collected; from backend.workspace import open_workspace\n"
        "collected = Collected(open_workspace()); print('ready', flush=True)\n"
        "messages = [{'role': 'user', 'content': '2'}, {'role': 'assistant', 'content': 'x'}]\n"
        "print(collected.add('a', messages, {}).duplicate)\n"
    )
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        child = subprocess.Popen(
            [sys.executable, "-c", adder], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        file.write(json.dumps({"messages": row("2", "x"), "lineage": LINEAGE}) + "\n")
    assert child.communicate(timeout=60)[0] == "True\n"
    assert len(rows(path)) == 2


@pytest.mark.parametrize(("end", "kept"), [('{"messages": [{"role": "us', True), ('{"messages": []}', False)])
def test_half_a_row_is_set_aside_and_a_whole_one_without_its_line_break_stays(
    workspace: Workspace, end: str, kept: bool
) -> None:
    collected = Collected(workspace)
    path = collected.add("a", row("1"), LINEAGE).collection.path
    with path.open("a") as file:
        file.write(end)
    collected.add("a", row("2"), LINEAGE)
    asked = [r["messages"][0]["content"] for r in rows(path) if r["messages"]]
    assert asked == ["1", "2"]
    assert (path.with_suffix(".torn").exists(), len(rows(path))) == (kept, 2 if kept else 3)


def test_a_full_disk_leaves_the_file_as_it_was(workspace: Workspace) -> None:
    collected = Collected(workspace)
    path = collected.add("a", row("1"), LINEAGE).collection.path
    before = path.read_bytes()
    writer = (
        "import resource, signal; from backend.data.collected import Collected; from backend.errors import WorkspaceError\n"
        "from backend.workspace import open_workspace\n"
        "collected = Collected(open_workspace())\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "messages = [{'role': 'user', 'content': 'x' * 5000}, {'role': 'assistant', 'content': 'y'}]\n"
        "try: collected.add('a', messages, {})\n"
        "except WorkspaceError as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", writer], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "workspace_full\n", done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".hidden", "a\\b", "x" * 61, "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(ConflictError, match="cannot be the name of a dataset"):
        Collected(workspace).add(name, row(), LINEAGE)
    assert Collected(workspace).list() == []


def test_the_longest_chinese_name_is_taken(workspace: Workspace) -> None:
    assert Collected(workspace).add("字" * 60, row(), LINEAGE).collection.rows == 1


@pytest.mark.parametrize("messages", [[], row(answer="  "), row()[:1]])
def test_a_row_without_an_answer_is_refused(workspace: Workspace, messages: list[dict[str, str]]) -> None:
    with pytest.raises(ConflictError, match="no answer to learn from"):
        Collected(workspace).add("a", messages, LINEAGE)


def test_a_folder_that_cannot_be_written_is_said_in_plain_words(workspace: Workspace) -> None:
    workspace.collected.parent.mkdir()
    workspace.collected.write_text("a file where the folder should be")
    with pytest.raises(WorkspaceError, match="cannot"):
        Collected(workspace).add("a", row(), LINEAGE)
    assert Collected(workspace).list() == []
