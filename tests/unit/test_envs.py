"""Environments as folders: locks, which one is in use and in what state, what an install would do, how programs start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend import settings
from backend.engines import Patch, engines
from backend.envs import bundles, locks, places, planning, removing, running, wheels
from backend.envs.status import Check, Report
from backend.errors import ConflictError, NotFoundError, PanelError
from backend.memory import machine
from backend.queue.events import merge_progress
from backend.workspace import Workspace
from tests.support.environments import FAILED, PASSED, Toy, delete_package, make, report, write_lock
from tests.support.wheel_index import wheel

HASH = "a" * 64


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    engine = Toy(tmp_path / "locks")
    monkeypatch.setitem(engines(), "toy", engine)
    return engine


def test_a_lock_is_read_and_its_digest_counts_packages_only(tmp_path: Path) -> None:
    head = "# engine: xtuner\n# flavour: cpu\n# python: 3.11 3.12\n# made: with a command\n# installed_bytes: 1900\n"
    lines = f"torch==2.13.0  # 190 any build\nA.b_C==1.0 --hash=sha256:{HASH} --hash=sha256:{'b' * 64}  # 12\n"
    path = tmp_path / "lock.txt"
    path.write_text(head + lines + f"jieba==0.42.1 --hash=sha256:{HASH}  # 19 sdist\n")
    lock = locks.read_file(path)
    assert (lock.engine, lock.flavour, lock.pythons, lock.installed_bytes) == ("xtuner", "cpu", ("3.11", "3.12"), 1900)
    assert [package.key for package in lock.packages] == ["torch", "a_b_c", "jieba"]
    assert [(p.any_build, p.sdist, len(p.hashes)) for p in lock.packages] == [
        (True, False, 0),
        (False, False, 2),
        (False, True, 1),
    ]
    assert lock.download_bytes == 190 + 12 + 19
    path.write_text(path.read_text().replace("# 190 any", "# 191 any").replace("with a command", "otherwise"))
    assert locks.read_file(path).digest == lock.digest
    path.write_text(path.read_text().replace("0.42.1", "0.42.2"))
    assert locks.read_file(path).digest != lock.digest


@pytest.mark.parametrize(
    "line",
    [
        "torch>=2.13.0  # 190 any build",
        "torch==2.13.0  # 190",  # neither a hash nor any build
        f"torch==2.13.0 --hash=sha256:{HASH}",
        f"torch==2.13.0 --hash=sha256:{HASH}  # 190 any build",
        "https://somewhere/torch.whl",
    ],
)
def test_a_lock_that_was_edited_by_hand_is_refused_with_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lock.txt"
    path.write_text(f"# engine: a\n# flavour: cpu\n# python: 3.11\n{line}\n")
    with pytest.raises(PanelError, match="line 4 is not as it should be"):
        locks.read_file(path)


def test_every_lock_that_is_shipped_can_be_read() -> None:
    for name, engine in engines().items():
        for flavour in engine.recipe.flavours if engine.recipe else ():
            lock = locks.find(engine, flavour)
            if lock is not None:
                assert (lock.engine, lock.flavour) == (name, flavour)
                assert all(places.base_python([python]) or python for python in lock.pythons)


def test_the_states_of_an_environment(workspace: Workspace, toy: Toy) -> None:
    assert places.status(workspace, "toy").state == "missing"
    build = make(workspace, toy, tested=False)
    found = places.status(workspace, "toy")
    assert (found.state, found.usable, found.folder) == ("unproven", True, build)
    assert found.python == build / "bin" / "python"
    report(workspace, toy, build, PASSED)
    assert places.status(workspace, "toy").state == "ready"
    report(workspace, toy, build, PASSED, FAILED)
    assert places.status(workspace, "toy").state == "unproven"
    report(workspace, toy, build, PASSED)
    write_lock(toy.folder / "toy-cpu.txt", "cpu", {"toy": "2.0", "toy-parts": "0.5"})
    assert places.status(workspace, "toy").state == "outdated"


@pytest.mark.parametrize("harm", ["python", "package", "record", "build", "base python"])
def test_what_somebody_deleted_is_seen(workspace: Workspace, toy: Toy, tmp_path: Path, harm: str) -> None:
    build = make(workspace, toy)
    if harm == "python":
        places.interpreter(build).unlink()
    elif harm == "package":
        delete_package(build)
    elif harm == "record":
        (build / places.RECORD).unlink()
    elif harm == "build":
        shutil.rmtree(build)
    else:
        places.interpreter(build).unlink()
        places.interpreter(build).symlink_to(tmp_path / "a Python that is gone")
    found = places.status(workspace, "toy")
    assert (found.state, found.usable, found.python) == ("damaged", False, None)
    assert found.problem is not None
    assert "Environments page" in found.problem.hint
    assert not planning.plan(workspace, "toy").reuse
    assert planning.plan(workspace, "toy").problems == ()
    shutil.rmtree(places.home(workspace, "toy"))
    assert places.status(workspace, "toy").state == "missing"


def test_one_that_others_share_is_used_and_never_written(
    workspace: Workspace, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(workspace, toy)
    shared = tmp_path / "shared"
    places.folder(workspace).rename(shared)
    assert places.status(workspace, "toy").state == "missing"
    monkeypatch.setenv("TUNEDECK_SHARED_ENVIRONMENTS_FOLDER", str(shared))
    found = places.status(workspace, "toy")
    assert (found.state, found.shared) == ("ready", True)
    assert planning.plan(workspace, "toy").reuse
    with pytest.raises(NotFoundError):
        removing.remove(workspace, "toy")
    # One's own comes first.
    own = make(workspace, toy)
    assert places.status(workspace, "toy").folder == own


def test_a_report_of_an_environment_that_is_not_ours_is_kept_with_our_things(
    workspace: Workspace, toy: Toy, tmp_path: Path
) -> None:
    root = tmp_path / "somebodys"
    root.mkdir()
    at = time.time()
    places.save_report(workspace, "toy", Report("toy", "cpu", "", at, 1.0, (PASSED,)), root)
    assert list(root.iterdir()) == []
    assert len(list(places.home(workspace, "toy").glob("selftest-*.json"))) == 1


def test_a_python_named_in_the_settings_comes_first(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "mine" / "bin" / "python"
    monkeypatch.setenv("TUNEDECK_LMDEPLOY_PYTHON", str(python))
    missing = places.status(workspace, "lmdeploy")
    assert missing.state == "damaged"
    assert str(python) in str(missing.problem)
    (tmp_path / "mine" / "lib" / "python3.11" / "site-packages" / "lmdeploy-0.18.0.dist-info").mkdir(parents=True)
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    found = places.status(workspace, "lmdeploy")
    assert (found.state, found.python, dict(found.versions)) == ("own", python, {"lmdeploy": "0.18.0"})
    torch = tmp_path / "mine" / "lib" / "python3.11" / "site-packages" / "torch"
    torch.mkdir()
    for cuda, flavour in (("None", "cpu"), ("'13.0'", "cuda")):
        (torch / "version.py").write_text(f"__version__ = '2.13.0'\ncuda: Optional[str] = {cuda}\n")
        assert places.status(workspace, "lmdeploy").flavour == flavour
    assert [problem.code for problem in planning.plan(workspace, "lmdeploy").problems][:1] in (
        ["env_own_named"],
        ["env_no_lock"],
    )


def test_every_engine_has_a_status_and_a_stranger_is_refused(workspace: Workspace, toy: Toy) -> None:
    found = {status.engine: status for status in places.statuses(workspace)}
    assert list(found) == list(engines())
    assert found["transformers"].state == "builtin"
    assert found["transformers"].usable
    for name in ("nothing", "transformers"):
        with pytest.raises(NotFoundError, match=rf"no environment called '{name}'"):
            planning.plan(workspace, name)


def test_a_plan_names_everything_that_stands_in_the_way(
    workspace: Workspace, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planning.plan(workspace, "toy")
    assert (plan.flavour, plan.packages, plan.download_bytes, plan.problems) == ("cpu", 2, 3_000_000, ())
    assert plan.needed_bytes == 4_000_000 + 2 * 3_000_000 + 1_500_000 + (1 << 30)
    write_lock(toy.folder / "toy-cpu.txt", "cpu", {"toy": "1.0"}, python="3.99")
    monkeypatch.setenv("TUNEDECK_DOWNLOAD_RESERVE_MIB", str(1 << 40))
    codes = [problem.code for problem in planning.plan(workspace, "toy", wheels_folder=tmp_path / "none").problems]
    assert codes == ["env_python_version", "env_bundle_missing", "env_no_room"]
    (toy.folder / "toy-cpu.txt").unlink()
    assert [problem.code for problem in planning.plan(workspace, "toy").problems] == ["env_no_lock"]
    gpu = machine.Gpu(0, "GPU-1", "A card", 1 << 34, 1 << 34, 0.0)
    monkeypatch.setattr(machine, "gpus", lambda: ((gpu,), ""))
    assert planning.plan(workspace, "toy").flavour == "cuda"
    assert planning.plan(workspace, "toy", "cpu").flavour == "cpu"


def test_what_is_here_already_need_not_be_fetched(workspace: Workspace, toy: Toy) -> None:
    folder = places.home(workspace, "toy") / places.WHEELS
    folder.mkdir(parents=True)
    (folder / "toy_parts-0.5-cp311-cp311-linux_x86_64.whl").touch()
    (folder / "toy-2.0-py3-none-any.whl").touch()
    assert planning.plan(workspace, "toy").download_bytes == 1_500_000


def test_files_are_told_by_their_names_and_their_content(tmp_path: Path) -> None:
    assert wheels.named("Foo_Bar-1.0+cpu-cp311-cp311-linux_x86_64.whl") == ("foo_bar", "1.0+cpu")
    assert wheels.named("rouge-chinese-1.0.3.tar.gz") == ("rouge_chinese", "1.0.3")
    assert wheels.named("bundle.json") is None
    package = wheel("part", "1.0", pad=3_000_000)
    path = tmp_path / package.file
    path.write_bytes(package.data)
    pinned = locks.Package("part", "1.0", (package.sha256,), 1)
    anything = locks.Package("part", "1.0", (), 1, any_build=True)
    assert wheels.true_to(path, pinned)
    assert wheels.true_to(path, anything)
    path.write_bytes(package.data[:-1000])
    assert not wheels.true_to(path, pinned)
    assert not wheels.true_to(path, anything)
    path.write_bytes(package.data[:5000] + bytes(100) + package.data[5100:])
    assert not wheels.true_to(path, anything), "an archive that is as long as it should be, and rotten inside"
    assert bundles.digest_of(tmp_path, path) is None


def test_a_program_gets_its_environments_variables_and_patches_and_none_of_our_secrets(
    workspace: Workspace, toy: Toy
) -> None:
    build = make(workspace, toy)
    base = {
        "PATH": "/bin",
        "PYTHONPATH": "/ours",
        "VIRTUAL_ENV": "/ours",
        "TUNEDECK_TOKEN": "secret",
        "TUNEDECK_SERVER_KEY": "secret",
        "TUNEDECK_JOB_COOKIE": "1.1.x",
        "OMP_NUM_THREADS": "3",
    }
    found = running.environ(toy, places.interpreter(build), "cpu", base)
    assert "secret" not in found.values()
    assert (found["TUNEDECK_JOB_COOKIE"], found["OMP_NUM_THREADS"]) == ("1.1.x", "3")
    assert found["PATH"] == f"{build}/bin:/bin"
    assert found["PYTHONNOUSERSITE"] == "1"
    assert found["CUDA_VISIBLE_DEVICES"] == ""
    assert found["PYTHONPATH"].endswith("jobs/shims/patches/toy_parts"), "its version is below 2, so it is patched"
    assert "CUDA_VISIBLE_DEVICES" not in running.environ(toy, places.interpreter(build), "cuda", base)
    recipe = toy.recipe
    newer = Patch("other", "why", "toy", ">=2", "")
    toy.recipe = type(recipe)(recipe.packages, recipe.flavours, recipe.imports, patches=(newer,), folder=recipe.folder)
    assert "PYTHONPATH" not in running.environ(toy, places.interpreter(build), "cpu", base)


def test_an_environment_in_use_is_not_removed(workspace: Workspace, toy: Toy) -> None:
    build = make(workspace, toy)
    waits = "import sys; print('up', flush=True); sys.stdin.read()"
    # As somebody starts it from a shell, and as a job starts it: a descendant that only has the variables.
    shell = subprocess.Popen(
        [str(places.interpreter(build)), "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    job = subprocess.Popen(
        [sys.executable, "-c", waits],
        env=running.environ(toy, places.interpreter(build), "cpu", {**os.environ, "TUNEDECK_JOB_ID": "12"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for program in (shell, job):
            assert program.stdout is not None
            assert program.stdout.readline() == "up\n"
        assert {process.pid for process in running.users(build)} == {shell.pid, job.pid}
        with pytest.raises(ConflictError, match=r"in use by these jobs: #12\."):
            removing.remove(workspace, "toy")
        job.communicate("", timeout=20)
        with pytest.raises(ConflictError, match=f"in use by other programs .*{shell.pid}"):
            removing.remove(workspace, "toy")
        assert places.status(workspace, "toy").state == "ready"
    finally:
        for program in (shell, job):
            program.kill()
            program.communicate()
    assert removing.size(workspace, "toy") > 0
    removing.remove(workspace, "toy")
    assert places.status(workspace, "toy").state == "missing"


@pytest.mark.parametrize("name", ["pip_index_url", "pip_extra_index_url", "proxy"])
def test_a_password_in_a_setting_is_refused_and_not_repeated(workspace: Workspace, name: str) -> None:
    with pytest.raises(PanelError, match="netrc") as refused:
        settings.save(workspace, **{name: "https://me:topsecret@packages.test/simple"})
    assert "topsecret" not in str(refused.value) + refused.value.hint
    saved = settings.save(workspace, **{name: " https://packages.test/simple/ "})
    assert getattr(saved, name) == "https://packages.test/simple"


def test_a_folder_for_environments_is_written_from_the_root(workspace: Workspace) -> None:
    with pytest.raises(PanelError, match="written from the root"):
        settings.save(workspace, environments_folder="envs")


def test_a_report_survives_its_file(workspace: Workspace, toy: Toy) -> None:
    build = make(workspace, toy)
    check = Check(
        "Play",
        "failed",
        1.5,
        {"Loss": "3.42 → 3.10"},
        PanelError("toy_broken", "It is {how}.", "Mend it.", how="broken"),
    )
    report(workspace, toy, build, check)
    found = places.status(workspace, "toy").report
    assert found is not None
    assert str(found.checks[0].problem) == "It is broken."
    assert found.checks[0].figures == {"Loss": "3.42 → 3.10"}


def test_the_rate_of_a_download_ends_with_its_phase() -> None:
    told = {"phase": "download", "step": 3.0, "total": 9.0, "metrics": {"mb_per_s": 1.0, "files": 2, "loss": 3.0}}
    merged = merge_progress({}, [told, {"phase": "install", "step": 1, "total": 73}])
    assert merged == {"phase": "install", "step": 1, "total": 73, "metrics": {"loss": 3.0}}
    assert merge_progress({}, [told, {"phase": "download", "step": 4.0}])["metrics"]["mb_per_s"] == 1.0
