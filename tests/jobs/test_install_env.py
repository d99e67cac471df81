"""Installing an engine's environment for real: venv, pip, tiny wheels from an index on loopback, and the self-test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.engines import engines
from backend.engines.base import Engine
from backend.envs import places, planning, removing, running
from backend.envs.status import Status
from backend.errors import ConflictError, NotFoundError
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.environments import Toy, make
from tests.support.installs import Run, end_all, environ
from tests.support.jobs import Queue
from tests.support.toy_engine import PLAY, Checkout, checkout_with_engine, toy_packages
from tests.support.wait import until
from tests.support.wheel_index import Fault, WheelIndex, wheel


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def index() -> Iterator[WheelIndex]:
    with WheelIndex() as running_index:
        yield running_index


@pytest.fixture
def checkout(tmp_path: Path, index: WheelIndex) -> Checkout:
    made = checkout_with_engine(tmp_path)
    index.add(*made.packages)
    return made


@pytest.fixture
def toy(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The toy as this process sees it, with the locks of the checkout."""
    locks = checkout.root / "backend" / "engines" / "locks"
    engine = Toy(locks.parent / "unused")
    engine.recipe = type(engine.recipe)(
        ("toy", "toy-part"), ("cpu", "cuda"), ("toy",), environ={"TOY": "plays"}, folder=locks
    )
    monkeypatch.setitem(engines(), "toy", engine)
    return engine


def status(workspace: Workspace) -> Status:
    return places.status(workspace, "toy")


