"""Scores taken along, and the words for what is missing in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from backend import i18n
from backend.errors import PanelError
from backend.evaluate import export, imports, triage
from backend.evaluate.records import Run, Score, Tally
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import Workspace
from tests.support.past_runs import HEAD, ceval_scores, kept

CAUSE = PanelError("x", "The file {path} is gone.", "Bring it back.", path="/a|b")


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    opened = open_runs(workspace)
    yield opened
    opened.close()


def opencompass(runs: EvaluateStore, model: str, scores: list[Score]) -> int:
    run = runs.begin(Run(0, model, "opencompass", "0.5.4", model, "ceval", "", set_title="C-Eval", began=1.0))
    runs.put_scores(run, scores)
    runs.end(run, "done", ["import_summary_only"])
    return run


def test_the_csv_is_as_opencompass_writes_it_and_comes_back(runs: EvaluateStore, tmp_path: Path) -> None:
    scores = [replace(score, version="abc123") for score in ceval_scores()]
    run = opencompass(runs, "internlm, 7b", scores)
    text = export.to_csv(export.table(runs, [run]))
    lines = text.splitlines()
    assert lines[0] == f"{HEAD},internlm  7b"
    assert lines[1] == "ceval-computer_network,abc123,accuracy,gen,31.58"
    assert lines[-1] == "ceval,-,naive_average,gen,44.16"
    file = tmp_path / "mine.csv"
    file.write_text(text)
    (back,) = imports.read(file)
    assert [round(score.value or 0, 2) for score in scores] == [score.value for score in back.scores if not score.group]


def test_several_runs_are_columns_and_a_gap_stands_in_the_row_of_its_subject(runs: EvaluateStore) -> None:
    whole = opencompass(runs, "m", [Score("ceval-law", 50.0, 2, "a110a1"), Score("ceval-logic", 25.0, 4, "f5b022")])
    gap = opencompass(runs, "m", [Score("ceval-law", 75.0, 4, "ffffff"), Score("ceval-logic", cause=CAUSE.to_dict())])
    found = export.table(runs, [whole, gap])
    assert found.labels == (f"m (#{whole})", f"m (#{gap})")
    rows = [
        (line.subject, line.version, *(export.number(cell) for cell in line.cells))
        for line in found.lines
        if not line.group
    ]
    assert rows == [
        ("ceval-law", "a110a1", "50.00", "-"),
        ("ceval-logic", "f5b022", "25.00", "-"),
        ("ceval-law", "ffffff", "-", "75.00"),
    ], "scores of two versions never stand in one row"
    text = export.to_markdown(found)
    assert f"ceval-logic · m (#{gap}): The file /a|b is gone. Bring it back." in text
    assert "**ceval-humanities**" in text


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_the_page_needs_nothing_else_and_shows_names_as_text(runs: EvaluateStore, language: str) -> None:
    i18n.use(language)
    evil = "<script>alert(1)</script>"
    run = kept(runs, evil, {"<img src=x>": "rw", "=1+1": "r"}, set_title=evil)
    text = export.to_html(export.table(runs, [run]))
    page = Page(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.links == []
    assert f'<html lang="{language.replace("_", "-")}">' in text
    assert "&lt;script&gt;" in text
    assert "'=1+1" in export.to_csv(export.table(runs, [run]))
    assert "<script>" not in export.to_markdown(export.table(runs, [run]))


def test_every_empty_cell_has_a_cause_once_the_run_is_over(runs: EvaluateStore) -> None:
    run = runs.begin(Run(0, "m", "tunedeck", "1", "m", "own", "v1"))
    runs.plan(run, [Score("sums", n=3), Score("poems", n=2)])
    told = runs.run(run)
    assert triage.missing(told, runs.scores(run)) == [], "they wait for their turn"
    runs.put_scores(run, [Score("sums", cause=CAUSE.to_dict(), evidence="line 7")])
    assert [each.subjects for each in triage.missing(told, runs.scores(run))] == [("sums",)]
    runs.end(run, "stopped")
    found = triage.missing(runs.run(run), runs.scores(run), runs.tallies(run))
    assert [(each.cause["code"], each.subjects) for each in found] == [("x", ("sums",)), ("score_stopped", ("poems",))]
    assert "0 of 2 questions" in str(PanelError.from_dict(found[1].cause))
    assert all(score.cause for score in triage.with_causes(runs.run(run), runs.scores(run)))


@pytest.mark.parametrize(
    ("tally", "code"),
    [
        (Tally("sums", 3, failed=3), "score_all_failed"),
        (Tally("sums", 3, right=1), "score_cause_unknown"),
        (None, "score_cause_unknown"),
    ],
)
def test_the_cause_of_a_cell_of_which_nobody_wrote_one_down(tally: Tally | None, code: str) -> None:
    run = Run(1, "m", "tunedeck", "1", "m", "own", "v1", state="partial")
    (found,) = triage.missing(run, [Score("sums", n=3)], [tally] if tally else [])
    assert found.cause["code"] == code
