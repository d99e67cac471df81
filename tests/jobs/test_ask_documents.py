"""Asking a model about documents, as a real process, against a scripted server, and against the starter model really served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.data.store import Datasets
from backend.errors import fill
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.documents import pdf, word
from tests.support.jobs import Queue
from tests.support.served import served
from tests.support.stub_openai import Stub, stub
from tests.support.wait import until

QUOTE = "Rice likes warmth."
GOOD = json.dumps([{"question": "What does rice like?", "answer": "Warmth.", "quote": QUOTE}])


class Asking:
    """The job's program in a folder of its own, started as often as a test wants."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store
        self.folder = workspace.root.parent / "job"
        self.folder.mkdir()
        self.sources = workspace.root.parent / "documents 文档"
        self.sources.mkdir()

    def write(self, name: str, data: bytes | str) -> Path:
        path = self.sources / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def start(self, **spec: Any) -> subprocess.Popen[str]:
        told = {"files": [str(self.sources)], "model": "stub", "dataset": "Rice", "concurrency": 1, "wait_s": 1, **spec}
        (self.folder / "spec.json").write_text(json.dumps(told))
        (self.folder / "result.json").unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.ask_documents", str(self.folder / "spec.json")],
            cwd=ROOT,
            env={**os.environ, "TUNEDECK_WORKSPACE": str(self.workspace.root), "TUNEDECK_JOB_DIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **spec: Any) -> dict[str, Any]:
        process = self.start(**spec)
        output, _ = process.communicate(timeout=100)
        result = self.folder / "result.json"
        assert result.is_file(), output
        found: dict[str, Any] = json.loads(result.read_text())
        return {**found, "output": output}

    def failure(self, **spec: Any) -> tuple[str, str]:
        error = self.run(**spec)["error"]
        return error["code"], fill(error["message"], error["params"])

    def answers(self) -> list[dict[str, Any]]:
        """The answers that are whole and on the disk."""
        return read_answers(self.folder)

    @contextmanager
    def model(self, **script: Any) -> Iterator[Stub]:
        with stub(script=script) as running, served(self.store, running.server):
            yield running


def fields(count: int) -> str:
    """So many paragraphs that are a passage each where a passage has 200 characters."""
    return "\n\n".join(f"{QUOTE} Field {n} is wet. " + "It rains. " * 15 for n in range(count))


def read_answers(folder: Path) -> list[dict[str, Any]]:
    path = folder / "answers.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.fixture
def asking(workspace: Workspace, store: Store) -> Asking:
    return Asking(workspace, store)


def test_documents_become_pairs_that_say_where_they_are_from_and_are_to_be_reviewed(asking: Asking) -> None:
    asking.write("a.pdf", pdf([["Other things."], [QUOTE]]))
    asking.write("b.docx", word((1, "Sowing"), QUOTE))
    asking.write("broken.docx", b"PK\x03\x04 no")
    with asking.model(say=GOOD) as server:
        result = asking.run(instructions="For farmers.", pairs=2)
        asked = [request["messages"][-1]["content"] for request in server.requests()]
    assert (result["ok"], result["pairs"], result["refused"], result["chunks"]) == (True, 1, 1, 2)
    assert result["reasons"] == {"pair_twice": 1}
    assert [Path(each["file"]).name for each in result["left_out"]] == ["broken.docx"]
    assert "'broken.docx' is damaged" in result["output"]
    assert all("write 2 questions" in text and "- For farmers." in text for text in asked)
    version = Datasets(asking.workspace).open("Rice")
    (row,) = version.rows(0, 9)
    assert row["messages"][0] == {"role": "user", "content": "What does rice like?"}
    meta = row["meta"]
    assert (meta["source"], meta["page"], meta["quote"], meta["reviewed"]) == ("a.pdf", 2, QUOTE, False)
    (refused,) = version.rejected()
    assert (refused["number"], refused["code"]) == (2, "pair_twice")
    assert refused["text"].startswith("Q: What does rice like?")
    assert [Path(each["file"]).name for each in version.info.made_from] == ["a.pdf", "b.docx"]


def test_pairs_are_added_to_a_dataset_that_is_there_and_a_second_attempt_adds_nothing_twice(asking: Asking) -> None:
    sets = Datasets(asking.workspace)
    with sets.write("Rice", steps=[]) as out:
        out.add({"messages": [{"role": "user", "content": "Old?"}, {"role": "assistant", "content": "Yes."}]})
    asking.write("a.txt", QUOTE)
    with asking.model(say=GOOD):
        first = asking.run()
        again = asking.run()  # as if it had been killed between the dataset and its result
    assert [row["messages"][0]["content"] for row in sets.open("Rice")] == ["Old?", "What does rice like?"]
    assert (again["version"], again["pairs"], sets.get("Rice").versions) == (first["version"], 1, 2)


def test_kill_9_loses_only_what_was_running_and_what_changed_meanwhile_changes_nothing(asking: Asking) -> None:
    path = asking.write("a.txt", fields(8))
    with asking.model(say=f"Q: What?\nA: {QUOTE}", first_delay_s=0.3) as server:
        process = asking.start(chunk_chars=200, overlap_chars=0)
        until(lambda: len(asking.answers()) >= 3, 30, "three answers are on the disk")
        process.kill()
        process.communicate(timeout=20)
        kept, asked = len(asking.answers()), len(server.requests())
        with (asking.folder / "answers.jsonl").open("ab") as file:
            file.write(b'{"chunk": 4, "said": "half a li')  # what a machine that goes down leaves
        path.write_text("another text")
        result = asking.run(chunk_chars=200, overlap_chars=0)
        assert len(server.requests()) - asked == result["chunks"] - kept, "nothing that was answered is asked again"
    assert (result["chunks"], len(asking.answers()), result["pairs"]) == (8, 8, 1)
    assert result["reasons"] == {"pair_twice": 7}
    assert len({answer["chunk"] for answer in asking.answers()}) == 8


def test_a_stop_takes_effect_in_the_middle_of_an_answer_and_the_server_is_told(asking: Asking) -> None:
    asking.write("a.txt", fields(3))
    with asking.model(tokens=5000, delay_s=0.02) as server:
        process = asking.start(chunk_chars=200, overlap_chars=0, answer_tokens=5000)
        until(lambda: len(server.requests()) == 1, 30, "the first passage is asked about")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        until(lambda: server.cancelled() == 1, 20, "the server has stopped to answer")
    process.communicate()
    assert not (asking.folder / "result.json").exists()


def test_a_server_that_dies_is_waited_for_and_its_successor_asked(asking: Asking) -> None:
    asking.write("a.txt", fields(5))
    with ExitStack() as stack:
        first = stack.enter_context(stub(script={"say": "Q: a\nA: b", "first_delay_s": 0.2}))
        with served(asking.store, first.server, killed=True):
            process = asking.start(wait_s=60, chunk_chars=200, overlap_chars=0)
            until(lambda: len(asking.answers()) >= 1, 30, "the first answer is there")
            first.kill()
            events = asking.folder / "events.jsonl"
            until(lambda: '"server"' in events.read_text(), 30, "the job says that it waits")
        with asking.model(say=GOOD):
            output, _ = process.communicate(timeout=60)
    assert "the server of stub is away; waiting up to 60 s" in output
    result = json.loads((asking.folder / "result.json").read_text())
    assert (result["ok"], result["chunks"]) == (True, len(asking.answers()))


def test_a_server_that_stays_away_is_an_error_that_keeps_what_was_answered(asking: Asking) -> None:
    asking.write("a.txt", QUOTE)
    code, message = asking.failure()
    assert (code, message) == ("documents_server_away", "No server for the model 'stub' has answered for 1 seconds.")
    with asking.model(say=GOOD):
        assert asking.run()["pairs"] == 1


def test_a_server_that_refuses_everything_is_told_with_its_own_words(asking: Asking) -> None:
    asking.write("a.txt", fields(3))
    with asking.model(status=500, message="no kernel image"):
        code, message = asking.failure(chunk_chars=200, overlap_chars=0, concurrency=3)
    assert code == "documents_server_refuses"
    assert "answered none of the first 3 passages: no kernel image" in message


def test_passages_that_are_too_long_and_answers_without_pairs_are_counted(asking: Asking) -> None:
    asking.write("a.txt", f"{QUOTE}\n\n" + "long " * 300)
    with asking.model(limit=250, say="I cannot do that."):
        code, message = asking.failure(chunk_chars=1500)
    assert code == "documents_no_pair"
    assert "'stub' was asked about 2 passages, and nothing it wrote can be kept: 2 refused." in message
    assert not Datasets(asking.workspace).exists("Rice"), "nothing half made is left"
    assert sorted(answer["code"] for answer in asking.answers()) == ["", "chunk_too_long"]


def test_documents_of_which_none_can_be_read_are_an_error_before_anything_is_asked(asking: Asking) -> None:
    asking.write("scan.pdf", pdf([None]))
    code, message = asking.failure()
    assert (code, message.startswith("'scan.pdf' was scanned")) == ("document_scanned", True)


@pytest.mark.slow
def test_the_starter_model_is_really_asked_and_the_account_is_honest(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "about.md").write_text(
        "# TuneDeck\n\nTuneDeck is a control panel. It runs on one server.\n\n## Rice\n\n" + QUOTE
    )
    serve = queue.store.submit("serve", {"model": "starter", "device": "cpu"})
    queue.reach(serve.id, "running", timeout=60)
    spec = {"files": [str(tmp_path / "about.md")], "model": "starter", "dataset": "Mine", "pairs": 1, "concurrency": 1}
    job = queue.store.submit("ask_documents", {**spec, "answer_tokens": 60, "chunk_chars": 200, "overlap_chars": 0})
    row = queue.reach(job.id, "succeeded", "failed", timeout=100)
    folder = queue.store.job_dir(job.id)
    answers = read_answers(folder)
    assert all(answer["said"] and answer["tokens"] > 1 for answer in answers), "a real model has answered"
    if row.state == "succeeded":
        result = queue.store.result(job.id) or {}
        assert Datasets(queue.workspace).get("Mine").current.rows == result["pairs"]
        told, reasons = result["refused"], result["reasons"]
    else:  # as good as it is
        assert row.error["code"] == "documents_no_pair"
        told, reasons = row.error["params"]["refused"], row.error["params"]["reasons"]
    assert told == sum(reasons.values())
