"""Which walls this machine can put up; and that without enough of them nothing is run."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.agent.tools import Context, Result
from backend.workspace import Workspace
from jobs.agent.sandbox import ability as abilities
from jobs.agent.sandbox import kernel, seccomp, syscalls, watch
from jobs.agent.sandbox.ability import Ability, Wall, ability
from jobs.agent.sandbox.running import Walls, WallsMissing, run
from jobs.agent.tools.python_code import PythonCode
from tests.support.sandboxed import EVERY, names


@pytest.fixture
def context(workspace: Workspace, tmp_path: Path) -> Context:
    return Context(workspace, tmp_path / "conversation")


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    abilities.forget()
    yield
    abilities.forget()


def ran(code: object, context: Context) -> Result:
    return PythonCode().call({"code": code}, context)


@pytest.mark.usefixtures("_asked_anew")
def test_what_the_machine_can_do_is_found_out_by_doing_it() -> None:
    found = ability()

    assert found.walls is not None
    assert [wall.name for wall in found.report] == ["seccomp", "Landlock", "namespaces"]
    assert ability() is found


@pytest.mark.usefixtures("_asked_anew")
def test_without_namespaces_landlock_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, lambda walls: "unshare: Operation not permitted" if walls.namespaces else None)

    found = ability()

    assert found.walls == Walls(namespaces=False, landlock=True)
    assert found.report[2] == Wall("namespaces", False, "unshare: Operation not permitted")
    assert found.report[1].stands


@pytest.mark.usefixtures("_asked_anew")
def test_without_landlock_namespaces_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, lambda walls: "landlock: Operation not supported" if walls.landlock else None)

    assert ability().walls == Walls(namespaces=True, landlock=False)


@pytest.mark.usefixtures("_asked_anew")
def test_with_neither_nothing_is_run_and_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    _refuse(
        monkeypatch,
        lambda walls: "landlock: Operation not supported" if walls.landlock else "unshare: Operation not permitted",
    )

    result = ran("open('ran', 'w')", context)

    assert result.error is not None
    assert result.error.code == "python_no_walls"
    assert "Landlock (landlock: Operation not supported)" in str(result.error)
    assert "namespaces (unshare: Operation not permitted)" in str(result.error)
    assert not (context.folder / "python" / "ran").exists()


@pytest.mark.usefixtures("_asked_anew")
def test_walls_that_stood_before_and_do_not_now_mean_that_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    abilities._found[:] = [Ability(Walls(), ())]
    monkeypatch.setattr("jobs.agent.sandbox.watch.BOOT", "import sys, os; os.write(2, b'no such kernel'); sys.exit(3)")

    result = ran("open('ran', 'w')", context)

    assert result.error is not None
    assert result.error.code == "python_no_walls"
    assert "no such kernel" in str(result.error)
    assert abilities._found == []


def _refuse(monkeypatch: pytest.MonkeyPatch, why: object) -> None:
    def refusing(code: str, folder: Path, *, walls: Walls, **rest: object) -> object:
        if said := why(walls):  # type: ignore[operator]
            raise WallsMissing(said)
        return run(code, folder, walls=walls)

    monkeypatch.setattr(abilities, "run", refusing)


@pytest.mark.parametrize("walls", list(EVERY))
def test_a_wall_that_cannot_be_put_up_means_that_nothing_is_run(walls: str, tmp_path: Path) -> None:
    """The guard is asked for something impossible: its folder cannot be entered from inside."""
    real = watch._job

    def other(code: str, path: str, *rest: object) -> bytes:
        return real(code, f"{path}/not-there", *rest)  # type: ignore[arg-type]

    watch._job = other  # type: ignore[assignment]
    try:
        with pytest.raises(WallsMissing, match="No such file"):
            run("open('ran', 'w')", tmp_path / "python", walls=EVERY[walls])
    finally:
        watch._job = real
    assert names(tmp_path / "python") == []


def test_a_machine_whose_calls_are_not_known_gets_no_filter() -> None:
    with pytest.raises(kernel.Refused):
        seccomp.program(1, "riscv64")


@pytest.mark.parametrize("machine", list(seccomp.ARCHITECTURES))
def test_the_filter_lets_nothing_dangerous_through(machine: str) -> None:
    column = seccomp.ARCHITECTURES[machine][0]
    dangerous = {
        "socket": (41, 198),
        "connect": (42, 203),
        "execve": (59, 221),
        "execveat": (322, 281),
        "ptrace": (101, 117),
        "mount": (165, 40),
        "unshare": (272, 97),
        "setns": (308, 268),
        "bpf": (321, 280),
        "keyctl": (250, 219),
        "process_vm_readv": (310, 270),
        "io_uring_setup": (425, 425),
        "symlinkat": (266, 36),
        "linkat": (265, 37),
        "memfd_create": (319, 279),
        "pidfd_open": (434, 434),
        "openat2": (437, 437),
        "setsid": (112, 157),
        "truncate": (76, 45),
        "rt_sigqueueinfo": (129, 138),
    }
    for number in (numbers[column] for numbers in dangerous.values()):
        assert _answer(seccomp.program(7, machine), machine, number) >> 16 == 0x0005, number
    read = syscalls.numbers("read:0:63", column)[0]
    assert _answer(seccomp.program(7, machine), machine, read) == seccomp.ALLOW
    clone = syscalls.LOOKED_AT["clone"][column]
    assert clone is not None
    assert _answer(seccomp.program(7, machine), machine, clone, 0x3D0F00) == seccomp.ALLOW
    assert _answer(seccomp.program(7, machine), machine, clone, 17) >> 16 == 0x0005
    assert _answer(seccomp.program(7, machine), "other", read) == seccomp.KILL
    openat = syscalls.LOOKED_AT["openat"][column]
    assert openat is not None
    for flags, allowed in ((0, True), (0o1101, True), (0o1002, True), (0o1000, False), (0o1003, False)):
        assert (_answer(seccomp.program(7, machine), machine, openat, 0, 0, flags) == seccomp.ALLOW) is allowed
    kill = syscalls.LOOKED_AT["kill"][column]
    assert kill is not None
    assert [_answer(seccomp.program(7, machine), machine, kill, pid) == seccomp.ALLOW for pid in (7, 8, 1)] == [
        True,
        False,
        False,
    ]


def _answer(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """What the kernel would read out of the filter, step by step."""
    steps = list(struct.iter_unpack("=HBBI", program))
    given = {0: number, 4: seccomp.ARCHITECTURES.get(machine, (0, 0))[1]}
    given |= {seccomp.ARGUMENTS + 8 * place: value for place, value in enumerate((*arguments, *[0] * 6))}
    at = held = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == seccomp.RETURN:
            return value
        if code == seccomp.LOAD:
            held = given[value]
        elif code == seccomp.AND:
            held &= value
        else:
            at += yes if (held == value if code == seccomp.EQUAL else held >= value) else no
