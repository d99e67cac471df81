"""Installs on a bad day: the network goes, a file is another one, the disk is full, the bundle is not whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.workspace import ROOT
from tests.jobs.test_disk_faults import can_mount
from tests.support.installs import Run, end_all, environ
from tests.support.toy_engine import Checkout, checkout_with_engine, toy_packages
from tests.support.wheel_index import Fault, WheelIndex


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
    # Large enough that pip fetches the part alone, and that half of it is something.
    made = checkout_with_engine(tmp_path, toy_packages(pad=9_000_000))
    index.add(*made.packages)
    return made


def test_a_network_that_comes_and_goes_costs_only_what_had_not_come(
    tmp_path: Path, index: WheelIndex, checkout: Checkout
) -> None:
    env, job = environ(tmp_path, index.url), tmp_path / "job"
    # It goes for good in the middle of the large file.
    index.fail("/files/toy_part", Fault(cut=1_000_000, times=4))
    run = Run(checkout, "install_env", job, env)
    error = run.error()
    assert error["code"] == "env_pip_cut_off"
    assert index.url in error["params"]["index"]
    assert [seen.first for seen in index.fetched("toy_part")] == [0, 1_000_000, 2_000_000, 3_000_000]
    assert len(index.fetched("toy-1.0")) == 1

    # Back again, it breaks once more; pip goes on where it was, and what was here is not fetched again.
    index.heal()
    index.seen.clear()
    index.fail("/files/toy_part", Fault(cut=5_000_000))
    Run(checkout, "install_env", job, env).wait()
    assert [seen.first for seen in index.fetched("toy_part")] == [0, 5_000_000]
    assert index.fetched("toy-1.0") == []
    last = json.loads([line for line in (job / "events.jsonl").read_text().splitlines() if '"mb_per_s"' in line][-1])
    assert (last["step"], last["metrics"]["files"]) == (last["total"], 2)


def test_a_mirror_that_serves_another_file_is_found_out_and_nothing_of_it_stays(
    tmp_path: Path, index: WheelIndex, checkout: Checkout
) -> None:
    env, job = environ(tmp_path, index.url), tmp_path / "job"
    index.fail("/files/toy-1.0", Fault(wrong=True))
    error = Run(checkout, "install_env", job, env).error()
    assert error["code"] == "env_pip_hash"
    assert error["params"]["package"] == "toy==1.0"
    wheels = tmp_path / "workspace" / "environments" / "toy" / "wheels"
    assert not list(wheels.glob("toy-1.0*"))

    # A file that was right when it came and rotted on the disk is fetched again.
    (wheels / checkout.packages[1].file).write_bytes(b"rotten")
    again = Run(checkout, "install_env", job, env)
    again.wait()
    assert f"{checkout.packages[1].file} is not what the lock says; it is fetched again" in again.text()


def test_without_a_network_it_says_what_to_do(tmp_path: Path, checkout: Checkout) -> None:
    error = Run(checkout, "install_env", tmp_path / "job", environ(tmp_path)).error()
    assert error["code"] == "env_pip_unreachable"
    assert "127.0.0.1:9" in error["params"]["index"]
    assert "bundle" in error["hint"]
    assert "refused" in error["evidence"]["text"]


def test_a_bundle_is_made_carried_away_and_installed_without_a_network(
    tmp_path: Path, index: WheelIndex, checkout: Checkout
) -> None:
    env, job = environ(tmp_path, index.url), tmp_path / "job"
    folder = tmp_path / "离线 bundle"
    made = Run(checkout, "bundle_env", job, env, folder=str(folder))
    assert made.wait()["files"] == 2
    assert made.phases() == ["check", "download"]
    manifest = json.loads((folder / "bundle.json").read_text())
    assert (manifest["engine"], manifest["flavour"], len(manifest["files"])) == ("toy", "cpu", 2)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*manifest["files"], "bundle.json"])

    # A second call fetches nothing; a folder with a person's own things is left alone.
    index.seen.clear()
    Run(checkout, "bundle_env", job, env, folder=str(folder)).wait()
    assert index.fetched() == []
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").touch()
    assert Run(checkout, "bundle_env", job, env, folder=str(own)).error()["code"] == "env_bundle_folder"

    # On the machine without a network.
    index.seen.clear()
    offline = environ(tmp_path)
    large = next(path for path in folder.glob("toy_part*"))
    whole = large.read_bytes()
    large.unlink()
    error = Run(checkout, "install_env", job, offline, wheels=str(folder)).error()
    assert (error["code"], error["params"]["names"]) == ("env_bundle_lacks", "toy-part==1.0")
    large.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    error = Run(checkout, "install_env", job, offline, wheels=str(folder)).error()
    assert (error["code"], error["params"]["file"]) == ("env_bundle_changed", large.name)
    error = Run(checkout, "install_env", job, offline, wheels=str(folder), flavour="cuda").error()
    assert error["code"] == "env_bundle_other"
    large.write_bytes(whole)
    installed = Run(checkout, "install_env", job, offline, wheels=str(folder))
    assert installed.wait()["complete"]
    assert installed.phases() == ["check", "create", "install", "patch", "selftest"]
    assert index.seen == []
    assert large.exists(), "the bundle belongs to the person"


ON_A_SMALL_DISK = """
import json, os, sys, threading
from pathlib import Path
from tests.support.installs import Run, end_all, environ
from tests.support.toy_engine import checkout_with_engine, toy_packages
from tests.support.wheel_index import WheelIndex
disk, folder = Path(sys.argv[1]), Path(sys.argv[2])
checkout = checkout_with_engine(folder, toy_packages(pad=9_000_000))
lock = checkout.root / "backend/engines/locks/toy-cpu.txt"
text = lock.read_text()
with WheelIndex() as index:
    index.add(*checkout.packages)
    env = environ(folder, index.url, TUNEDECK_ENVIRONMENTS_FOLDER=str(disk / "environments"))
    refused = Run(checkout, "install_env", folder / "job", env).error()
    fetched = len(index.fetched())
    # A lock that promises too little: the disk fills up in the middle.
    lock.write_text(text.replace(text.splitlines()[-1].rpartition("# ")[2], "1000"))
    full = Run(checkout, "install_env", folder / "job", env).error()
    left = sorted(str(p.relative_to(disk)) for p in (disk / "environments/toy").rglob("*") if p.is_file())
    os.system(f"mount -o remount,size=64m '{disk}'")
    again = Run(checkout, "install_env", folder / "job", env).wait()
