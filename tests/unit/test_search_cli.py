"""``python -m backend search``: the same search from the shell."""

from __future__ import annotations

import json

import pytest

from backend.cli import main
from backend.queue.store import Store


def test_the_shell_finds_what_the_page_finds(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    job = store.submit("drill", {}, title="Starter again")
    assert main(["search", "starter", "--kind", "models", "--kind", "jobs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["query"] == "starter"
    assert [(group["kind"], group["count"]) for group in told["groups"]] == [("models", 1), ("jobs", 1)]
    assert told["groups"][1]["hits"][0]["address"] == {"job": str(job.id)}
    assert main(["search", "starter", "again"]) == 0
    assert "Starter again" in capsys.readouterr().out
    assert main(["search", "zzqqy"]) == 0
    assert "Nothing found." in capsys.readouterr().out
