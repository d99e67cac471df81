"""Logs of any size and any bytes are read by offset, and what a person sees is whole lines of clean text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.queue import logs

GIB = 1 << 30
ANY_BYTES = st.lists(
    st.sampled_from(
        [b"a", b"Error", b"\n", b"\r", b"\r\n", b"\x1b[31m", b"\x1b[0m", b"\x1b", "中".encode(), b"\xe4", b"\x00"]
    )
).map(b"".join)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "attempt-1.log"


def read_bytes() -> int:
    """Bytes that this process has read so far, from files and from holes of files alike."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def test_a_log_that_is_not_there_yet_is_empty(log: Path) -> None:
    assert logs.tail(log) == logs.Page("", 0, 0, 0)
    assert logs.search(log, "x") == logs.Found()
    assert logs.before(log, 10).text == logs.after(log, 10).text == ""


def test_the_end_of_a_log_of_one_gib_costs_no_more_than_a_page(log: Path) -> None:
    with log.open("wb") as file:
        file.seek(GIB)
        file.write(b"\nlast but one\nlast line\n")
    begin = read_bytes()
    page = logs.tail(log, lines=2)
    assert read_bytes() - begin < 2 * logs.PAGE_BYTES
    assert page.text == "last but one\nlast line"
    assert page.size == page.end == log.stat().st_size
    with log.open("rb") as file:
        file.seek(page.start)
        assert file.read() == b"last but one\nlast line\n"


def test_a_search_in_a_log_of_one_gib_reads_no_more_than_its_budget_and_goes_on_from_there(log: Path) -> None:
    with log.open("wb") as file:
        file.write(b"needle at the start\n")
        file.seek(GIB)
        file.write(b"\nneedle at the end\n")
    begin = read_bytes()
    found = logs.search(log, "needle", budget=4 << 20)
    assert read_bytes() - begin < 6 << 20
    assert [hit.line for hit in found.hits] == ["needle at the end"]
    assert found.reached == log.stat().st_size - (4 << 20)
    rest = logs.search(log, "needle", end=1 << 20)
    assert [hit.line for hit in rest.hits] == ["needle at the start"]
    assert rest.reached == 0


def test_a_character_that_is_being_written_waits_for_its_rest(log: Path) -> None:
    log.write_bytes("好的\n中文".encode()[:-1])
    page = logs.tail(log)
    assert page.text == "好的\n中"
    with log.open("ab") as file:
        file.write("文".encode()[-1:] + b"\n")
    assert logs.after(log, page.end).text == "文"


def test_a_page_that_begins_in_the_middle_of_a_character_begins_at_the_next_line(log: Path) -> None:
    log.write_bytes(("汉" * 100 + "\n" + "字" * 5 + "\n").encode())
    for limit in range(17, 40):
        assert logs.before(log, log.stat().st_size, limit=limit).text == "字" * 5


def test_a_progress_bar_shows_its_last_state_and_colours_are_dropped() -> None:
    raw = b"\x1b[1;32mepoch 1\x1b[0m\r 10%|#   |\r100%|####|\r\n\x1b]0;title\x07done\r\n"
    assert logs.clean(raw) == "100%|####|\ndone\n"


def test_an_escape_sequence_that_is_being_written_is_not_shown() -> None:
    assert logs.clean(b"loss 1\x1b[3") == "loss 1"


@quick
@given(raw=ANY_BYTES)
def test_no_control_character_reaches_a_page(raw: bytes) -> None:
    text = logs.clean(raw)
    assert not [c for c in text if ord(c) < 32 and c not in "\t\n"]


@quick
@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x1b"), max_size=30), max_size=40),
    limit=st.integers(130, 400),
)
def test_paging_forth_through_a_log_gives_every_line_once(log: Path, lines: list[str], limit: int) -> None:
    log.write_bytes("".join(f"{line}\n" for line in lines).encode())
    raw, start = b"", 0
    while True:
        page = logs.after(log, start, limit=limit)
        assert page.start == start
        raw += log.read_bytes()[page.start : page.end]
        assert page.last or raw.endswith(b"\n")
        if page.last:
            break
        assert page.end > start
        start = page.end
    assert raw == log.read_bytes()


@quick
@given(raw=ANY_BYTES, limit=st.integers(16, 64))
def test_paging_back_from_the_end_reaches_the_start_without_a_gap(log: Path, raw: bytes, limit: int) -> None:
    log.write_bytes(raw)
    page = logs.before(log, len(raw), limit=limit)
    for _ in range(len(raw) + 2):
        if page.first:
            break
        earlier = logs.before(log, page.start, limit=limit)
        assert earlier.end <= page.start
        assert earlier.start < page.start
        assert page.start - earlier.end < 4  # at most a torn character between two pages
        page = earlier
    assert page.start == 0


@quick
@given(
    lines=st.lists(st.sampled_from(["loss 1.0", "An ERROR here", "error", "ok", "中文 error"]), max_size=60),
    block=st.integers(1, 50),
)
def test_a_search_finds_every_line_whatever_the_block_borders_are(log: Path, lines: list[str], block: int) -> None:
    log.write_bytes("".join(f"{line}\n" for line in lines).encode())
    found = logs.search(log, "Error", block=block, hits=1000)
    assert [hit.line for hit in found.hits] == [line for line in reversed(lines) if "error" in line.lower()]
    assert found.reached == 0


def test_a_search_sees_words_through_their_colours(log: Path) -> None:
    log.write_bytes(b"a\n\x1b[31mout of \x1b[1mmem\x1b[0mory\n" + b"z\n" * 50)
    for block in (1, 7, 1000):
        assert [hit.line for hit in logs.search(log, "out of memory", block=block).hits] == ["out of memory"]


def test_a_coloured_line_is_found_once_although_blocks_overlap(log: Path) -> None:
    log.write_bytes(b"".join(b"\x1b[31merror\x1b[0m %d\n" % n for n in range(9)))
    for block in (1, 7, 1000):
        assert [hit.line for hit in logs.search(log, "error", block=block).hits] == [
            f"error {n}" for n in range(8, -1, -1)
        ]


def test_a_search_that_has_enough_hits_goes_on_from_there(log: Path) -> None:
    log.write_bytes(b"".join(b"hit %d\n" % n for n in range(25)))
    seen, end = [], None
    while True:
        found = logs.search(log, "hit", end=end, hits=10)
        seen += [hit.line for hit in found.hits]
        if found.reached == 0:
            break
        end = found.reached
    assert seen == [f"hit {n}" for n in range(24, -1, -1)]


def test_a_page_around_a_hit_holds_its_line(log: Path) -> None:
    log.write_bytes(b"".join(b"line %06d\n" % n for n in range(10_000)))
    hit = logs.search(log, "line 005000").hits[0]
    page = logs.around(log, hit.offset, limit=1000)
    assert "line 005000" in page.text
    assert page.end - page.start <= 1000
    assert all(len(line) == 11 for line in page.text.splitlines())


def test_one_line_of_many_mib_without_an_end_does_not_hold_the_page(log: Path) -> None:
    log.write_bytes(b"x" * (5 << 20))
    assert len(logs.tail(log).text) <= logs.PAGE_BYTES
    assert len(logs.search(log, "xx").hits[0].line) <= 2 * logs.LINE_CHARS