print(json.dumps({"refused": refused, "fetched": fetched, "full": full, "left": left, "again": again["complete"]}))
"""


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
def test_a_disk_without_room_is_told_before_and_a_disk_that_fills_up_is_told_and_left_clean(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$3" -c "$4" "$1" "$2"'
    done = subprocess.run(
        [
            *("unshare", "-m", "--propagation", "private", "bash", "-c", script, "-"),
            *(str(disk), str(tmp_path), sys.executable, ON_A_SMALL_DISK),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["refused"]["code"] == "env_no_room"
    assert found["refused"]["params"]["needed"] == "20 MB"
    assert found["fetched"] == 0
    assert found["full"]["code"] == "workspace_full"
    assert str(disk) in found["full"]["params"]["path"]
    assert set(found["left"]) <= {"environments/toy/install.lock", "environments/toy/wheels/toy-1.0-py3-none-any.whl"}
    assert found["again"]


def test_a_checkout_copy_is_no_link_into_ours(tmp_path: Path, checkout: Checkout) -> None:
    """The helper itself: what the tests change in the copy must not change what people run."""
    assert not (checkout.root / "backend" / "engines").is_symlink()
    assert not (ROOT / "backend" / "engines" / "toy.py").exists()
    shutil.rmtree(checkout.root)
