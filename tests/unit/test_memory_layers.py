"""What a chart of the past stacks adds up to what was in use, keeps gaps, and stays readable with a hundred jobs."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from backend.memory.sample import HOST, Moment, Series, SeriesKey, Window
from tests.support.memory_samples import GIB
from ui.memory import chart as memory_chart
from ui.memory import layers as memory_layers
from ui.memory import parts as memory_parts
from ui.memory import window as memory_window
from ui.memory import words as memory_words

Values = list[float | None]


def window(**rows: Values) -> Window:
    """``used=…``, ``job_1=…``, ``user_ada=…`` of main memory, in GiB, a cell a second."""
    series = {}
    for name, values in rows.items():
        kind, _under, subject = name.partition("_")
        cells = tuple(None if value is None else value * GIB for value in values)
        series[SeriesKey(HOST, kind, subject)] = Series(
            cells, cells, tuple(None if c is None else c + GIB for c in cells)
        )
    length = len(next(iter(rows.values())))
    return Window(0.0, float(length), 1.0, series)


def test_the_layers_add_up_to_what_is_in_use_and_a_gap_stays_one() -> None:
    found = memory_layers.of(
        window(used=[10, None, 12], total=[64, None, 64], job_1=[2, None, 3], user_ada=[4, None, 4]), HOST, {1: "Learn"}
    )
    assert [(layer.kind, layer.label) for layer in found.layers] == [
        ("job", "#1 Learn"),
        ("user", "ada"),
        ("rest", "everything else"),
    ]
    assert [[layer.values[cell] for layer in found.layers] for cell in (0, 2)] == [[2, 4, 4], [3, 4, 5]]
    assert [layer.values[1] for layer in found.layers] == [None, None, None]
    assert found.used == [11, None, 13]  # the highest within each cell
    assert found.peak == (13, 2)
    assert found.total == 64


def test_of_a_hundred_jobs_the_largest_are_named_and_the_others_are_together() -> None:
    rows: dict[str, Values] = {f"job_{job}": [job / 100, None] for job in range(1, 101)}
    found = memory_layers.of(window(used=[60, None], **rows), HOST, {})
    assert [layer.label for layer in found.layers] == [
        *(f"#{job}" for job in range(94, 101)),
        "93 other jobs",
        "everything else",
    ]
    together = found.layers[7].values
    assert together[0] == pytest.approx(sum(job / 100 for job in range(1, 94)))
    assert together[1] is None


def test_a_job_has_one_colour_in_the_bar_and_in_the_chart() -> None:
    found = memory_layers.of(window(used=[10.0], job_12=[2.0]), HOST, {})
    assert found.layers[0].colour == memory_parts.job_colour(12)


def test_names_that_are_equal_are_two_columns() -> None:
    assert memory_window._unique(["a", "a", "b"]) == ["a", "a (2)", "b"]


def test_of_too_many_moments_those_that_matter_are_marked_in_their_order() -> None:
    moments = [Moment(float(t), "phase") for t in range(100)] + [Moment(3.5, "out_of_memory"), Moment(1.5, "gpu_lost")]
    marked = memory_window.chosen(moments)
    assert len(marked) == memory_window.MARKS
    assert [found.kind for found in marked if found.kind != "phase"] == ["gpu_lost", "out_of_memory"]
    assert [found.t for found in marked] == sorted(found.t for found in marked)


def test_hovering_a_moment_tells_all_and_no_markup_comes_through() -> None:
    told = {"pid": 7, "user": "ada", "command": "<img src=x> {b}", "size": 2 * GIB}
    said = memory_window.tells(Moment(0.0, "neighbour_came", "GPU-0", "7", told), {})
    assert said.startswith("<b>somebody else came</b><br>1970-01-01")
    assert "ada<br>process 7<br>&lt;img src=x&gt; (b)<br>2.0 GiB" in said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Moment(0, "job_ended", "", "3", {"title": "x", "state": "failed", "code": "y"}), "#3 Learn · failed"),
        (Moment(0, "job_started", "", "9", {"title": "Gone", "attempt": 2, "verb": "drill"}), "#9 Gone · attempt 2"),
        (Moment(0, "clock_jumped", "", "", {"seconds": 90.0}), "forward by 2 min"),
        (Moment(0, "recorder_ended", "", "", {"why": "idle"}), "nothing ran and nobody looked"),
        (Moment(0, "gpu_lost", "GPU-1", "", {"index": 1, "name": "A100"}), "A100"),
        (Moment(0, "invented_kind", "", "", {"list": [1]}), ""),
    ],
)
def test_every_moment_says_what_it_is_about(found: Moment, said: str) -> None:
    assert memory_words.about(found, {3: "Learn"}) == said


def test_a_kind_that_nobody_knows_stands_for_itself() -> None:
    assert memory_words.moment("invented_kind").word == "invented kind"


def test_the_line_of_the_last_minutes_has_its_gaps_and_never_leaves_its_box() -> None:
    image = memory_chart.spark([1 * GIB, None, 3 * GIB, 3 * GIB, 3 * GIB, 5 * GIB], 64 * GIB)
    drawn = unquote(image).split("d='")[1].split("'")[0]
    strokes = [stroke for stroke in drawn.split("M") if stroke]
    assert len(strokes) == 2
    heights = [float(point.split()[1]) for stroke in strokes for point in stroke.split("L")]
    assert all(0 <= height <= memory_chart.HEIGHT for height in heights)
    assert "In use in the last minutes: 1.0 GiB to 5.0 GiB" in image
    assert memory_chart.spark([None, None], GIB) == ""


def test_a_bar_never_shows_more_than_the_whole() -> None:
    parts = [memory_parts.Part("job", f"#{n}", 50 * GIB, "#000000", n) for n in (1, 2)]
    body = memory_chart.bar(parts, 64 * GIB)
    shares = [float(piece.split("%")[0]) for piece in body.split("width:")[1:]]
    assert sum(shares) <= 100
