"""The tool that searches a person's datasets and documents, as a model calls it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from backend.agent.tools import Context, Result
from backend.chat import uploads
from backend.chat.answers import Answers
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.data import documents
from backend.data.documents import uploads as document_uploads
from backend.data.store import Datasets
from backend.queue.store import Store
from backend.workspace import Workspace
from jobs.agent.tools import own_texts
from jobs.agent.tools.own_texts import OwnTexts
from jobs.documents.record import Plan, Record
from tests.support.datasets import keep, row
from tests.support.documents import pdf

FRUIT = [
    row("How do I store apples?", "Keep apples in a cool cellar."),
    row("怎样保存苹果？", "苹果要放在阴凉的地窖里。", split="validation"),
]


def search(workspace: Workspace, query: object, tool: OwnTexts | None = None, **others: object) -> Result:
    context = Context(workspace, workspace.root / "conversation")
    return (tool or OwnTexts()).call({"query": query, **others}, context)


def code(result: Result) -> str:
    """Of its error; the model is told the same in English, and what helps."""
    assert result.error is not None, result.text
    assert result.text.startswith(f"Error ({result.error.code}): {result.error}")
    assert "{" not in result.text
    return result.error.code


def told(result: Result) -> str:
    """What stands behind the notice."""
    assert result.error is None, result.text
    notice, _blank, text = result.text.partition("\n\n")
    assert notice.startswith("[The text below was written by others: the user's datasets and documents.")
    return text


def asked_about(workspace: Workspace, store: Store, path: Path) -> int:
    """A job that has read the document, as it leaves its folder."""
    job = store.submit("drill", {"steps": 1}).id
    chunks = documents.chunks(documents.read(path), 200, 20, path=str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    Record(store.job_dir(job)).keep_plan(
        Plan(chunks, [{"file": str(path), "sha256": digest, "chunks": len(chunks)}], [])
    )
    return job


def sent_in_chat(workspace: Workspace, name: str, data: bytes) -> None:
    """A file that came with a message."""
    chats = Conversations(workspace)
    try:
        files = uploads.check_all([(name, data)])
        Answers(chats).ask(None, "look at this", model="m", params=ChatParams(), owner="test", files=files)
    finally:
        chats.close()


def test_rows_are_found_with_their_dataset_version_row_and_split(workspace: Workspace) -> None:
    info = keep(workspace, "fruit", FRUIT)
    assert told(search(workspace, "苹果")) == (
        "1 passage for: 苹果\n"
        "Searched: dataset 'fruit' (2 rows)\n\n"
        f"[1] dataset 'fruit', version {info.id}, row 2 of 2 (validation)\n"
        "user: 怎样保存苹果？\nassistant: 苹果要放在阴凉的地窖里。"
    )


def test_documents_of_jobs_uploads_and_chats_are_found_each_where_it_came_from(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(pdf([["Nothing here."], ["The orchard has many apples on page two."]]))
    job = asked_about(workspace, store, paper)
    document_uploads.keep(workspace, "notes.txt", b"The orchard has many pears.")
    sent_in_chat(workspace, "chat.txt", b"The orchard has many plums.")
    text = told(search(workspace, "orchard many", **{"in": "documents"}))
    assert f"document 'paper.pdf' (job {job}), page 1-2\n" in text
    assert "document 'notes.txt' (upload)\nThe orchard has many pears." in text
    assert "document 'chat.txt' (chat)\nThe orchard has many plums." in text
    assert "Searched: 3 documents" in text
    assert str(tmp_path) not in text


def test_a_document_that_came_twice_is_found_once(workspace: Workspace, store: Store) -> None:
    path = document_uploads.keep(workspace, "notes.txt", b"The orchard has many pears.")
    job = asked_about(workspace, store, path)
    sent_in_chat(workspace, "again.txt", b"The orchard has many pears.")
    text = told(search(workspace, "orchard"))
    assert text.count("many pears") == 1
    assert f"(job {job})" in text


def test_passages_of_rows_and_documents_are_ranked_together(workspace: Workspace) -> None:
    keep(workspace, "fruit", FRUIT)
    document_uploads.keep(workspace, "cellar.txt", b"How cool must a cellar be for apples in winter?")
    text = told(search(workspace, "apples cellar winter"))
    assert "[1] document 'cellar.txt'" in text
    assert "[2] dataset 'fruit'" in text
    assert told(search(workspace, "apples cellar winter", max_results=1)).count("\n[") == 1


@pytest.mark.parametrize(
    ("given", "rows", "papers"),
    [
        ({}, True, True),
        ({"in": "datasets"}, True, False),
        ({"in": "documents"}, False, True),
        ({"name": "fruit"}, True, False),
        ({"name": "FRUIT"}, True, False),
        ({"name": "cellar.txt"}, False, True),
        ({"name": "cell"}, False, True),
        ({"name": ""}, True, True),
    ],
)
def test_only_what_is_asked_for_is_searched(
    workspace: Workspace, given: Mapping[str, object], rows: bool, papers: bool
) -> None:
    keep(workspace, "fruit", FRUIT)
    keep(workspace, "other", [row("no", "no")])
    document_uploads.keep(workspace, "cellar.txt", b"apples")
    document_uploads.keep(workspace, "pears.txt", b"pears")
    text = told(search(workspace, "apples", **given))
    assert ("dataset 'fruit'" in text) is rows
    assert ("document 'cellar.txt'" in text) is papers


def test_an_older_version_can_be_named(workspace: Workspace) -> None:
    old = keep(workspace, "fruit", FRUIT)
    keep(workspace, "fruit", [row("zebra", "no fruit")])
    assert "Nothing was found" in told(search(workspace, "apples", name="fruit"))
    assert f"version {old.id}, row 1 of 2" in told(search(workspace, "apples", name=f"fruit@{old.id[:6]}"))
    assert code(search(workspace, "apples", name="fruit@ffffff")) == "version_unknown"


def test_a_name_that_is_unknown_is_told_with_those_that_are_known(workspace: Workspace) -> None:
    keep(workspace, "fruit", FRUIT)
    document_uploads.keep(workspace, "cellar.txt", b"apples")
    result = search(workspace, "apples", name="vegetables")
    assert code(result) == "own_texts_unknown"
    assert "There are: fruit, cellar.txt" in result.text
    assert "cellar" not in search(workspace, "apples", name="vegetables", **{"in": "datasets"}).text


def test_where_nothing_is_there_it_says_so(workspace: Workspace) -> None:
    assert told(search(workspace, "apples")) == "There are no datasets or documents here to search in."


def test_where_nothing_is_found_it_says_what_was_searched(workspace: Workspace) -> None:
    keep(workspace, "fruit", FRUIT)
    text = told(search(workspace, "zebra"))
    assert text.startswith(
        "Nothing was found for: zebra\nTry other words, or fewer.\nSearched: dataset 'fruit' (2 rows)"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"query": ""}, "tool_argument_unfit"),
        ({"query": 7}, "tool_argument_unfit"),
        ({"query": "x" * 501}, "tool_argument_unfit"),
        ({"query": "x", "in": "everywhere"}, "tool_argument_unfit"),
        ({"query": "x", "max_results": 21}, "tool_argument_unfit"),
        ({"query": "x", "name": ["fruit"]}, "tool_argument_unfit"),
        ({"query": "?!"}, "own_texts_no_words"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(workspace: Workspace, given: dict[str, object], problem: str) -> None:
    assert code(search(workspace, **given)) == problem  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "..", ".", "a\x00b", "fruit/../fruit"])
def test_a_name_leads_nowhere_else(workspace: Workspace, name: str) -> None:
    keep(workspace, "fruit", FRUIT)
    assert code(search(workspace, "root", name=name)) in ("own_texts_unknown", "tool_argument_unfit")


def test_a_damaged_dataset_is_told_and_the_others_are_searched(workspace: Workspace) -> None:
    keep(workspace, "fruit", FRUIT)
    keep(workspace, "broken", [row("apples", "broken")])
    rows = Datasets(workspace).open("broken").folder / "rows.jsonl"
    rows.unlink()
    text = told(search(workspace, "apples"))
    assert "row 1 of 2" in text
    assert "The file rows.jsonl of dataset 'broken'" in text
    assert code(search(workspace, "apples", name="broken")) == "dataset_damaged"


def test_rows_that_there_was_no_time_for_are_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_texts, "LEAST_S", 0.0)  # in half a second some machines read them all
    keep(workspace, "fruit", [row(f"apples {number}", "x " * 100) for number in range(30_000)])
    text = told(search(workspace, "apples", tool=OwnTexts(build_s=0.0)))
    assert "only the first" in text
    assert "of 30,000 rows were searched; ask again to go on." in text


def test_of_a_long_row_the_part_that_fits_is_shown(workspace: Workspace) -> None:
    keep(workspace, "long", [row("q", "filler words " * 1000 + "the zebra stands here " + "filler words " * 200)])
    text = told(search(workspace, "zebra"))
    assert "zebra stands here" in text
    assert len(text) < 2000


def test_a_chat_that_cannot_be_opened_leaves_the_rest_searchable(workspace: Workspace) -> None:
    workspace.chat_db.write_bytes(b"no database" * 1000)
    document_uploads.keep(workspace, "notes.txt", b"apples")
    assert "document 'notes.txt'" in told(search(workspace, "apples"))


def test_a_job_folder_with_rubbish_in_it_is_passed_over(workspace: Workspace) -> None:
    for number, data in enumerate((b"", b"{", b"[]\n", b'{"files": [{"file": 1}]}\n')):
        folder = workspace.job_dir(number + 1)
        folder.mkdir(parents=True)
        (folder / "chunks.jsonl").write_bytes(data)
    document_uploads.keep(workspace, "notes.txt", b"apples")
    assert "document 'notes.txt'" in told(search(workspace, "apples"))


def test_chunks_are_read_as_the_job_writes_them() -> None:
    """The search reads a job's file itself: it must know its keys."""
    chunk = documents.Chunk(1, "a", "text", 0, 4, ("h",), ((1, 0),), "path")
    assert {"path", "heading", "pages", "text"} <= json.loads(json.dumps(asdict(chunk))).keys()
