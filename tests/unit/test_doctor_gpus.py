"""The doctor looks at GPUs: a stub of the driver's library under the real pynvml, in every condition that people meet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.doctor import facts
from backend.workspace import ROOT, Workspace
from tests.support import nvml

PROGRAM = """
import json, os, sys
from pathlib import Path
from backend.doctor import engines, gpus, report, sharing
from backend.doctor.here import Here
from backend.doctor.run import examine
for line in sys.stdin:
    asked = json.loads(line)
    before = dict(os.environ)
    os.environ.update(asked["environ"])  # the stub reads its variable at each call
    found = examine(Here(root=Path(asked["root"])), (*gpus.CHECKS, *sharing.CHECKS, *engines.CHECKS))
    found = report.cleaned(found) if asked["clean"] else found
    os.environ.clear()
    os.environ.update(before)
    print(json.dumps(report.as_dict(found)["findings"]), flush=True)
os._exit(0)  # a thread that hangs in the driver is not waited for
"""
Look = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stub of the driver's library, compiled now."""
    return nvml.driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def asker(driver: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the stub for its driver and looks whenever it is asked to."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=nvml.environ(driver),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def look(asker: subprocess.Popen[str], tmp_path: Path, workspace: Workspace) -> Look:
    """``look("gpus=8;lost=3")``: what the doctor finds with such a driver, by code."""

    def looked(stub: str = "no-driver", *, clean: bool = False, **environ: str) -> dict[str, dict[str, Any]]:
        environ |= {
            "NVML_STUB": stub,
            "TUNEDECK_WORKSPACE": str(workspace.root),
            "TUNEDECK_ENVIRONMENTS_FOLDER": str(tmp_path / "environments"),
        }
        assert asker.stdin is not None
        assert asker.stdout is not None
        asker.stdin.write(json.dumps({"root": str(tmp_path), "clean": clean, "environ": environ}) + "\n")
        asker.stdin.flush()
        return {finding["code"]: finding for finding in json.loads(asker.stdout.readline())}

    return looked


def said(finding: dict[str, Any]) -> str:
    return "\n".join(finding["evidence"])


def pci(root: Path, vendor: str, kind: str) -> None:
    device = root / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor + "\n")
    (device / "class").write_text(kind + "\n")


def test_without_a_gpu_all_is_well_and_nothing_is_said_of_what_is_not_there(look: Look, tmp_path: Path) -> None:
    pci(tmp_path, "0x10de", "0x020000")  # an NVIDIA network card is no GPU
    found = look()
    assert found["gpu_driver"]["state"] == "ok"
    assert said(found["gpu_driver"]) == "There is no NVIDIA GPU."
    assert not {"gpu_lost", "gpu_features", "gpu_health", "gpu_neighbours"} & found.keys()
    assert found["build_tools"]["state"] == "ok"


def test_a_card_without_its_driver_is_bad_and_in_a_container_the_fix_is_another(look: Look, tmp_path: Path) -> None:
    pci(tmp_path, "0x10de", "0x030200")
    bare = look()["gpu_driver"]
    assert bare["state"] == "bad"
    assert "ubuntu-drivers" in bare["fixes"][0]["command"]
    (tmp_path / ".dockerenv").touch()
    assert "docker run --gpus all" in look()["gpu_driver"]["fixes"][0]["command"]


def test_eight_cards_that_are_well(look: Look) -> None:
    found = look("gpus=8;driver=580;cuda=13000;cc=80")
    assert said(found["gpu_driver"]) == "Driver 580.82.01, for CUDA up to 13.0.\n8 × NVIDIA A100-SXM4-80GB"
    assert said(found["gpu_lost"]) == "All 8 answer."
    for code in ("gpu_features", "gpu_health", "gpu_modes", "gpu_neighbours"):
        assert found[code]["state"] == "ok", found[code]
    assert "FP8" in found["gpu_features"]["meaning"], "what it cannot do is said, although nobody needs it"


