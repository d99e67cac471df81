"""``eval run`` over a real queue: followed to the end, and told as figures, as JSON, or as what went wrong."""

from __future__ import annotations

import json

import pytest

from backend.cli import eval_run
from backend.errors import PanelError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.answering import answering
from tests.support.evaluating import small_set
from tests.support.jobs import Queue
from tests.support.stub_openai import published


def test_a_trial_a_run_and_a_failure_in_a_shell(
    workspace: Workspace, store: Store, queue: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    small_set(workspace)
    with answering(say="B", says={"Q1 of law": "C", "Q2 of law": "who knows"}) as server, published(store, server):
        assert eval_run.run(model="stub", questions="small", trial=4, as_json=True) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["trial"], told["right"], told["forecast"]["questions"]) == (4, 3, 10)
        assert 0 < told["forecast"]["low"] <= told["forecast"]["seconds"] <= told["forecast"]["high"]

        assert eval_run.run(model="stub", questions="small", name="First") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split() for line in lines if line.startswith(("geo", "law"))] == [
            ["geo", "-", "accuracy", "gen", "100.00"],
            ["law", "-", "accuracy", "gen", "60.00"],
        ]
        assert lines[-1] == "8 right, 1 wrong, 1 not read, 0 failed of 10: 80.0 %, 95 % interval 49.0 to 94.3 %"
    with answering(limit=2) as server, published(store, server):
        assert eval_run.run(model="stub", questions="small", as_json=True) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["error"]["code"], told["state"]) == ("question_too_long", "failed")
        assert {row["cause"]["code"] for row in told["rows"] if not row["group"]} == {"question_too_long"}


def test_an_unknown_set_is_told_before_there_is_a_job(workspace: Workspace, store: Store) -> None:
    with pytest.raises(PanelError) as error:
        eval_run.run(model="stub", questions="nothing")
    assert (error.value.code, store.list()) == ("set_unknown", [])
