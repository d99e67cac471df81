"""The reader on a real card: what NVML says of a process against what torch says of itself, and what looking costs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from backend.memory.reader import Reader
from backend.memory.sample import DeviceSample
from backend.queue.resources import Card
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support.wait import until

MIB, GIB = 2**20, 2**30
CONTEXT = 1536 * MIB
"""More than a CUDA context with torch's kernels takes on any card so far (about 0.3 to 0.6 GiB)."""
HOLD = """
import sys, torch
if not torch.cuda.is_available():
    print("none", flush=True)
    sys.exit()
held = torch.ones(2 << 30, dtype=torch.uint8, device="cuda:0")
torch.cuda.synchronize()
print(torch.cuda.memory_reserved(0), torch.cuda.get_device_properties(0).uuid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def reader(workspace: Workspace, store: Store) -> Iterator[Reader]:
    opened = Reader(workspace, store)
    yield opened
    opened.close()


def device(reader: Reader, uuid: str) -> DeviceSample:
    sample = reader.read(time.time())
    assert sample.problem == ""
    return next(device for device in sample.devices if uuid in device.uuid)


def test_the_driver_says_of_a_process_what_torch_has_reserved_and_a_context(reader: Reader, card: Card) -> None:
    if card.free_mib < 6000:
        pytest.skip("the card is too full to hold 2 GiB more")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        before = {found.uuid: found.used or 0 for found in reader.read(time.time()).devices}
        assert holder.stdout is not None
        reserved, _, uuid = holder.stdout.readline().strip().partition(" ")
        if not uuid:
            pytest.skip("torch here is built for the CPU")
        assert int(reserved) >= 2 * GIB
        found = device(reader, uuid)
        sizes = {process.pid: process for process in found.processes}
        if holder.pid in sizes:
            size = sizes[holder.pid].size
            assert size is not None
            assert int(reserved) < size < int(reserved) + CONTEXT
            assert "python" in sizes[holder.pid].command
        else:
            assert found.used is not None
            assert found.hidden, "in a container the driver does not name it: then that is said"
            assert int(reserved) < found.used - before[found.uuid] < int(reserved) + CONTEXT
        holder.communicate(timeout=60)
    until(lambda: (device(reader, uuid).used or 0) < before[found.uuid] + 64 * MIB, 30, "the memory is given back")


def test_the_figures_of_a_card_are_those_of_nvidia_smi(reader: Reader, card: Card) -> None:
    query = "uuid,memory.total,memory.used,enforced.power.limit,temperature.gpu"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", f"--id={card.uuid}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(", ")
    found = device(reader, card.uuid)
    assert found.uuid == said[0]
    for figure, text, near in (
        (found.total and found.total / MIB, said[1], 1),
        (found.used and found.used / MIB, said[2], 128),
        (found.power_limit_w, said[3], 1),
        (found.temperature_c, said[4], 5),
    ):
        if figure is None:
            assert "N/A" in text
        else:
            assert abs(figure - float(text)) <= near


def test_looking_each_second_takes_less_than_a_hundredth_of_a_core(reader: Reader, card: Card) -> None:
    for _ in range(3):
        reader.read(time.time())
    spent, looks = time.process_time(), 100
    for _ in range(looks):
        reader.read(time.time())
    assert (time.process_time() - spent) / looks < 0.01
