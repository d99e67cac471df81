"""The report card as its view shows it: the sentence first, then figures with their reasons, the plot, and answers side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from backend.errors import PanelError
from backend.quantize import report
from backend.quantize.report_records import Answer, Cell, Report, Said
from backend.queue.store import Store
from tests.support.finetune_page import said
from tests.support.handmade_run import HandmadeRun
from tests.support.report_cards import answers, copy, made
from ui.quantize import answers as quantize_answers
from ui.quantize import pareto as quantize_pareto


def shown(store: Store, found: Report | None, *, done: bool = True) -> AppTest:
    """The view of a report card that lies in the folder of a job."""
    run = HandmadeRun(store, verb="report_card")
    run.begin()
    if found is not None:
        report.write(run.dir, found)
    if done:
        run.end("succeeded", result={})
    app = AppTest.from_function(_page, default_timeout=60, kwargs={"job": run.row.id}).run()
    assert not app.exception, app.exception
    return app


def _page(job: int) -> None:
    from ui import context
    from ui.quantize import report as quantize_report

    quantize_report.draw(context.store().get(job))


@pytest.fixture(autouse=True)
def _spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.handmade_run.SPEC", {"models": ["base", "copy"]})


def unfold(app: AppTest, label: str) -> AppTest:
    fold = next(one for one in app.expander if one.label == label)
    app.session_state[fold.proto.id.rsplit("-", 1)[-1]] = True
    return app.run()


def test_the_recommendation_stands_first_and_the_copies_verdicts_after_it(store: Store) -> None:
    lost = copy("two bits", size=150, divergence=1.0, change=(0.5, 0.4, 0.6))
    app = shown(store, made(copy("four bits", size=300), lost))
    drawn = [str(one.value).replace("\\", "") for one in app.markdown]
    assert drawn[0] == (
        "#### :material/recommend: Use four bits: it keeps the quality of base (perplexity +1.0 %, 93 of 100 answers right), "
        "70 % smaller on the disk, 70 % less memory."
    )
    assert "four bits :green-badge[:material/verified: keeps the quality]" in drawn[1]
    assert "two bits :red-badge[:material/warning: loses quality]" in drawn[1]


def test_the_table_tells_value_interval_change_and_where_it_is_from(store: Store) -> None:
    why = PanelError("report_needs_gpu", "'{model}' is served on a GPU only.", "Use a machine with one.", model="copy")
    one = copy(size=300)
    cells = [replace(cell, source="estimated") if cell.name == "memory_steady_bytes" else cell for cell in one.cells]
    cells.append(Cell("tokens_s", source="cannot", reason=why.to_dict()))
    app = shown(store, made(replace(one, cells=tuple(cells), served=False)))
    table = app.table[0].value
    assert list(table.columns) == ["base (float16)", "copy (gptq 4 bit)"]
    texts = {
        label: [text.replace("\\", "") for text in row] for label, row in zip(table.index, table.values, strict=True)
    }
    assert texts["Perplexity"] == [
        "**3.000**  \n:small[(2.800 to 3.200)]",
        "**3.030**  \n:small[(2.900 to 3.200) · +1.0 % (0.0 to +2.0)]",
    ]
    assert texts["On the disk"][1] == "**300 B**  \n:small[-70 %]"
    assert texts["Memory, steady"][1] == "**300 B** :gray[estimated]"
    assert texts["Tokens/s, one person"][1] == "– :gray[not measured] :gray[[1]]"
    assert texts["KL divergence (nats per token)"][0] == "–"
    told = said(app)
    assert "[1] 'copy' is served on a GPU only. Use a machine with one." in told
    assert "Not served by this machine, so its speed is not measured: copy." in told


def test_what_the_figures_mean_and_rest_on_can_be_read(store: Store) -> None:
    told = said(unfold(shown(store, made(copy(size=300))), "What the figures mean"))
    assert "**Perplexity**: How surprised the model is" in told
    assert "on cpu: 64 rows (731 tokens) and 100 questions of the bundled set in two languages." in told


def test_answers_that_differ_come_first_and_all_can_be_seen(store: Store) -> None:
    app = unfold(shown(store, made(copy(size=300), answers=answers(60, 3))), "Answers side by side")
    told = said(app)
    assert told.count("Expected: Answer") == 3
    control = next(one for one in app.button_group if one.key.endswith("_view"))
    assert [one.content for one in control.proto.options] == [
        "Where they differ (3)",
        "No longer right (3)",
        "Across all (60)",
    ]
    control.set_value("across").run()
    told = said(app)
    assert told.count("Expected: Answer") == quantize_answers.SHOWN
    assert "20 of 60, evenly taken from all." in told
    assert "copy · :green[:material/check:] right · the same answer" in told


def test_what_a_copy_says_otherwise_is_underlined_and_is_no_markup(store: Store) -> None:
    evil = "It is <b>big</b> and red"
    one = Answer("# Why :red[x]?", "", "en", (Said("It is small and red", True, True), Said(evil, False, False)))
    app = unfold(shown(store, made(copy(size=300), answers=[one])), "Answers side by side")
    html = "\n".join(str(each.proto.body) for each in app.get("html"))
    assert "It is <del>small</del><ins>&lt;b&gt;big&lt;/b&gt;</ins> and red" in html
    assert "<b>" not in html
    assert "(it did not end)" in said(app)
    assert any("\\# Why" in str(each.value) for each in app.markdown)


def test_a_report_that_grows_says_so(store: Store) -> None:
    half = replace(made(copy(size=300)), complete=False)
    assert "It is still being measured; what is known stands below." in said(shown(store, half, done=False))
    assert "It was not finished: resume the job to go on." in said(shown(store, half))


def test_why_it_could_not_be_finished_is_said(store: Store) -> None:
    why = PanelError(
        "report_failed", "The report card could not be made: {problem}", "The copy is kept.", problem="gone"
    )
    told = said(shown(store, Report(complete=True, problem=why.to_dict())))
    assert "The report card could not be finished." in told
    assert "The report card could not be made: gone" in told
    assert "The copy is kept." in told


def test_a_job_without_a_report_shows_none(store: Store) -> None:
    assert said(shown(store, None)).strip() == ""


def test_the_plot_has_who_is_known_and_who_is_beaten() -> None:
    beaten = copy("beaten", size=400, divergence=0.05, speed=40)
    unknown = copy("unknown", size=200, cells=[Cell("size_bytes", 200.0)])
    found = made(copy("good", size=300, divergence=0.01, speed=50), beaten, unknown)
    # What has no memory of its own is told by what all have.
    spots = quantize_pareto.spots_of(found)
    assert [(one.name, one.x, one.beaten) for one in spots] == [
        ("base", 1000, False),
        ("good", 300, False),
        ("beaten", 400, True),
    ]
    assert [(one.y, one.low, one.high) for one in spots][:2] == [(0, 0, 0), (1.0, 0.0, 2.0)]
    assert [one.speed for one in spots] == [None, 50, 40]
