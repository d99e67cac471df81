"""A conversation as a file: JSON that holds everything, Markdown that can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from backend import i18n
from backend.chat import export
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.chat.uploads import check
from backend.errors import NotFoundError
from backend.workspace import ROOT, Workspace
from tests.support.talk import Talk, living


@pytest.fixture
def talk(workspace: Workspace) -> Iterator[Talk]:
    """Two turns, of which the second was edited and the first answered again."""
    opened = Conversations(workspace)
    with living(opened) as owner:
        talk = Talk(opened, owner)
        talk.say("What is wheat?", "A *cereal*.", params=ChatParams(system="Be brief", seed=7))
        second = talk.say("什么？", "Old branch.")
        talk.say("Where?", "In fields.", params=ChatParams(system="Be brief", seed=7), instead_of=second.id)
        yield talk
    opened.close()


def as_json(talk: Talk) -> dict[str, Any]:
    """What a reader of the file gets."""
    data: dict[str, Any] = json.loads(json.dumps(export.to_json(talk.talks, talk.id)))
    return data


def test_json_holds_every_branch_with_settings_and_figures(talk: Talk) -> None:
    data = as_json(talk)
    assert (data["format"], data["title"], data["model"]) == ("tunedeck-conversation", "What is wheat?", "m")
    assert data["params"]["seed"] == 7
    tree = [(m["role"], m["content"], m["parent"], m["shown"]) for m in data["messages"]]
    assert tree == [
        ("user", "What is wheat?", None, True),
        ("assistant", "A *cereal*.", 1, True),
        ("user", "什么？", 2, False),
        ("assistant", "Old branch.", 3, False),
        ("user", "Where?", 2, True),
        ("assistant", "In fields.", 5, True),
    ]
    assert {"model", "params", "completion_tokens", "ttft_s", "tokens_s", "state", "created"} <= data["messages"][
        1
    ].keys()
    assert data["shown"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "What is wheat?"},
        {"role": "assistant", "content": "A *cereal*."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "In fields."},
    ]


def test_markdown_shows_the_branch_first_and_then_the_others_where_they_part(talk: Talk) -> None:
    text = export.to_markdown(talk.talks, talk.id)
    assert text.startswith("# What is wheat?\n\nm · ")
    assert "> Be brief" in text
    order = ["## 1. You\n\nWhat is wheat?", "## 2. Answer\n\nA *cereal*.\n\n*m*", "## 3. You\n\nWhere?",
             "## 4. Answer\n\nIn fields.", "# Other branches", "## After message 2", "### You\n\n什么？",
             "### Answer\n\nOld branch."]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_branches_of_the_first_message_and_branches_of_branches_are_all_there(talk: Talk) -> None:
    first = talk.talks.messages(talk.id)[0]
    talk.say("Other start", "Other answer", instead_of=first.id)
    text = export.to_markdown(talk.talks, talk.id)
    assert text.count("## From the start") == 1
    for said in ("A *cereal*.", "Old branch.", "In fields.", "Other answer"):
        assert text.count(said) == 1


def test_an_answer_without_its_end_says_so(talk: Talk) -> None:
    _, answer = talk.answers.ask(talk.id, "And?", model="m", params=ChatParams(), owner="gone")
    with talk.talks.write() as db:
        db.execute("UPDATE messages SET content = 'Half of' WHERE id = ?", (answer.id,))
    assert "Half of\n\n*m · interrupted*" in export.to_markdown(talk.talks, talk.id)
    assert export.to_json(talk.talks, talk.id)["messages"][-1]["state"] == "interrupted"


def test_files_that_came_with_a_message_are_named(talk: Talk) -> None:
    upload = check("notes.txt", "小麦".encode())
    prompt, _ = talk.answers.ask(talk.id, "Read", model="m", params=ChatParams(), owner="gone", files=[upload])
    assert "You\n\n- `notes.txt`\n\nRead" in export.to_markdown(talk.talks, talk.id)
    (message,) = [m for m in as_json(talk)["messages"] if m["id"] == prompt.id]
    assert message["attachments"][0]["name"] == "notes.txt"


def test_headings_are_in_the_persons_language(talk: Talk) -> None:
    i18n.use("zh_CN")
    assert "**System prompt**" not in export.to_markdown(talk.talks, talk.id)


@pytest.mark.parametrize(
    ("title", "name"),
    [("小麦: what/is it?", "小麦 what is it.md"), ("../..", "{id}.md"), ("x" * 200, "x" * 60 + ".md")],
)
def test_the_file_has_a_name_that_every_system_takes(talk: Talk, title: str, name: str) -> None:
    talk.talks.rename(talk.id, title)
    assert export.file_name(talk.talks.get(talk.id), "md") == name.format(id=talk.id)


def test_a_conversation_that_is_not_there_is_said(talk: Talk) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        export.to_json(talk.talks, "nothing")


def backend(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", "conversations", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_command_line_lists_finds_and_exports(talk: Talk) -> None:
    assert [c["id"] for c in json.loads(backend("list", "--json").stdout)] == [talk.id]
    (hit,) = json.loads(backend("search", "CEREAL", "--json").stdout)
    assert (hit["id"], hit["count"], hit["places"][0]["match"]) == (talk.id, 1, "cereal")
    assert backend("export", talk.id).stdout == export.to_markdown(talk.talks, talk.id)
    assert json.loads(backend("export", talk.id, "--format", "json").stdout) == as_json(talk)
    missing = backend("export", "nothing", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["error"]["code"]) == (1, "conversation_unknown")