def test_each_trouble_of_a_card_is_named_with_the_card(look: Look) -> None:
    found = look("gpus=8;lost=3;mig=1;ecc=2;hot=5;mode=2;asleep=4")
    assert (found["gpu_lost"]["state"], said(found["gpu_lost"])) == ("bad", "GPU 3: GPU is lost")
    assert found["gpu_health"]["state"] == "bad"
    assert said(found["gpu_health"]) == "GPU 2: 7 memory errors (ECC).\nGPU 5 slows down because of heat or power."
    assert (found["gpu_mig"]["state"], said(found["gpu_mig"])) == ("attention", "Divided into parts: GPU 1.")
    assert (found["gpu_mode"]["state"], said(found["gpu_mode"])) == ("bad", "GPU 0 is in compute mode 'prohibited'.")
    assert said(found["gpu_persistence"]) == "Persistence mode is off: GPU 4."


def test_heat_alone_needs_attention(look: Look) -> None:
    assert look("gpus=1;hot=0")["gpu_health"]["state"] == "attention"


def test_an_old_card_is_told_what_it_cannot_do_and_what_is_done_instead(look: Look) -> None:
    found = look("gpus=2;cc=75")["gpu_features"]
    assert found["state"] == "attention"
    assert "It cannot: bfloat16, FlashAttention 2, FP8." in found["evidence"]
    assert "bfloat16: Models are served and trained in float16 there." in found["evidence"]
    assert look("gpus=2;cc=90")["gpu_features"]["meaning"] == ""


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process of another user."""
    if os.getuid() != 0:
        yield 1  # the first process belongs to the system
        return
    with subprocess.Popen(["sleep", "60"], user=65534) as process:
        yield process.pid
        process.kill()


def test_another_persons_process_is_named_here_but_not_in_a_report(look: Look, stranger: int) -> None:
    scene = f"gpus=2;pid={stranger};held=20480;used=20600"
    found = look(scene)["gpu_neighbours"]
    assert found["state"] == "attention"
    assert " of nobody holds 20.0 GiB" in said(found) or " of root holds 20.0 GiB" in said(found)
    assert found["meaning"].startswith("20.0 GiB of GPU memory are in use by others")
    assert " of another user holds 20.0 GiB" in said(look(scene, clean=True)["gpu_neighbours"])


def test_memory_of_processes_that_cannot_be_seen_is_said_to_be_so(look: Look) -> None:
    found = look("gpus=1;pid=4194303;held=30720;used=40960")["gpu_neighbours"]
    assert found["state"] == "attention"
    assert said(found).startswith("GPU 0: 40.0 GiB are held by processes that cannot be seen from here")


def test_ones_own_processes_are_no_neighbours(look: Look) -> None:
    found = look(f"gpus=1;pid={os.getpid()};held=20480;used=20600")["gpu_neighbours"]
    assert found["state"] == "ok"
    assert "GPU 0: your " in said(found)


def test_a_driver_that_was_updated_under_a_running_kernel_is_bad(look: Look) -> None:
    found = look("mismatch")
    assert found["gpu_driver"]["state"] == "bad"
    assert "version mismatch" in said(found["gpu_driver"])
    assert "restart" in found["gpu_driver"]["fixes"][0]["text"].lower()


def test_a_variable_that_hides_cards_needs_attention(look: Look) -> None:
    found = look("gpus=2", CUDA_VISIBLE_DEVICES="1")["gpu_visible"]
    assert (found["state"], said(found)) == ("attention", "CUDA_VISIBLE_DEVICES is '1'.")
    assert look("gpus=2", CUDA_VISIBLE_DEVICES="")["gpu_visible"]["state"] == "attention", "an empty one hides all"


def own_environment(folder: Path, torch: str, cuda: str | None) -> Path:
    """An environment that holds an LMDeploy, as far as names tell; its Python."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    (packages / "torch").mkdir(parents=True)
    build = f"'{cuda}'" if cuda else "None"
    (packages / "torch" / "version.py").write_text(f"__version__ = '{torch}'\ncuda: Optional[str] = {build}\n")
    (packages / "lmdeploy-0.18.0.dist-info").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("scene", "cuda", "state", "words"),
    [
        ("gpus=1;driver=580;cc=80", "13.0", "ok", "built with CUDA 13.0. The driver is 580.82.01."),
        ("gpus=1;driver=550;cc=80", "13.0", "bad", "It needs driver 580 or newer."),
        ("gpus=1;driver=550;cc=80", "12.8", "ok", "built with CUDA 12.8"),
        ("gpus=1;driver=470;cc=80", "12.8", "bad", "It needs driver 525 or newer."),
        ("gpus=1;driver=580;cc=70", "13.0", "bad", "compute capability 7.5 and newer; a GPU here has 7.0"),
        ("gpus=1;driver=580;cc=80", None, "attention", "is built for the CPU"),
        ("gpus=1;driver=580;cc=80", "99.0", "unknown", "built with CUDA 99.0"),
    ],
)
def test_a_build_is_held_against_driver_and_cards(
    look: Look, tmp_path: Path, scene: str, cuda: str | None, state: str, words: str
) -> None:
    python = own_environment(tmp_path / "own", "2.13.0", cuda)
    found = look(scene, TUNEDECK_LMDEPLOY_PYTHON=str(python))
    assert found["engine_driver_lmdeploy"]["state"] == state, found["engine_driver_lmdeploy"]
    assert words in said(found["engine_driver_lmdeploy"])
    torchrun = found["torchrun"]
    assert torchrun["state"] == "bad"
    assert f"LMDeploy: {tmp_path / 'own' / 'bin' / 'torchrun'} is not there." in torchrun["evidence"]


