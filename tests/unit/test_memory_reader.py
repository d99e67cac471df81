"""What the reader says of GPUs: a stub of the driver's library under the real pynvml, in every condition that people meet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.memory.reader import SILENT
from backend.workspace import Workspace
from tests.support import nvml
from tests.support.nvml import Card, Process
from tests.support.nvml_reader import NvmlReader
from tests.support.wait import until

MIB, GIB = 2**20, 2**30


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> nvml.Scene:
    return nvml.Scene(tmp_path_factory.mktemp("scene") / "scene")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, scene: nvml.Scene) -> Iterator[NvmlReader]:
    with NvmlReader(nvml.driver(tmp_path_factory.mktemp("driver")), scene) as running:
        yield running


@pytest.fixture(scope="module")
def old_process(tmp_path_factory: pytest.TempPathFactory, scene: nvml.Scene) -> Iterator[NvmlReader]:
    """One whose driver is older than the binding."""
    with NvmlReader(nvml.driver(tmp_path_factory.mktemp("old"), old=True), scene) as running:
        yield running


@pytest.fixture
def machine(scene: nvml.Scene) -> nvml.Scene:
    """The machine, empty again."""
    scene.cards, scene.processes, scene.state = [], [], "ok"
    scene.write()
    return scene


@pytest.fixture
def reader(process: NvmlReader, workspace: Workspace, machine: nvml.Scene) -> NvmlReader:
    return process.fresh(workspace)


@pytest.fixture
def sleepers() -> Iterator[list[int]]:
    """Processes to be found on cards."""
    running = [subprocess.Popen(["sleep", "600"]) for _ in range(64)]
    yield [child.pid for child in running]
    for child in running:
        child.kill()
        child.wait()


def show(machine: nvml.Scene, *cards: Card, processes: list[Process] | None = None) -> None:
    machine.cards, machine.processes = list(cards), processes or []
    machine.write()


def test_eight_cards_with_64_processes_are_told_in_full(
    reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]
) -> None:
    cards = [Card(used=20000 + index, reserved=600, load=97, power=371_500, temperature=64) for index in range(8)]
    show(machine, *cards, processes=[Process(pid, card=n % 8, held=2470 + n) for n, pid in enumerate(sleepers)])
    found = reader.look()
    assert found["problem"] == ""
    assert [device["uuid"] for device in found["devices"]] == [f"GPU-{index}" for index in range(8)]
    last = found["devices"][7]
    assert (last["total"], last["used"], last["free"]) == (80 * GIB, 20007 * MIB, 80 * GIB - 20607 * MIB)
    assert (last["load"], last["power_w"], last["power_limit_w"], last["temperature_c"]) == (0.97, 371.5, 400, 64)
    assert (last["throttle"], last["hidden"], last["lost"], last["parent"]) == ([], False, False, "")
    told = {process["pid"]: process for device in found["devices"] for process in device["processes"]}
    assert told.keys() == set(sleepers)
    assert told[sleepers[63]]["size"] == 2533 * MIB
    assert {process["command"] for process in told.values()} == {"sleep"}
    assert {process["job"] for process in told.values()} == {None}


def test_a_process_that_computes_and_draws_counts_once(
    reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]
) -> None:
    both = [Process(sleepers[0], held=500), Process(sleepers[0], held=500, kind="graphics")]
    show(machine, Card(used=560), processes=[*both, Process(sleepers[1], held=60, kind="graphics")])
    device = reader.look()["devices"][0]
    assert sorted(process["size"] for process in device["processes"]) == [60 * MIB, 500 * MIB]


def test_each_user_is_named_and_a_process_that_cannot_be_seen_still_counts(
    reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can start a process of another user")
    with subprocess.Popen(["sleep", "600"], user=65534) as stranger:
        where = [Process(sleepers[0], held=100), Process(stranger.pid, held=200), Process(4194303, held=300)]
        show(machine, Card(used=620), processes=where)
        told = {process["size"] // MIB: process for process in reader.look()["devices"][0]["processes"]}
        stranger.kill()
    assert (told[100]["user"], told[200]["user"]) == ("root", "nobody")
    assert (told[300]["user"], told[300]["command"], told[300]["job"]) == ("", "", None)


def test_what_a_program_was_told_in_secret_is_not_repeated(
    reader: NvmlReader, machine: nvml.Scene, tmp_path: Path
) -> None:
    script = tmp_path / "train_me.py"
    script.write_text("import sys; sys.stdin.read()")
    lines = [
        (
            [sys.executable, "-u", "-W", "ignore", str(script), "--key=hunter2"],
            f"{Path(sys.executable).name} train_me.py",
        ),
        ([sys.executable, "-m", "code", "-q"], f"{Path(sys.executable).name} -m code"),
        ([sys.executable, "-c", "import sys; sys.stdin.read()  # hunter2"], f"{Path(sys.executable).name} -c"),
        (["cat", "/dev/stdin", "-"], "cat"),
        (["renamed: worker --key=hunter2"], "renamed:"),
    ]
    running = []
    for line, _ in lines:
        program = "/bin/cat" if line[0].startswith("renamed") else line[0]
        running.append(subprocess.Popen(line, executable=program, stdin=subprocess.PIPE))
    try:
        show(machine, Card(used=100), processes=[Process(child.pid, held=10) for child in running])
        reader.look()
        told = {process["pid"]: process["command"] for process in reader.look()["devices"][0]["processes"]}
    finally:
        for child in running:
            child.communicate(timeout=10)
    assert [told[child.pid] for child in running] == [words for _, words in lines]


def test_slices_are_devices_and_their_processes_are_not_counted_twice(
    reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]
) -> None:
    slices = [Card(total=9856, used=5020, load=None, power=None), Card(total=9856, used=12)]
    on_slice = Process(sleepers[0], card=1, held=5000, slice=0)
    show(machine, Card(used=300), Card(used=5100, slices=slices), processes=[on_slice, Process(sleepers[1], held=200)])
    devices = reader.look()["devices"]
    assert [(device["uuid"], device["parent"]) for device in devices] == [
        ("GPU-0", ""),
        ("GPU-1", ""),
        ("MIG-1-0", "GPU-1"),
        ("MIG-1-1", "GPU-1"),
    ]
    assert [len(device["processes"]) for device in devices] == [1, 0, 1, 0]
    assert (devices[2]["total"], devices[2]["used"], devices[2]["power_w"]) == (9856 * MIB, 5020 * MIB, None)
    assert not any(device["hidden"] or device["lost"] for device in devices)


def test_a_slice_that_is_made_in_mid_run_is_found_within_ten_seconds(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(slices=[Card(total=100)]))
    assert len(reader.look()["devices"]) == 2
    machine.cards[0].slices.append(Card(total=200))
    machine.write()
    assert len(reader.look(skip=11)["devices"]) == 3


def test_what_the_driver_does_not_tell_is_none(reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]) -> None:
    silent = Card(total=None, load=None, power=None, limit=None, temperature=None, reasons=None, name="NVIDIA GB10")
    show(machine, silent, Card(used=4000), processes=[Process(sleepers[0], held=None), Process(sleepers[1], 1, None)])
    unified, usual = reader.look()["devices"]
    figures = ("total", "used", "free", "load", "power_w", "power_limit_w", "temperature_c")
    assert [unified[name] for name in figures] == [None] * 7
    assert (unified["name"], unified["lost"], unified["throttle"], unified["hidden"]) == (
        "NVIDIA GB10",
        False,
        [],
        False,
    )
    assert [process["size"] for process in usual["processes"]] == [None]
    assert not usual["hidden"], "it is named, only its size is not told"


def test_reasons_for_slowing_down_are_named_and_idling_is_none(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(reasons=1), Card(reasons=0x4 | 0x40), Card(reasons=0x20 | 0x80 | 0x100000))
    assert [device["throttle"] for device in reader.look()["devices"]] == [
        [],
        ["sw_power_cap", "hw_thermal_slowdown"],
        ["sw_thermal_slowdown", "hw_power_brake_slowdown", "0x100000"],
    ]


def test_memory_that_nobody_is_named_for_is_hidden(
    reader: NvmlReader, machine: nvml.Scene, sleepers: list[int]
) -> None:
    cards = Card(used=9000, named=False), Card(used=9000), Card(used=9000), Card(used=40, reserved=700)
    show(machine, *cards, processes=[Process(sleepers[0], 1, 9000), Process(sleepers[1], 2, 4000)])
    assert [device["hidden"] for device in reader.look()["devices"]] == [True, False, True, False]


def test_a_card_that_falls_off_the_bus_stays_in_the_list_until_it_is_back(
    reader: NvmlReader, machine: nvml.Scene
) -> None:
    show(machine, Card(used=100), Card(used=200), Card(used=300))
    assert [device["used"] for device in reader.look()["devices"]] == [100 * MIB, 200 * MIB, 300 * MIB]
    machine.cards[1].error = nvml.LOST
    machine.write()
    for _ in range(2):
        devices = reader.look()["devices"]
        assert [device["lost"] for device in devices] == [False, True, False]
        assert (devices[1]["uuid"], devices[1]["name"]) == ("GPU-1", "NVIDIA A100-SXM4-80GB")
        assert (devices[1]["used"], devices[2]["used"]) == (None, 300 * MIB)
    machine.cards[1].error, machine.cards[1].epoch = 0, 1
    machine.write()
    assert [(device["uuid"], device["used"]) for device in reader.look()["devices"]][1] == ("GPU-1", 200 * MIB)


def test_the_driver_is_opened_anew_for_a_lost_card_because_only_then_it_looks_at_the_bus(
    reader: NvmlReader, machine: nvml.Scene
) -> None:
    show(machine, Card(used=100), Card(used=200))
    reader.look()
    machine.cards[1].error, machine.cards[1].stubborn = nvml.LOST, True
    machine.write()
    assert [device["lost"] for device in reader.look()["devices"]] == [False, True]
    assert [device["lost"] for device in reader.look()["devices"]] == [False, False]


def test_a_lost_card_that_the_driver_counts_no_more_is_still_lost(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(), Card(), Card())
    assert not any(device["lost"] for device in reader.look()["devices"])
    middle = machine.cards.pop(1)
    machine.write()
    for _ in range(2):
        devices = reader.look(skip=11)["devices"]
        assert {device["uuid"]: device["lost"] for device in devices} == {"GPU-0": False, "GPU-1": True, "GPU-2": False}
    machine.cards.insert(1, middle)
    machine.write()
    assert not any(device["lost"] for device in reader.look(skip=1)["devices"])


def test_a_card_that_was_lost_before_it_ever_answered_is_counted(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(error=nvml.LOST), Card(used=200))
    first, second = reader.look()["devices"]
    assert (first["index"], first["uuid"], first["lost"]) == (0, "", True)
    assert second["used"] == 200 * MIB


def test_a_reset_between_two_looks_leaves_no_gap(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(used=900), Card(used=200))
    reader.look()
    machine.cards[0].epoch, machine.cards[0].used = 1, 3
    machine.write()
    assert [device["used"] for device in reader.look()["devices"]] == [3 * MIB, 200 * MIB]


def test_a_card_that_waits_for_its_reset_is_lost_meanwhile(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(used=900))
    assert not reader.look()["devices"][0]["lost"]
    machine.cards[0].error = nvml.RESET_REQUIRED
    machine.write()
    assert reader.look()["devices"][0]["lost"]


def test_an_older_driver_is_asked_in_the_words_that_it_knows(
    old_process: NvmlReader, machine: nvml.Scene, workspace: Workspace, sleepers: list[int]
) -> None:
    show(machine, Card(used=900, reserved=600, temperature=71, reasons=0x4), processes=[Process(sleepers[0], held=880)])
    for _ in range(2):
        device = old_process.fresh(workspace).look()["devices"][0]
        assert device["used"] == 1500 * MIB, "it counts what it keeps for itself"
        assert not device["hidden"]
        assert (device["temperature_c"], device["throttle"]) == (71, ["sw_power_cap"])
        assert [process["size"] for process in device["processes"]] == [880 * MIB]


def test_no_driver_is_no_problem_and_the_rest_is_told(reader: NvmlReader, machine: nvml.Scene) -> None:
    machine.state = "no-driver"
    machine.write()
    found = reader.look()
    assert (found["devices"], found["problem"]) == ([], "")
    assert found["host"]["ram_total"] > found["host"]["ram_used"] > 0


def test_a_driver_that_does_not_fit_is_a_problem_in_words_and_is_tried_again(
    reader: NvmlReader, machine: nvml.Scene
) -> None:
    show(machine, Card(used=5))
    machine.state = "mismatch"
    machine.write()
    assert reader.look()["problem"] == "RM has detected an NVML/RM version mismatch."
    machine.state = "ok"
    machine.write()
    assert reader.look()["devices"] == [], "not at once: opening it is slow"
    found = reader.look(skip=11)
    assert (found["problem"], [device["used"] for device in found["devices"]]) == ("", [5 * MIB])


def test_a_driver_that_was_loaded_anew_is_opened_anew(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(used=5))
    assert reader.look()["problem"] == ""
    machine.restarts += 1
    machine.write()
    assert reader.look()["problem"] == "Uninitialized"
    assert [device["used"] for device in reader.look()["devices"]] == [5 * MIB]


def test_a_driver_that_fails_in_mid_run_is_tried_again(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(used=5))
    assert reader.look()["problem"] == ""
    machine.state = "mismatch"
    machine.write()
    assert "mismatch" in reader.look(skip=11)["problem"], "it shows where the cards are counted again"
    machine.state = "ok"
    machine.write()
    assert [device["used"] for device in reader.look(skip=11)["devices"]] == [5 * MIB]


def test_a_driver_that_hangs_holds_up_nobody(reader: NvmlReader, machine: nvml.Scene) -> None:
    show(machine, Card(used=5))
    assert reader.look()["problem"] == ""
    machine.state = "stuck"
    machine.write()
    looks = [reader.look() for _ in range(3)]
    assert [look["problem"] for look in looks] == [SILENT] * 3
    assert all(look["host"]["ram_used"] > 0 for look in looks)
    assert looks[0]["took"] < 2
    assert looks[2]["took"] < 0.5, "it is not waited for again and again"
    machine.state = "ok"
    machine.write()
    devices = until(lambda: reader.look()["devices"], what="it is asked again")
    assert [device["used"] for device in devices] == [5 * MIB]
