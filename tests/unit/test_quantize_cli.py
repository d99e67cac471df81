"""As a script and as a person see it: ``python -m backend quantize``: the page's plan, every fault at once, 2 where it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.queue import watcher
from backend.queue.store import Store
from backend.workspace import Workspace, write_json


@pytest.fixture(autouse=True)
def _nothing_runs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "ensure_running", lambda workspace: None)


def written(tmp_path: Path, **fields: Any) -> str:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"model": "starter", "samples": 16, **fields}))
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> Any:
    assert main(["quantize", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_plan_says_what_the_page_shows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = asked(capsys, "plan", written(tmp_path))
    assert (found["runs"], found["method"], found["bits"], found["format"]) == (True, "gptq", 4, "compressed-tensors")
    assert found["bytes_after"]["likely"] < found["bytes_before"]
    assert found["memory"]["p50"] > 0
    assert found["served_here"] == [["transformers", "cpu"]]
    assert main(["quantize", "plan", written(tmp_path)]) == 0
    text = capsys.readouterr().out
    for part in ("starter: GPTQ, 4 bits", "13.1 MB become 5.", "called 'starter gptq 4bit'", "16 rows", "bundled"):
        assert part in text
    for part in ("assumed", "weights", "served by transformers (cpu)", "jobs.quantize"):
        assert part in text


def test_a_refused_plan_ends_with_2_and_every_fault(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, group_size=96, device="cuda", calibration="none", name="a/b")
    found = asked(capsys, "plan", path, code=2)
    assert {fault["field"] for fault in found["faults"]} == {"group_size", "device", "calibration", "name"}
    assert main(["quantize", "run", path]) == 2
    text = capsys.readouterr().out
    assert text.count("✗") == 4
    assert "Compute on the CPU: device = auto" in text
    assert asked(capsys, "run", path, code=2)["runs"] is False
    assert store.list() == []


def test_run_submits_the_settled_spec(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = asked(capsys, "run", written(tmp_path, method="rtn"))
    spec = store.spec(found["id"])
    assert (spec["calibration"], spec["device"], spec["name"]) == ("none", "cpu", "starter rtn 4bit")
    assert store.get(found["id"]).verb == "quantize"


def test_methods_lists_what_runs_here_and_why_not_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    found = {one["method"]: one for one in asked(capsys, "methods", "starter")}
    assert found["gptq"]["runs_here"] is True
    assert found["gptq"]["problem"] is None
    assert found["awq"]["problem"]["code"] == "engine_missing_environment"
    assert found["kv"]["makes_a_copy"] is False
    assert main(["quantize", "methods", "starter"]) == 0
    text = capsys.readouterr().out
    assert text.index("✓ gptq") < text.index("✗ awq")
    assert "Served here by transformers." in text


def test_report_submits_a_report_card_and_refuses_a_spec_that_is_none(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"models": ["starter"], "questions": 0}))
    found = asked(capsys, "report", str(path))
    assert store.get(found["id"]).verb == "report_card"
    path.write_text(json.dumps({"models": []}))
    assert asked(capsys, "report", str(path), code=1)["error"]["code"] == "spec_bad"


def test_show_tells_what_was_made(store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    job = asked(capsys, "run", written(tmp_path, method="rtn"))["id"]
    result = {"ok": True, "model": "starter rtn 4bit", "bytes_before": 13_123_848, "bytes_after": 5_381_120}
    write_json(store.job_dir(job) / "result.json", result)
    write_json(store.job_dir(job) / "plan.json", {"runs": True})
    found = asked(capsys, "show", str(job))
    assert (found["plan"], found["report"], found["sentences"]) == ({"runs": True}, None, [])
    assert found["spec"]["method"] == "rtn"
    assert main(["quantize", "show", str(job)]) == 0
    assert "13.1 MB became 5.38 MB: 'starter rtn 4bit'" in capsys.readouterr().out
    other = store.submit("drill", {}).id
    assert asked(capsys, "show", str(other), code=1)["error"]["code"] == "quantize_no_run"