def test_it_is_made_reused_renewed_and_repaired_and_never_taken_away_from_a_running_program(
    tmp_path: Path, index: WheelIndex, checkout: Checkout, toy: Engine, workspace: Workspace
) -> None:
    env = environ(tmp_path, index.url)
    assert status(workspace).state == "missing"
    plan = planning.plan(workspace, "toy")
    assert (plan.packages, plan.reuse, plan.problems) == (2, False, ())
    assert plan.download_bytes == sum(len(package.data) for package in checkout.packages)

    first = Run(checkout, "install_env", tmp_path / "job1", env)
    result = first.wait()
    assert first.phases() == ["check", "create", "download", "install", "patch", "selftest"]
    assert result["complete"]
    assert not result["reused"]
    found = status(workspace)
    assert (found.state, found.flavour, dict(found.versions)) == ("ready", "cpu", {"toy": "1.0", "toy-part": "1.0"})
    assert found.report is not None
    assert [check.figures for check in found.report.checks][1] == {"Played": "toy 1.0 plays"}
    assert (str(found.folder), str(found.python), found.size_bytes) == (
        result["folder"],
        result["python"],
        result["bytes"],
    )
    assert not (places.home(workspace, "toy") / places.WHEELS).exists(), "downloads are only kept for another attempt"

    # A second panel, with a workspace of its own, reuses it: nothing is fetched.
    index.seen.clear()
    other = Run(checkout, "install_env", tmp_path / "job2", {**env, "TUNEDECK_WORKSPACE": str(tmp_path / "other")})
    assert other.wait()["reused"]
    assert other.phases() == ["check"]
    assert index.seen == []
    assert planning.plan(workspace, "toy").reuse

    # A newer lock; its self-test fails: the old one stays, whole and in use.
    newer = toy_packages("2.0")
    index.add(*newer)
    checkout.lock(newer)
    assert status(workspace).state == "outdated"
    fails = tmp_path / "fails"
    fails.touch()
    error = Run(checkout, "install_env", tmp_path / "job3", {**env, "TOY_FAILS": str(fails)}).error()
    assert (error["code"], error["params"]["check"]) == ("env_selftest_failed", "Play a little")
    assert "it was told to be" in error["params"]["problem"]
    assert error["params"]["report"]["checks"][1]["outcome"] == "failed"
    assert (status(workspace).folder, status(workspace).state) == (found.folder, "outdated")
    assert removing.builds(places.home(workspace, "toy")) == [found.folder], "the failed build is gone"

    # Mended, it needs no download; a program that runs keeps the old build under its feet.
    index.seen.clear()
    fails.unlink()
    assert found.python is not None
    program = subprocess.Popen(
        [
            str(found.python),
            "-c",
            "import sys; print('up', flush=True); sys.stdin.read(); import toy; print(toy.__version__)",
        ],
        env=running.environ(toy, found.python, "cpu", {**env, "TUNEDECK_JOB_ID": "7"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "up\n"
    try:
        Run(checkout, "install_env", tmp_path / "job4", env).wait()
        assert index.fetched() == [], "all files were kept by the attempt that failed"
        renewed = status(workspace)
        assert (renewed.state, renewed.versions["toy"]) == ("ready", "2.0")
        assert renewed.folder != found.folder
        assert found.folder.is_dir()
        with pytest.raises(ConflictError) as refused:
            removing.remove(workspace, "toy")
        assert "#7" in str(refused.value)
    finally:
        said = program.communicate("", timeout=20)[0]
    assert said == "1.0\n"

    # Somebody deletes what is in use: it is said, and the same button repairs it. What is left of old builds goes.
    packages = next(renewed.folder.glob("lib/python*/site-packages/toy_part-2.0.dist-info"))
    packages.rename(packages.with_name("gone"))
    damaged = status(workspace)
    assert (damaged.state, damaged.usable) == ("damaged", False)
    assert "toy_part-2.0" in str(damaged.problem)
    assert not planning.plan(workspace, "toy").reuse
    Run(checkout, "install_env", tmp_path / "job5", env).wait()
    assert status(workspace).state == "ready"
    assert removing.builds(places.home(workspace, "toy")) == [status(workspace).folder]

    assert removing.remove(workspace, "toy") > 50_000
    assert status(workspace).state == "missing"
    with pytest.raises(NotFoundError, match="no environment of Toy to remove"):
        removing.remove(workspace, "toy")


def test_blanks_chinese_characters_source_packages_and_any_build(tmp_path: Path) -> None:
    folder = tmp_path / "我的 folder 😀"
    folder.mkdir()
    checkout = checkout_with_engine(folder, toy_packages(source=True))
    checkout.lock(any_build=("toy",))
    with WheelIndex(as_json=True) as index:
        index.add(*checkout.packages)
        result = Run(checkout, "install_env", folder / "a job", environ(folder, index.url)).wait()
    build = Path(result["folder"])
    assert "我的 folder 😀" in str(build)
    asked = [result["python"], "-c", "import toy, toy_part, toy_source; print(toy_source.__file__)"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert Path(said.strip()).is_relative_to(build)
    assert len(places.distributions(build)) == 4


def test_a_build_that_is_not_for_the_cpu_alone_gets_what_it_needs_beyond_the_lock_with_a_network_and_without(
    tmp_path: Path,
) -> None:
    # As torch from an index that has no builds for the CPU: it does not load without NVIDIA's libraries.
    needs = ('toy-cuda==12; platform_system == "Linux"', 'toy-win; platform_system == "Windows"', "toy-part")
    toy = wheel("toy", "1.0", code=f"import toy_cuda, toy_deep\n{PLAY}", needs=needs)
    more = [wheel("toy-cuda", "12", needs=("toy-deep>=1", "toy-part")), wheel("toy-deep", "1.5")]
    checkout = checkout_with_engine(tmp_path, [toy, wheel("toy-part", "1.0")])
    checkout.lock(any_build=("toy",))
    bundle, asked = tmp_path / "bundle", "import toy, toy_cuda, toy_deep, toy_part; print(toy_part.__version__)"
    with WheelIndex() as index:
        index.add(*checkout.packages, *more, wheel("toy-part", "2.0"))
        env = environ(tmp_path, index.url)
        made = Run(checkout, "install_env", tmp_path / "job1", env).wait()
        said = subprocess.run([made["python"], "-c", asked], capture_output=True, text=True, check=True).stdout
        assert said.strip() == "1.0", "what it needs takes nothing away from the lock"
        assert Run(checkout, "bundle_env", tmp_path / "job2", env, folder=str(bundle)).wait()["files"] == 4
    env = environ(tmp_path, "http://127.0.0.1:9")
    again = Run(checkout, "install_env", tmp_path / "job3", env, wheels=str(bundle), reinstall=True).wait()
    assert again["folder"] != made["folder"]
    assert subprocess.run([again["python"], "-c", asked], check=False).returncode == 0
    (bundle / "beyond" / more[1].file).write_bytes(b"changed")
    error = Run(checkout, "install_env", tmp_path / "job4", env, wheels=str(bundle), reinstall=True).error()
    assert error["code"] == "env_bundle_changed"
    assert error["params"]["file"] == more[1].file


def test_killed_in_each_phase_it_goes_on_and_nothing_half_made_is_ever_in_use(
    tmp_path: Path, index: WheelIndex, checkout: Checkout, toy: Engine, workspace: Workspace
) -> None:
    holds = tmp_path / "holds"
    holds.touch()
    env = environ(tmp_path, index.url, TOY_HOLDS=str(holds))
    home, job = places.home(workspace, "toy"), tmp_path / "job"

    # In create, or right after it.
    Run(checkout, "install_env", job, env).reach("create").kill()
    assert status(workspace).state == "missing"

    # In download: the one file is here, the other is held in its middle. Both come in one run of pip, so neither is kept.
    index.fail("/files/toy_part", Fault(cut=20_000, hold=True))
    run = Run(checkout, "install_env", job, env).reach("download")
    until(index.held.is_set, 30, "the index holds the download")
    run.kill()
    assert status(workspace).state == "missing"
    half = removing.builds(home)
    assert half, "what it had begun lies there"

    # In install.
    run = Run(checkout, "install_env", job, env).reach("install")
    run.kill()
    assert status(workspace).state == "missing"
    assert not set(half) & set(removing.builds(home)), "the next attempt removed what was half made"

    # In the self-test: the build is whole, but not proven.
    index.seen.clear()
    run = Run(checkout, "install_env", job, env).reach("selftest")
    assert index.fetched() == [], "the files were all here"
    (whole,) = removing.builds(home)
    run.kill()
    assert places.record(whole) is not None
    assert status(workspace).state == "missing"

    # The last attempt finds it, and only tests it.
    holds.unlink()
    last = Run(checkout, "install_env", job, env)
    assert last.wait()["folder"] == str(whole)
    assert last.phases() == ["check", "patch", "selftest"]
    assert status(workspace).state == "ready"
    assert removing.builds(home) == [whole]


def test_two_installs_at_once_the_second_waits_can_be_cancelled_and_reuses(
    tmp_path: Path, index: WheelIndex, checkout: Checkout, toy: Engine, workspace: Workspace
) -> None:
    holds = tmp_path / "holds"
    holds.touch()
    env = environ(tmp_path, index.url, TOY_HOLDS=str(holds))
    first = Run(checkout, "install_env", tmp_path / "job1", env).reach("create")
    second = Run(checkout, "install_env", tmp_path / "job2", env).reach("turn")
    third = Run(checkout, "install_env", tmp_path / "job3", env).reach("turn")
    assert places.installing(workspace, "toy")
    with pytest.raises(ConflictError, match="being installed now"):
        removing.remove(workspace, "toy")
    third.interrupt()
    third.wait(130)
    holds.unlink()
    result = first.wait()
    again = second.wait()
    assert again["reused"]
    assert again["folder"] == result["folder"]
    assert second.phases() == ["check", "turn"]
    assert len(removing.builds(places.home(workspace, "toy"))) == 1
    assert not places.installing(workspace, "toy")


def test_the_self_test_runs_on_demand_and_its_outcome_is_kept(
    tmp_path: Path, checkout: Checkout, toy: Engine, workspace: Workspace
) -> None:
    env = environ(tmp_path)
    job = tmp_path / "job"
    assert Run(checkout, "test_env", job, env).error()["code"] == "env_missing"
    build = make(workspace, toy, tested=False)
    base = Path(sys.executable).resolve()
    (build / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (places.site_packages(build)[0] / "toy.py").write_text(f"__version__ = '1.0'\n{PLAY}")
    for info, name in zip(sorted(build.glob("lib/*/*/*.dist-info")), ("toy", "toy-part"), strict=True):
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    assert status(workspace).state == "unproven"
    assert Run(checkout, "test_env", job, env).wait()["report"]["checks"][1]["outcome"] == "passed"
    assert status(workspace).state == "ready"
    fails = tmp_path / "fails"
    fails.touch()
    error = Run(checkout, "test_env", job, {**env, "TOY_FAILS": str(fails)}).error()
    assert (error["code"], error["params"]["check"]) == ("env_selftest_failed", "Play a little")
    broken = status(workspace)
    assert broken.state == "unproven"
    assert broken.report is not None
    assert [check.outcome for check in broken.report.checks] == ["passed", "failed"]

    # Another person shares it: used as it is, and an install finds it proven.
    Run(checkout, "test_env", job, env).wait()
    own = {
        **env,
        "TUNEDECK_WORKSPACE": str(tmp_path / "reader"),
        "TUNEDECK_ENVIRONMENTS_FOLDER": str(tmp_path / "own environments"),
        "TUNEDECK_SHARED_ENVIRONMENTS_FOLDER": str(places.folder(workspace)),
    }
    result = Run(checkout, "install_env", job, own).wait()
    assert (result["reused"], result["folder"]) == (True, str(build))


def test_an_environment_that_needs_another_python_is_refused_before_anything_is_fetched(
    tmp_path: Path, index: WheelIndex, checkout: Checkout
) -> None:
    checkout.python = "3.99"
    checkout.lock()
    run = Run(checkout, "install_env", tmp_path / "job", environ(tmp_path, index.url))
    error = run.error()
    assert error["code"] == "env_python_version"
    assert error["params"]["wanted"] == "3.99"
    assert run.phases() == ["check"]
    assert index.seen == []


def test_through_the_queue_a_cancel_and_a_kill_leave_no_pip_and_another_attempt_goes_on(
    tmp_path: Path,
    index: WheelIndex,
    checkout: Checkout,
    toy: Engine,
    workspace: Workspace,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ(tmp_path, index.url).items():
        monkeypatch.setenv(name, value)
    queue = Queue(workspace, store)
    queue.checkout = checkout.root
    queue.start_watcher()
    try:
        index.fail("/files/toy_part", Fault(cut=20_000, hold=True, times=2))
        job = store.submit("install_env", {"engine": "toy"})
        until(index.held.is_set, 40, "the index holds the download")
        assert [each for each in queue.processes(job.id) if "pip" in " ".join(each.cmdline())]
        store.cancel(job.id)
        queue.reach(job.id, "cancelled")
        assert queue.processes(job.id) == []
        assert removing.builds(places.home(workspace, "toy")) == [], "a cancel cleans up behind itself"

        index.held.clear()
        store.resume(job.id)
        until(index.held.is_set, 40, "the index holds the download again")
        queue.child(job.id).kill()
        queue.reach(job.id, "failed", "lost")
        assert queue.processes(job.id) == []
        assert status(workspace).state == "missing"

        store.resume(job.id)
        row = queue.reach(job.id, "succeeded", "failed", timeout=60)
        assert row.state == "succeeded", row.error
        assert status(workspace).state == "ready"
    finally:
        queue.end()
