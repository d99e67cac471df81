"""The charts of a job's figures: by step where there is one count, else by time."""

from __future__ import annotations

from backend.queue.series import Curve
from ui import charts


def test_a_figure_of_one_count_is_drawn_by_its_steps() -> None:
    data, stepped = charts.frame(Curve([(0.0, 10, 3.0), (60.0, 20, 2.0)], 2.0))
    assert stepped
    assert list(data["x"]) == [10, 20]


def test_a_figure_of_two_phases_that_both_count_from_nothing_is_drawn_by_time() -> None:
    """By step the line would run back to the left, as a server's memory did that loads and then answers."""
    data, stepped = charts.frame(Curve([(0.0, 0, 10.0), (60.0, 13, 370.0), (120.0, 0, 400.0)], 400.0))
    assert not stepped
    assert list(data["x"]) == [0.0, 1.0, 2.0]


def test_a_training_that_went_on_from_a_checkpoint_is_still_drawn_by_its_steps() -> None:
    data, stepped = charts.frame(Curve([(0.0, 10, 3.0), (60.0, 130, 2.0), (120.0, 110, 2.1), (180.0, 150, 1.9)], 1.9))
    assert stepped
    assert list(data["x"]) == [10, 130, 110, 150]
