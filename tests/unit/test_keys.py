"""API keys: shown once, kept as a digest, revoked at once."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from backend.cli import main
from backend.errors import ConflictError, NotFoundError, PanelError, WorkspaceError
from backend.web.keys import SAVE_EVERY_S, Keys
from backend.workspace import ROOT, Workspace
from tests.unit.test_token import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(workspace: Workspace, clock: Clock) -> Keys:
    return Keys(workspace, clock)


def test_a_key_opens_and_only_that_key(keys: Keys) -> None:
    made, text = keys.create("notebook")
    assert keys.check(text) == made
    for wrong in ("", text[:-1], text + "x", text.lower(), "td-", made.prefix, made.digest, "\udcff"):
        assert keys.check(wrong) is None, wrong


def test_the_file_keeps_no_key_and_is_readable_by_its_owner_only(keys: Keys, workspace: Workspace) -> None:
    _key, text = keys.create("notebook")
    path = workspace.secrets / "keys.json"
    assert text not in path.read_text()
    assert text[12:] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((workspace.secrets / "keys.lock").stat().st_mode) == 0o600


def test_the_list_shows_name_prefix_and_when_oldest_first(keys: Keys, clock: Clock) -> None:
    keys.create("first")
    clock.now += 60
    _made, text = keys.create("第二个")
    assert [(k.name, k.last_used) for k in keys.list()] == [("first", None), ("第二个", None)]
    assert keys.list()[1].created == clock.now
    assert text.startswith(keys.list()[1].prefix)
    assert len(keys.list()[1].prefix) < 12


def test_a_revoked_key_is_refused_at_once_by_a_panel_that_runs(keys: Keys, workspace: Workspace) -> None:
    _made, text = keys.create("notebook")
    running = Keys(workspace)
    assert running.check(text)
    keys.revoke("notebook")
    assert running.check(text) is None


def test_a_key_can_be_revoked_by_its_first_letters(keys: Keys) -> None:
    made, text = keys.create("notebook")
    keys.create("other")
    keys.revoke(made.prefix)
    assert keys.check(text) is None
    assert [k.name for k in keys.list()] == ["other"]


def test_revoking_what_is_not_there_names_what_is(keys: Keys) -> None:
    keys.create("notebook")
    with pytest.raises(NotFoundError) as caught:
        keys.revoke("notbook")
    assert caught.value.localized() == ("There is no key called 'notbook'.", "The keys are: notebook.")


def test_two_keys_cannot_have_one_name(keys: Keys) -> None:
    _made, text = keys.create("café")
    with pytest.raises(ConflictError, match="called 'café' already"):
        keys.create(" cafe\u0301 ")  # the same name to the eye
    assert keys.check(text)


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "two\nlines", "nul\0", "\udcff"])
def test_a_name_that_cannot_be_shown_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(PanelError, match="needs a name"):
        keys.create(name)
    assert keys.list() == []


@pytest.mark.parametrize("name", ["🔑", "مفتاح", "a {b} %s", "'; --", "<b>"])
def test_any_name_that_can_be_shown_is_kept_as_it_is(keys: Keys, name: str) -> None:
    _made, text = keys.create(name)
    assert keys.list()[0].name == name
    keys.revoke(name)
    assert keys.check(text) is None


def test_using_a_key_is_written_down_once_a_minute_and_not_per_request(
    keys: Keys, workspace: Workspace, clock: Clock
) -> None:
    _made, text = keys.create("notebook")
    before = (workspace.secrets / "keys.json").stat().st_mtime_ns
    clock.now += 5
    for _ in range(100):
        keys.check(text)
        assert not keys.save_due()
    assert (workspace.secrets / "keys.json").stat().st_mtime_ns == before
    clock.now += SAVE_EVERY_S
    assert keys.save_due()
    keys.save_used()
    assert not keys.save_due()
    assert Keys(workspace).list()[0].last_used == clock.now - SAVE_EVERY_S


def test_writing_down_a_use_does_not_bring_a_revoked_key_back(keys: Keys, workspace: Workspace) -> None:
    _made, text = keys.create("notebook")
    running = Keys(workspace)
    running.check(text)
    keys.revoke("notebook")
    running.save_used()
    assert Keys(workspace).list() == []


def test_keys_made_by_many_processes_at_once_are_all_kept(workspace: Workspace, keys: Keys) -> None:
    command = (
        "import sys; from backend.web.keys import Keys; from backend.workspace import open_workspace as o; "
        "[Keys(o()).create(f'{sys.argv[1]}-{n}') for n in range(5)]"
    )
    makers = [subprocess.Popen([sys.executable, "-c", command, str(n)], cwd=ROOT) for n in range(4)]
    assert [maker.wait(60) for maker in makers] == [0] * 4
    assert len(keys.list()) == 20


@pytest.mark.parametrize("content", [b"", b"{", b"[{}]", b"[1]", b"\xff\xfe", b'{"a": 1}', b"[[]]"])
def test_a_damaged_file_opens_nothing_is_said_and_is_not_overwritten(
    keys: Keys, workspace: Workspace, content: bytes
) -> None:
    _made, text = keys.create("notebook")
    path = workspace.secrets / "keys.json"
    path.write_bytes(content)
    assert keys.check(text) is None
    for act in (keys.list, lambda: keys.create("another"), lambda: keys.revoke("notebook")):
        with pytest.raises(WorkspaceError, match="cannot be read"):
            act()
    assert path.read_bytes() == content


def test_a_use_that_could_not_be_written_is_kept_for_the_next_time(
    keys: Keys, workspace: Workspace, clock: Clock
) -> None:
    _made, text = keys.create("notebook")
    path = workspace.secrets / "keys.json"
    whole = path.read_bytes()
    keys.check(text)
    path.write_bytes(b"{")
    with pytest.raises(WorkspaceError):
        keys.save_used()
    path.write_bytes(whole)
    keys.save_used()
    assert keys.list()[0].last_used == clock.now


def test_the_command_line_makes_lists_and_revokes(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "script", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert Keys(workspace).check(made["key"])
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "script" in listed
    assert "never used" in listed
    assert made["key"] not in listed
    assert main(["keys", "revoke", "script"]) == 0
    capsys.readouterr()
    assert main(["keys", "revoke", "script", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "key_unknown"
    assert Keys(workspace).list() == []
