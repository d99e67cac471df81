"""The command line as a script sees it: one JSON document, or one sentence, and an exit code that means something."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from backend.queue.store import Store
from backend.workspace import ROOT
from tests.support.jobs import Queue


def cli(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *args],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_submit_show_watch_and_logs_tell_one_story(queue: Queue) -> None:
    submitted = as_json(
        cli("jobs", "submit", "drill", "-", "--title", "试跑", "--json", stdin='{"steps": 2, "step_s": 0}')
    )
    assert (submitted["title"], submitted["state"]) == ("试跑", "queued")
    number = str(submitted["id"])
    watched = cli("jobs", "watch", number, "--json")
    assert watched.returncode == 0
    assert as_json(watched)["state"] == "succeeded"
    shown = as_json(cli("jobs", "show", number, "--json"))
    assert shown["spec"]["steps"] == 2
    assert shown["result"]["ok"] is True
    assert shown["command"][1:3] == ["-m", "jobs.drill"]
    assert as_json(cli("jobs", "logs", number, "--json"))["lines"][-1] == "step 2 of 2"
    assert [row["id"] for row in as_json(cli("jobs", "list", "--json"))] == [submitted["id"]]


def test_the_command_that_is_shown_runs_in_a_shell(store: Store) -> None:
    job = store.submit("drill", {"steps": 2, "step_s": 0})
    done = subprocess.run(store.command(job.id), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "step 2 of 2" in done.stdout


def test_cancel_and_resume_by_number(store: Store) -> None:
    number = str(store.submit("drill", {"steps": 1000}).id)
    assert as_json(cli("jobs", "cancel", number, "--json"))["state"] == "cancelled"
    again = cli("jobs", "resume", number, "--json")
    assert as_json(again)["state"] in ("queued", "starting", "running")
    cli("jobs", "cancel", number)
    assert cli("jobs", "watch", number, "--timeout", "30").returncode == 1, "a cancelled job is no success"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["jobs", "show", "99"], "job_unknown"),
        (["jobs", "submit", "drill", "/no/such/file.json"], "spec_unreadable"),
        (["jobs", "submit", "dance", "-"], "verb_unknown"),
        (["jobs", "list", "--no-such-option"], "usage"),
        (["jobs", "show", "not-a-number"], "usage"),
    ],
)
def test_with_json_an_error_is_one_document_and_exit_code_one(args: list[str], code: str) -> None:
    done = cli(*args, "--json", stdin="{}")
    assert done.returncode == 1
    error = as_json(done)["error"]
    assert error["code"] == code
    assert error["message"]


def test_without_json_an_error_is_a_sentence_on_standard_error() -> None:
    done = cli("jobs", "show", "99")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("There is no job 99. ")


def test_help_lists_the_nouns_and_verbs() -> None:
    top, jobs = cli("--help"), cli("jobs", "--help")
    assert top.returncode == jobs.returncode == 0
    assert "jobs" in top.stdout
    for verb in ("list", "show", "submit", "cancel", "resume", "logs", "watch"):
        assert verb in jobs.stdout


def test_spec_errors_name_every_wrong_field(store: Store) -> None:
    done = cli("jobs", "submit", "drill", "-", "--json", stdin='{"steps": "many", "speed": 3}')
    message = as_json(done)["error"]["message"]
    assert "steps:" in message
    assert "speed:" in message
    assert store.list() == []


def test_a_word_that_is_none_of_those_to_choose_from_is_refused_in_plain_words() -> None:
    done = cli("memory", "estimate", "--model", "x", "--total-mib", "1", "--engine", "other")
    assert done.returncode == 2
    said = done.stderr
    assert "'other' is not one of 'lmdeploy', 'transformers'." in said
    assert "Value error" not in said
