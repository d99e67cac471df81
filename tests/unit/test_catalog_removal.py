"""Taking models off the list: what may be deleted, what never, and who depends on it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.cli import main as cli
from backend.errors import ConflictError, ModelError, NotFoundError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.models import adapter, folder


@pytest.fixture
def own(workspace: Workspace) -> Path:
    """A model that TuneDeck downloaded, on the list as ``own``."""
    path = folder(workspace.root / "downloads" / "org_name")
    catalog.add(workspace, path, "own")
    return path


def listed(workspace: Workspace) -> list[str]:
    return [card.name for card in catalog.models(workspace)][1:]


def test_what_goes_is_said_before_and_nothing_else_goes(workspace: Workspace, own: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("x")
    (own / "link").symlink_to(precious)
    (own / "file").symlink_to(precious / "data")
    (own / "sub").mkdir()
    (own / "sub" / "log").write_text("12345")
    real = [f for f in own.rglob("*") if f.is_file() and not f.is_symlink() and "link" not in f.parts]
    goes = catalog.removal(workspace, "own")
    assert goes.deletes_files
    assert goes.bytes == sum(f.stat().st_size for f in real)
    assert goes.files == len(real) + 1  # the link to a file; that to a folder is none of them
    catalog.remove(workspace, "own", delete_files=True)
    assert not own.exists()
    assert (precious / "data").read_text() == "x"
    assert listed(workspace) == []


def test_without_asking_for_it_no_file_goes(workspace: Workspace, own: Path) -> None:
    catalog.remove(workspace, "own")
    assert (own / "config.json").exists()
    assert listed(workspace) == []


@pytest.mark.parametrize("where", ["outside", "link in", "link out", "job folder", "workspace", "models"])
def test_what_tunedeck_did_not_make_is_never_deleted(workspace: Workspace, tmp_path: Path, where: str) -> None:
    outside = folder(tmp_path / "outside")
    if where == "link out":
        path = workspace.models / "linked"
        path.symlink_to(outside)
    elif where == "link in":
        path = tmp_path / "link"
        path.symlink_to(folder(workspace.models / "inside"))
    else:
        path = {
            "outside": outside,
            "job folder": workspace.jobs / "000001",
            "workspace": workspace.root,
            "models": workspace.models / ".." / "models",
        }[where]
        folder(path)
    catalog.add(workspace, path, "mine")
    goes = catalog.removal(workspace, "mine")
    assert (goes.deletes_files, goes.bytes, goes.files) == (False, 0, 0)
    with pytest.raises(ConflictError) as caught:
        catalog.remove(workspace, "mine", delete_files=True)
    assert caught.value.code == "model_not_ours"
    assert (path / "config.json").exists()
    assert listed(workspace) == ["mine"]
    catalog.remove(workspace, "mine")
    assert (path / "config.json").exists()


def test_a_job_s_output_can_be_deleted_and_only_that(workspace: Workspace) -> None:
    path = folder(workspace.jobs / "000007" / "model")
    (workspace.jobs / "000007" / "job.json").write_text("{}")
    catalog.write_lineage(path, catalog.Lineage(job=7, verb="finetune"))
    assert catalog.add(workspace, path, "tuned").made_by == 7
    catalog.remove(workspace, "tuned", delete_files=True)
    assert [f.name for f in (workspace.jobs / "000007").iterdir()] == ["job.json"]


def test_a_job_number_from_another_workspace_means_nothing_here(workspace: Workspace, tmp_path: Path) -> None:
    path = folder(tmp_path / "theirs")
    catalog.write_lineage(path, catalog.Lineage(job=7))
    assert catalog.add(workspace, path).made_by is None
    assert catalog.add(workspace, path, made_by=3).made_by == 3
    assert catalog.add(workspace, path).made_by == 3


def test_who_depends_on_it_is_named(workspace: Workspace, own: Path, tmp_path: Path) -> None:
    catalog.add(workspace, own, "second name")
    catalog.add(workspace, adapter(tmp_path / "by-name", "own"))
    catalog.add(workspace, adapter(tmp_path / "by-folder", str(own)))
    catalog.add(workspace, adapter(own / "inside", "somebody/else"))
    goes = catalog.removal(workspace, "own")
    assert goes.adapters == ("by-folder", "by-name")
    assert goes.others == ("inside", "second name")


def test_files_in_use_stay(workspace: Workspace, own: Path, store: Store) -> None:
    row = store.submit("serve", {"model": "own"}, title="own")
    goes = catalog.removal(workspace, "own")
    assert (goes.jobs, goes.servers) == ((row.id,), ("own",))
    with pytest.raises(ConflictError, match=f"in use by job {row.id}"):
        catalog.remove(workspace, "own", delete_files=True)
    assert own.exists()
    store.cancel(row.id)
    assert catalog.removal(workspace, "own").jobs == ()
    by_path = store.submit("serve", {"model": str(own)})
    assert catalog.removal(workspace, "own").jobs == (by_path.id,)
    catalog.remove(workspace, "own")
    assert own.exists()


def test_a_job_that_writes_the_folder_keeps_it(workspace: Workspace, store: Store) -> None:
    row = store.submit("drill", {"steps": 1})
    catalog.add(workspace, folder(store.job_dir(row.id) / "model"), "growing")
    assert catalog.removal(workspace, "growing").jobs == (row.id,)


def test_a_failure_in_the_middle_leaves_the_entry_and_says_why(
    workspace: Workspace, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink

    def refuse(path: Any, *args: Any, **kwargs: Any) -> None:
        if str(path).endswith("model.safetensors"):
            raise PermissionError(13, "Permission denied", str(path))
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(ModelError) as caught:
        catalog.remove(workspace, "own", delete_files=True)
    assert caught.value.code == "model_not_deleted"
    assert "model.safetensors: Permission denied" in str(caught.value)
    assert listed(workspace) == ["own"]
    monkeypatch.undo()
    assert (own / "model.safetensors").exists()


def test_it_can_be_deleted_again_after_that(workspace: Workspace, own: Path) -> None:
    (own / "config.json").unlink()
    catalog.remove(workspace, "own", delete_files=True)
    assert not own.exists()
    path = folder(workspace.models / "gone")
    catalog.add(workspace, path)
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    catalog.remove(workspace, "gone", delete_files=True)
    assert listed(workspace) == []


def test_what_is_not_on_the_list_or_shipped_has_no_removal(workspace: Workspace) -> None:
    for name, kind in (("nothing", NotFoundError), ("starter", ConflictError)):
        with pytest.raises(kind):
            catalog.removal(workspace, name)
        with pytest.raises(kind):
            catalog.remove(workspace, name, delete_files=True)


# --- adapters and their bases


@pytest.mark.parametrize(
    "said",
    ["base-8B", "Org/Base-8B", "/root/model/base-8B", "/root/model/base-8B/", "{path}", "{link}"],
)
def test_an_adapter_finds_its_base_by_folder_name_or_last_part(workspace: Workspace, tmp_path: Path, said: str) -> None:
    path = folder(tmp_path / "x" / "base-8B")
    (tmp_path / "link").symlink_to(path)
    base = catalog.add(workspace, path)
    catalog.add(workspace, folder(tmp_path / "other"))
    lora = catalog.add(workspace, adapter(tmp_path / "lora", said.format(path=path, link=tmp_path / "link")))
    found = catalog.base_of(workspace, lora)
    assert found is not None
    assert found.name == "base-8B"
    assert [card.name for card in catalog.adapters(workspace, base)] == ["lora"]
    assert catalog.adapters(workspace, catalog.find(workspace, "other")) == []


def test_an_adapter_whose_base_is_not_here_has_none(workspace: Workspace, tmp_path: Path) -> None:
    lora = catalog.add(workspace, adapter(tmp_path / "lora", "somebody/else"))
    assert catalog.base_of(workspace, lora) is None
    assert catalog.base_of(workspace, catalog.find(workspace, "starter")) is None


# --- the command line


def test_the_command_line_deletes_only_when_told_twice(
    workspace: Workspace, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["models", "remove", "own", "--delete-files", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "deletion_not_confirmed"
    assert str(own) in error["message"]
    assert own.exists()
    assert listed(workspace) == ["own"]
    assert cli(["models", "remove", "own", "--delete-files", "--yes", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["removed"] == "own"
    assert said["deleted_files"] == 4
    assert not own.exists()
