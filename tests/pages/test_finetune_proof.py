"""Whether a run worked, as its page says it: the answer first, then the figures, the numbers, and both models' answers."""

from __future__ import annotations

import itertools
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.errors import PanelError
from backend.finetune import files, proof
from backend.finetune.proof import Answer, Losses, Proof
from backend.finetune.proof_records import part, verdicts
from backend.queue.store import Store
from backend.workspace import Workspace
from tests.support import models
from tests.support.finetune_page import figure, open_finetune, said
from tests.support.handmade_run import HandmadeRun
from ui.finetune import proof as finetune_proof


def answers(kind: str, n: int, base: int, tuned: int, language: str = "en") -> list[Answer]:
    """``n`` answers, the first ``base`` and ``tuned`` of them right."""
    return [
        Answer(kind, language, f"{kind} question {i}?", f"row {i}", f"base {i}", f"tuned {i}", i < base, i < tuned)
        for i in range(n)
    ]


def proven(tuned: int = 124, simple: int = 119) -> Proof:
    """A proof of 128 held-out questions, of which the tuned model answers ``tuned`` right, and ``simple`` of 124 general ones."""
    asked = [*answers("questions", 64, 0, tuned // 2), *answers("questions", 64, 0, tuned - tuned // 2, "zh")]
    slice_ = answers("general", 124, 120, simple)
    loss = Losses("validation", 43, 690, 9.92, 0.41, -10.1, -8.9)
    questions, general = part("test", asked, 128), part("general", slice_, 124)
    told = verdicts(questions, loss, general)
    return Proof(told, questions, loss, general, (*asked, *slice_), 200, 12.0, 1_790_000_000.0, "cpu")


@pytest.fixture
def run(store: Store) -> HandmadeRun:
    """A run that ended well."""
    made = HandmadeRun(store, title="Robin")
    made.begin()
    made.learn(60)
    return made


def open_run(run: HandmadeRun, found: Proof | None) -> AppTest:
    if found is not None:
        proof.write(run.dir, found)
    if not run.row.done:
        run.end("succeeded", result={"step": 200, "steps": 200})
    return open_finetune(view="runs", job=str(run.row.id))


def unfold(app: AppTest, label: str) -> AppTest:
    """The page with the fold ``label`` open."""
    fold = next(one for one in app.expander if one.label == label)
    app.session_state[fold.proto.id.rsplit("-", 1)[-1]] = True
    return app.run()


def test_the_answer_stands_first_with_the_three_figures(run: HandmadeRun) -> None:
    app = open_run(run, proven())
    told = said(app)
    assert "It learned what it was taught." in told
    assert "It forgot" not in told
    assert figure(app, "Held-out questions") == "124 of 128 right"
    assert figure(app, "Loss on held-out rows") == "0.41"
    assert figure(app, "General knowledge") == "119 of 124 right"
    assert "expect a difference of +91 to +99 points (95 % interval)." in told
    assert "English: 62 of 64, Chinese: 62 of 64" in told


def test_what_was_forgotten_is_said_beside_what_was_learned(run: HandmadeRun) -> None:
    told = said(open_run(run, proven(simple=100)))
    assert "It learned what it was taught." in told
    assert "It forgot some of what it knew before." in told
    assert "fewer epochs or a lower learning rate help against forgetting" in told


def test_the_numbers_are_a_table_with_intervals(run: HandmadeRun) -> None:
    app = unfold(open_run(run, proven()), "All numbers")
    table = app.table[0].value
    assert list(table.index)[:2] == ["Held-out questions", "Held-out questions: English"]
    assert [text.replace("\\", "") for text in table.iloc[0]] == [
        "128",
        "0 (0 %)",
        "124 (97 %)",
        "+97 points (+91 to +99)",
    ]
    assert "nobody judged it otherwise" in said(app)


def test_twenty_answers_stand_side_by_side_evenly_taken(run: HandmadeRun) -> None:
    app = unfold(open_run(run, proven()), "Answers side by side")
    told = said(app)
    assert told.count("The row says: row") == 20
    assert "20 of 128, evenly taken from all." in told
    assert "Base · :red[:material/close:] wrong" in told
    assert "Tuned · :green[:material/check:] right" in told


@pytest.mark.parametrize(
    ("view", "shown"), [("wrong", ["questions question 62?"]), ("lost", ["general question 119?"])]
)
def test_the_wrong_answers_can_be_looked_at_alone(run: HandmadeRun, view: str, shown: list[str]) -> None:
    app = unfold(open_run(run, proven()), "Answers side by side")
    app.session_state[f"proof_{run.row.id}_view"] = view
    told = said(app.run())
    assert not app.exception
    assert all(text in told for text in shown)
    assert "questions question 1?" not in told


def test_what_a_model_said_cannot_change_the_page(run: HandmadeRun) -> None:
    evil = "# Big\n<b>bold</b> :red[x] ![p](http://elsewhere.example/p.png)"
    one = Answer("questions", "en", evil, evil, evil, "", None, None, False, True)
    app = unfold(open_run(run, Proof(("unknown",), part("test", [one], 1), None, None, (one,))), "Answers side by side")
    drawn = [str(one.value) for one in app.markdown if "Big" in str(one.value)]
    assert drawn
    assert all("\\# Big" in text and "\\<b\\>" in text and "!\\[p\\]" in text for text in drawn)
    told = said(app)
    assert "It said nothing." in told
    assert "(it did not end)" in told
    assert "not counted" in told
    assert figure(app, "Held-out questions") == "–"


def test_why_it_could_not_be_checked_is_said_and_what_to_do(run: HandmadeRun) -> None:
    why = PanelError("proof_failed", "Whether it worked could not be checked: {kind}: {problem}", "The model is kept.", kind="OSError", problem="gone")  # fmt: skip
    told = said(open_run(run, Proof(problem=why.to_dict())))
    assert "It could not be checked whether it worked." in told
    assert "OSError: gone" in told
    assert "The model is kept." in told


def test_both_models_can_be_asked_from_there_the_merged_one_before_the_adapter(
    run: HandmadeRun, workspace: Workspace
) -> None:
    base = models.folder(workspace.root / "base")
    catalog.receive(workspace, base, "base", Lineage())
    for name in (files.ADAPTER, files.MERGED):
        shutil.copytree(base, run.dir / name)
        catalog.receive(
            workspace, run.dir / name, f"robin-{name}", Lineage(job=run.row.id, verb="finetune", base="base")
        )
    app = open_run(run, proven())
    links = [one.proto for one in app.main.get("page_link") if one.proto.label == "Chat with both"]
    assert [one.query_string for one in links] == ["view=compare&models=base%2Crobin-merged"]


def test_a_run_without_a_proof_shows_none(run: HandmadeRun) -> None:
    assert "Did it work?" not in said(open_run(run, None))
    (run.dir / files.PROOF).write_text("{")
    assert "Did it work?" not in said(open_run(run, None))


def test_few_are_all_shown_and_many_evenly() -> None:
    some = answers("questions", 128, 0, 0)
    assert finetune_proof.spread(some[:20], 20) == some[:20]
    taken = [some.index(one) for one in finetune_proof.spread(some, 20)]
    steps = {b - a for a, b in itertools.pairwise(taken)}
    assert (len(taken), taken[0], steps) == (20, 0, {6, 7})
