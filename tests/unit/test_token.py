"""The login token and the cookie that stands for it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import WorkspaceError
from backend.web.throttle import Throttle
from backend.web.token import COOKIE_DAYS, Token
from backend.workspace import ROOT, Workspace

DAY = 86400


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token(workspace: Workspace, clock: Clock) -> Token:
    made = Token(workspace, clock)
    made.ensure()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_file_is_readable_by_its_owner_only_whatever_the_umask(workspace: Workspace) -> None:
    before = os.umask(0)
    try:
        Token(workspace).ensure()
    finally:
        os.umask(before)
    assert mode(workspace.secrets / "token") == 0o600


def test_the_token_is_long_and_another_one_in_every_workspace(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "other" / "secrets").mkdir(parents=True)
    first, second = Token(workspace).ensure(), Token(Workspace(tmp_path / "other")).ensure()
    assert len(first) >= 43  # 256 bits in base64
    assert first != second


def test_asking_again_gives_the_same_token(workspace: Workspace, token: Token) -> None:
    assert Token(workspace).ensure() == token.current()


def test_only_the_token_itself_matches(token: Token) -> None:
    right = token.current()
    assert right is not None
    assert token.matches(right)
    for wrong in ("", right[:-1], right + "x", right.swapcase(), " " + right, right + "\n", "\udcff", "字", "-"):
        assert not token.matches(wrong), wrong


def test_a_token_replaced_by_another_process_counts_at_once(workspace: Workspace, token: Token) -> None:
    old, cookie = token.current(), token.cookie()
    assert old is not None
    command = (
        "from backend.web.token import Token; from backend.workspace import open_workspace as o; Token(o()).replace()"
    )
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True)
    assert not token.matches(old)
    assert not token.cookie_holds(cookie)
    assert token.matches(str(token.current()))


def test_a_deleted_token_file_lets_nobody_in(token: Token) -> None:
    old, cookie = token.current(), token.cookie()
    token.path.unlink()
    assert token.current() is None
    assert not token.matches(str(old))
    assert not token.cookie_holds(cookie)


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"two words that are long enough to be one", b"\xff" * 40])
def test_a_file_that_holds_no_token_lets_nobody_in_and_is_replaced_at_start(
    workspace: Workspace, content: bytes
) -> None:
    path = workspace.secrets / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    token = Token(workspace)
    assert token.current() is None
    assert not token.matches(content.decode("latin-1"))
    made = token.ensure()
    assert made == token.current()
    assert mode(path) == 0o600


def test_a_token_that_others_could_read_is_replaced_at_start(workspace: Workspace, token: Token) -> None:
    exposed = token.current()
    token.path.chmod(0o644)
    assert token.ensure() != exposed
    assert mode(token.path) == 0o600


def test_two_panels_that_start_together_agree_on_one_token(workspace: Workspace) -> None:
    command = "from backend.web.token import Token; from backend.workspace import open_workspace as o; print(Token(o()).ensure())"
    starts = [
        subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    printed = {start.communicate(timeout=60)[0].strip() for start in starts}
    assert printed == {Token(workspace).current()}
    assert [p.name for p in workspace.secrets.iterdir()] == ["token"]


def test_the_cookie_does_not_hold_the_token(token: Token) -> None:
    assert str(token.current()) not in token.cookie()


def test_a_cookie_ends_after_thirty_days(token: Token, clock: Clock) -> None:
    cookie = token.cookie()
    clock.now += COOKIE_DAYS * DAY - 1
    assert token.cookie_holds(cookie)
    clock.now += 2
    assert not token.cookie_holds(cookie)


def test_a_clock_that_was_set_back_locks_nobody_out(token: Token, clock: Clock) -> None:
    cookie = token.cookie()
    clock.now -= 365 * DAY
    assert token.cookie_holds(cookie)


def test_a_cookie_cannot_be_made_younger(token: Token, clock: Clock) -> None:
    issued, signature = token.cookie().split(".")
    clock.now += (COOKIE_DAYS + 1) * DAY
    for forged in (f"{int(issued) + 10 * DAY}.{signature}", f"0{issued}.{signature}", f"{issued}.{signature.upper()}"):
        assert not token.cookie_holds(forged)


@pytest.mark.parametrize("value", ["", ".", "1.", ".a", "1", "a.b", "1." + "0" * 64, "1." + "0" * 65, "١." + "0" * 64])
def test_what_is_no_cookie_is_refused(token: Token, value: str) -> None:
    assert not token.cookie_holds(value)


def test_a_folder_that_cannot_be_written_is_said_and_keeps_the_old_token(token: Token) -> None:
    old = token.current()
    blocked = Token(Workspace(token.path.parents[1]))
    blocked.path = token.path.parent / "missing" / "token"
    with pytest.raises(WorkspaceError):
        blocked.replace()
    assert token.current() == old


def test_the_throttle_hears_ten_wrong_attempts_then_one_every_three_seconds() -> None:
    clock = Clock()
    throttle = Throttle(burst=10, every_s=3, clock=clock)
    for _ in range(10):
        assert throttle.wait_s() == 0
        throttle.wrong()
    assert throttle.wait_s() == 3
    clock.now += 2
    assert throttle.wait_s() == 1
    clock.now += 1
    assert throttle.wait_s() == 0
    throttle.wrong()
    assert throttle.wait_s() == 3
    clock.now += 3600
    for _ in range(10):
        assert throttle.wait_s() == 0
        throttle.wrong()
    assert throttle.wait_s() == 3


def test_a_clock_that_runs_backwards_does_not_release_the_throttle() -> None:
    clock = Clock()
    throttle = Throttle(burst=1, every_s=3, clock=clock)
    throttle.wrong()
    clock.now -= 1000
    assert throttle.wait_s() == 3
