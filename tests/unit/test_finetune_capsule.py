"""What goes into the capsule of a run: figures of what counts, whole logs, no secret; and nothing half where there is no room."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import zipfile
from pathlib import Path

import pytest

from backend.errors import WorkspaceError
from backend.finetune import capsule
from backend.queue.events import EventWriter
from backend.workspace import Workspace


def test_secrets_go_wherever_they_are_kept_and_words_stay(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".git-credentials").write_text("https://me:from-git-itself@example.com\n")
    (workspace.secrets / "huggingface-token").write_text("plain words as a token\n")
    (workspace.secrets / "keys.json").write_text(json.dumps({"keys": [{"name": "notebook", "digest": "ab12"}]}))
    (workspace.secrets / "netrc").write_text("machine m login x password swordfish\n")
    clean = capsule.Cleaner(workspace, {"API_KEY": "value-of-a-key", "SHELL": "/bin/bash", "MODE_TOKEN": "on"})
    text = (
        f"plain words as a token, swordfish, value-of-a-key, Bearer abcdefgh.ijkl, https://me:pw@host/x, hf_{'a' * 20} "
        f"in {workspace.root}/jobs and {tmp_path}/home/models, {tmp_path}/homework; notebook, /bin/bash, on, x"
    )
    told = clean(text)
    for secret in ("plain words", "swordfish", "value-of-a-key", "abcdefgh", "me:pw", "aaaa"):
        assert secret not in told
    assert told.endswith(f"in WORKSPACE/jobs and ~/models, {tmp_path}/homework; notebook, /bin/bash, on, x")
    assert "from-git" not in clean("https://me:from-git-itself@example.com")


def test_figures_have_a_line_a_step_and_what_was_done_again_counts(tmp_path: Path) -> None:
    events = EventWriter(tmp_path)
    events.phase("train")
    events.progress("rehearse", 1, 3, metrics={"loss": 9.0})
    events.progress("train", 1, 4, metrics={"loss": 2.5, "lr": 0.1})
    events.progress("train", 2, 4, metrics={"loss": 2.25, "lr": 0.1})
    events.progress("evaluate", 2, 4, metrics={"eval_loss": 2.125})
    events.progress("train", 2, 4, metrics={"loss": 2.0, "lr": 0.1})
    events.progress("train", 3, 4, metrics={"loss": float("nan")})
    events.close()
    rows = list(csv.DictReader(io.StringIO(capsule.figures(tmp_path))))
    assert [(row["step"], row["loss"], row["eval_loss"]) for row in rows] == [
        ("1", "2.5", ""),
        ("2", "2.0", "2.125"),
        ("3", "nan", ""),
    ]
    assert "tokens_s" not in rows[0]
    (tmp_path / "empty").mkdir()
    assert capsule.figures(tmp_path / "empty") == "step,time\n"


def test_logs_come_in_their_order_and_long_ones_keep_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capsule, "MOST_LOG", 40)
    for number in (2, 10, 1):
        (tmp_path / f"attempt-{number}.log").write_bytes(b"attempt %d \xff\n" % number)
    (tmp_path / "attempt-3.log").write_bytes(b"begins here " + b"." * 100 + b" and ends")
    text = capsule.log(tmp_path)
    places = [text.index(f"attempt-{number}.log") for number in (1, 2, 3, 10)]
    assert places == sorted(places)
    assert "begins here" in text
    assert "and ends" in text
    assert "[...]" in text


def test_packages_are_named_with_their_versions_and_nothing_else() -> None:
    lines = capsule.environment().splitlines()
    assert all("==" in line and "/" not in line for line in lines)
    assert [line.split("==")[0] for line in lines] == sorted((line.split("==")[0] for line in lines), key=str.casefold)
    needed = capsule.requirements(["no-such-package-here"]).splitlines()
    assert [line.split("==")[0] for line in needed] == list(capsule.NEEDED)
    assert set(needed) <= {line.partition("+")[0] for line in lines}


def test_without_room_nothing_is_left_and_what_was_there_stays(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "capsule.zip"
    clean = capsule.Cleaner(workspace)
    (tmp_path / "rows.npz").write_bytes(os.urandom(1 << 20))
    capsule.write(target, {"README.md": "first"}, {}, clean)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, before[1]))
    try:
        with pytest.raises(WorkspaceError):
            capsule.write(target, {"README.md": "second"}, {"rows.npz": tmp_path / "rows.npz"}, clean)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["capsule.zip", "rows.npz"]
    with zipfile.ZipFile(target) as opened:
        assert opened.read("README.md") == b"first"
    capsule.write(target, {"README.md": "second"}, {"rows.npz": tmp_path / "rows.npz"}, clean)
    with zipfile.ZipFile(target) as opened:
        assert opened.read("rows.npz") == (tmp_path / "rows.npz").read_bytes()