def test_the_panels_own_torch_without_cuda_is_said_where_there_are_gpus(look: Look) -> None:
    if facts.torch_build(Path(sys.prefix))[1] is not None:
        pytest.skip("torch here is a CUDA build")
    found = look("gpus=1")["engine_driver_transformers"]
    assert found["state"] == "attention"
    assert "make setup" in found["fixes"][0]["command"]


def test_an_environment_whose_python_is_gone_is_bad(look: Look, tmp_path: Path) -> None:
    found = look(TUNEDECK_LMDEPLOY_PYTHON=str(tmp_path / "gone" / "bin" / "python"))["environments"]
    assert found["state"] == "bad"
    assert "is not there" in said(found)
    assert found["fixes"][0]["place"] == "environments"


def test_compilers_that_are_missing_are_named_where_there_is_a_gpu(look: Look, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("gcc", "g++", "nvcc", "ninja"):
        (tools / name).symlink_to("/bin/sh")
    found = look("gpus=1", PATH=str(tools))["build_tools"]
    assert (found["state"], found["evidence"][-1]) == ("attention", "Not found: libaio.")
    library = tmp_path / "usr/lib/x86_64-linux-gnu/libaio.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    assert look("gpus=1", PATH=str(tools))["build_tools"]["state"] == "ok"


def test_what_a_lock_brings_along_tells_its_cuda() -> None:
    assert facts.locked_cuda(["torch==2.13.0", "nvidia-cuda-runtime==13.0.96"]) == (13, 0)
    assert facts.locked_cuda(["nvidia-cuda-runtime-cu12==12.8.90"]) == (12, 8)
    assert facts.locked_cuda(["torch==2.13.0"]) is None
    assert [facts.oldest_gpu(cuda) for cuda in ((13, 0), (12, 8), (12, 6))] == [(7, 5), (7, 0), (5, 0)]


def test_a_driver_that_never_answers_is_unknown_within_seconds(look: Look) -> None:
    found = look("hung")
    assert {code for code, finding in found.items() if finding["state"] == "unknown"} >= {"gpu_driver", "gpu_lost"}
    assert said(found["gpu_driver"]) == "No answer within 3 s."
    assert found["settings"]["state"] == "ok"
