"""Code that a model wrote takes more than it may: time, memory, disk, output."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from jobs.agent.sandbox import folder as folders
from jobs.agent.sandbox.running import Limits, run
from tests.support.sandboxed import EVERY, Place, names
from tests.support.wait import until

MIB = 1 << 20


@pytest.fixture(params=["all walls", "without namespaces"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, EVERY[request.param])


def test_an_infinite_loop_ends_with_its_time(place: Place) -> None:
    ran = place.run("while True: pass", Limits(seconds=1))

    assert ran.ended == "time"
    assert 1 <= ran.seconds < 3


def test_sleeps_beyond_its_time_and_what_it_printed_is_kept(place: Place) -> None:
    ran = place.run("import time\nprint('before')\ntime.sleep(600)", Limits(seconds=1))

    assert (ran.ended, ran.output) == ("time", b"before\n")


def test_refuses_to_end_with_every_signal_caught(place: Place) -> None:
    code = """
import signal, time
for number in range(1, 65):
    tried(lambda: signal.signal(number, signal.SIG_IGN))
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass
"""

    assert place.run(code, Limits(seconds=1)).ended == "time"


def test_uses_up_its_processor_time(place: Place) -> None:
    ran = place.run("while True: pass", Limits(seconds=20, cpu_seconds=1))

    assert ran.ended == "cpu"
    assert ran.seconds < 15


def test_catches_the_signal_that_its_processor_time_is_up(place: Place) -> None:
    code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"

    assert place.run(code, Limits(seconds=20, cpu_seconds=1)).ended == "cpu"


def test_stop_ends_it_within_half_a_second(place: Place) -> None:
    pressed = threading.Event()
    when: list[float] = []

    def press() -> None:
        until(lambda: (place.folder / "started").exists())
        when.append(time.monotonic())
        pressed.set()

    presser = threading.Thread(target=press)
    presser.start()
    code = "open('started', 'w').close()\nwhile True: pass"
    ran = run(code, place.folder, walls=place.walls, stopped=pressed.is_set)
    took = time.monotonic() - when[0]
    presser.join()

    assert ran.ended == "stopped"
    assert took < 0.5
    assert ran.made == ("started",)
    assert place.left() == []


def test_allocates_20_gb(place: Place) -> None:
    ran = place.run("x = bytearray(20 << 30)")

    assert (ran.traceback or "").endswith("MemoryError\n")


def test_allocates_bit_by_bit_until_nothing_is_left(place: Place) -> None:
    ran = place.run("x = []\nwhile True: x.append(bytearray(1 << 24))", Limits(memory=256 * MIB))

    assert "MemoryError" in (ran.traceback or "")


def test_hides_memory_in_files_that_are_none(place: Place) -> None:
    code = """
import ctypes, os
print(tried(lambda: os.memfd_create("x")))
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 1 << 30, 0o1600), tried(lambda: open("/dev/shm/x", "w")), tried(lambda: open("/tmp/x", "w")))
"""

    assert place.printed(code).count("refused") == 3


def test_prints_1_gb(place: Place) -> None:
    ran = place.run("line = 'x' * 1000000\nfor _ in range(1000): print(line)", Limits(output=MIB))

    assert ran.ended == "output"
    assert len(ran.output) == MIB


def test_the_value_of_its_last_line_is_1_gb_of_text(place: Place) -> None:
    ran = place.run("class Long:\n    def __repr__(self): return 'x' * 200_000_000\nLong()")

    assert ran.value is not None
    assert len(ran.value) == 1_000_000


def test_fills_the_pipe_that_reports_what_it_gave(place: Place) -> None:
    code = """
import os
for number in range(3, 4096):
    for _ in range(200):
        if isinstance(tried(lambda: os.write(number, b"VS0\\nR1\\n" + b"x" * 100000)), str):
            break
"""
    ran = place.run(code)

    assert ran.ended == "done"
    assert ran.value is not None
    assert 100_000 < len(ran.value) <= 4_000_001


def test_writes_one_file_of_10_gb(place: Place) -> None:
    code = """
block = b"x" * (1 << 20)
with open("big", "wb", buffering=0) as file:
    for _ in range(10_000):
        file.write(block)
"""
    ran = place.run(code, Limits(file_bytes=20 * MIB))

    assert "File too large" in (ran.traceback or "")
    assert (place.folder / "big").stat().st_size == 20 * MIB


def test_writes_many_files_of_10_gb_together_and_none_of_them_stays(place: Place) -> None:
    place.run("open('before', 'w').write('x')")
    code = """
block = b"x" * (1 << 20)
for number in range(10_000):
    with open(f"big-{number}", "wb", buffering=0) as file:
        for _ in range(4):
            file.write(block)
"""
    ran = place.run(code, Limits(folder_bytes=40 * MIB))

    assert ran.ended == "disk"
    assert names(place.folder) == ["before"]


def test_writes_into_files_that_it_has_already_deleted(place: Place) -> None:
    code = """
import os
block = b"x" * (1 << 20)
files = []
while True:
    files.append(open("gone", "wb", buffering=0))
    os.unlink("gone")
    for _ in range(8):
        files[-1].write(block)
"""
    ran = place.run(code, Limits(written=60 * MIB))

    assert ran.ended == "disk"


def test_makes_a_million_files(place: Place) -> None:
    ran = place.run("for number in range(1_000_000): open(str(number), 'w').close()")

    assert ran.ended == "disk"
    assert names(place.folder) == []


def test_makes_a_million_folders_in_one_another(place: Place) -> None:
    code = """
import os
for _ in range(3000):
    os.mkdir("x")
    os.chdir("x")
"""
    ran = place.run(code)

    assert ran.ended == "disk"
    assert names(place.folder) == []


def test_folders_that_nobody_may_enter_are_removed_too(tmp_path: Path) -> None:
    inside = tmp_path / "python"
    deep = inside / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x", encoding="utf-8")
    (inside / "kept").write_text("x", encoding="utf-8")
    deep.chmod(0)
    deep.parent.chmod(0)
    handle = folders.opened(inside)

    folders.put_back(handle, {"kept": folders.state(handle)["kept"]} if os.geteuid() == 0 else _kept(inside))
    os.close(handle)

    assert names(inside) == ["kept"]


def _kept(inside: Path) -> folders.State:
    seen = (inside / "kept").stat()
    return {"kept": (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)}


def test_what_a_quick_program_left_counts_although_nobody_looked_in_time(place: Place) -> None:
    ran = place.run("for number in range(50): open(str(number), 'w').close()", Limits(files=40))

    assert ran.ended == "disk"
    assert names(place.folder) == []


def test_opens_more_files_than_it_may(place: Place) -> None:
    ran = place.run("files = [open('/dev/null') for _ in range(10_000)]")

    assert "Too many open files" in (ran.traceback or "")


def test_recursion_without_end_is_told_as_python_tells_it(place: Place) -> None:
    ran = place.run("def f(): f()\nf()")

    assert "RecursionError" in (ran.traceback or "")
    assert len(ran.traceback or "") < 2000
