"""Questions from documents on the Datasets page: choosing, looking, trying one passage, starting, and the account at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend.data.documents import forecast
from backend.data.store import Datasets
from backend.errors import PanelError
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import by_hand
from tests.support.documents import pdf
from tests.support.page_text import labels, text
from tests.support.panel import end_all_of
from tests.support.stub_openai import Stub, published, stub

QUOTE = "Rice likes warmth."
SAY = json.dumps(
    [
        {"question": "What does rice like?", "answer": "Warmth.", "quote": QUOTE},
        {"question": "Who eats rice?", "answer": "Pandas.", "quote": "Pandas eat rice."},
    ]
)
START = "Ask about these documents"


def page(*documents: Path | str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["view"] = "make"
    app.query_params["kind"] = "documents"
    if documents:
        app.query_params["document"] = [str(each) for each in documents]
    app.switch_page(str(ROOT / "pages" / "datasets.py")).run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


@pytest.fixture
def model(store: Store) -> Iterator[Stub]:
    with stub("demo", script={"say": SAY}, context_length=4096) as running, published(store, running):
        yield running


@pytest.fixture
def rice(tmp_path: Path) -> Path:
    path = tmp_path / "rice.pdf"
    path.write_bytes(pdf([["1 Sowing", "", QUOTE], ["Sow in spring."]], [("1 Sowing", 1)]))
    return path


@pytest.fixture(autouse=True)
def _nothing_left(store: Store) -> Iterator[None]:
    yield
    end_all_of(store.workspace.root)


def test_a_path_is_added_and_a_wrong_one_is_told(rice: Path) -> None:
    app = page()
    app.text_input(key="documents_path_text").set_value(str(rice.parent / "gone.pdf"))
    press(app, "Add these documents")
    assert "There is no file" in plain(app)
    assert "document" not in app.query_params
    app.text_input(key="documents_path_text").set_value(str(rice))
    press(app, "Add these documents")
    assert app.query_params["document"] == str(rice)
    assert "There is no file" not in plain(app)
    assert "PDF · 2 pages" in plain(app)
    press(app, "Leave out")
    assert "document" not in app.query_params


def test_without_a_model_the_passages_can_be_looked_at_and_the_way_to_one_is_shown(rice: Path) -> None:
    scan = rice.with_name("scan.pdf")
    scan.write_bytes(pdf([None]))
    app = page(rice, scan)
    said = plain(app)
    assert "pages 1 to 2 · 1 Sowing · characters 1 to 44" in said
    assert "'scan.pdf' was scanned: its pages (1) are pictures and hold no text." in said
    assert "No model is running." in said
    assert "Start a model" in [link.proto.label for link in app.main.get("page_link")]
    button = next(button for button in app.button if button.label == START)
    assert button.disabled
    assert "Start a model first." in said


def test_one_passage_is_tried_and_tells_what_would_be_kept_and_how_long_all_will_take(rice: Path, model: Stub) -> None:
    app = page(rice)
    assert "1 request to the model" in plain(app)
    assert "time unknown: try one passage" in plain(app)
    press(app, "Try this passage")
    said = plain(app)
    assert "What does rice like?" in said
    assert "Refused: The quote does not stand in the text." in said
    assert "from the passage that was tried" in said
    (request,) = model.requests()
    assert request["messages"][0]["content"] in [code.value for code in app.code], "the person saw what was sent"


def test_a_trial_that_fails_says_why(rice: Path, store: Store) -> None:
    with stub("demo", script={"status": 500, "message": "no kernel"}) as running, published(store, running):
        assert "no kernel" in plain(press(page(rice), "Try this passage"))


def test_the_job_is_made_once_with_what_was_chosen(rice: Path, model: Stub, store: Store) -> None:
    app = page(rice)
    app.text_input(key="documents_dataset").set_value("Rice pairs")
    app.number_input(key="documents_pairs").set_value(2)
    app.selectbox(key="documents_language").set_value("zh").run()
    app.text_area(key="documents_prompt_zh").set_value("请提问：{{text}}").run()
    press(app, START)
    (row,) = store.list(verb="ask_documents")
    spec = store.spec(row.id)
    assert {name: spec[name] for name in ("files", "model", "dataset", "pairs", "language", "prompt")} == {
        "files": [str(rice)], "model": "demo", "dataset": "Rice pairs", "pairs": 2, "language": "zh", "prompt": "请提问：{{text}}",
    }  # fmt: skip
    assert "document" not in app.query_params, "the next documents begin anew"
    assert "ask about documents: Rice pairs" in plain(app)


def test_a_prompt_without_a_place_for_the_passage_is_refused_at_once(rice: Path, model: Stub) -> None:
    app = page(rice)
    app.text_area(key="documents_prompt_en").set_value("Ask something.").run()
    assert "the prompt must say where the passage goes: {{text}}" in plain(app)
    assert next(button for button in app.button if button.label == START).disabled
    press(app, "Back to the prompt of TuneDeck")
    assert not next(button for button in app.button if button.label == START).disabled


def end(store: Store, workspace: Workspace, result: dict[str, object]) -> int:
    """A job that ended well with ``result``."""
    row = by_hand.running(store, "ask_documents", {"files": ["/a.txt"], "model": "demo", "dataset": "Rice"})
    with Datasets(workspace).write("Rice", steps=[]) as out:
        out.add({"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}]})
    return by_hand.end(store, row, result=result).id


def test_the_account_says_what_was_kept_and_refused_and_leads_to_the_review(store: Store, workspace: Workspace) -> None:
    left_out = {"file": "/b.pdf", "error": {"code": "x", "message": "'{name}' is broken.", "params": {"name": "b.pdf"}}}
    reasons = {"pair_quote_missing": 3, "pair_twice": 1}
    account = {
        "dataset": "Rice",
        "pairs": 5,
        "refused": 4,
        "chunks": 3,
        "reasons": reasons,
        "left_out": [left_out],
        "pace_s": 2.0,
    }
    end(store, workspace, account)
    app = page()
    said = plain(app)
    assert "5 pairs are in 'Rice'** · 3 passages" in said
    assert "4 were refused:" in said
    assert "3 × The quote does not stand in the text." in said
    assert "Left out: 'b.pdf' is broken." in said
    assert "Open Rice" in labels(app)
    press(app, "Review the pairs")
    assert app.query_params["set"] == "Rice"
    assert app.query_params["part"] == "review"
    assert forecast.measured(store, "demo", 2) == 2.0
    found = forecast.forecast(store, "demo", 10, 2, None)
    assert found is not None
    assert (found.low_s < 20 < found.high_s, found.source) == (True, "jobs")
    assert forecast.forecast(store, "other", 10, 2, None) is None


def test_where_nothing_could_be_kept_the_reasons_and_what_the_model_wrote_are_shown(store: Store) -> None:
    row = by_hand.running(store, "ask_documents", {"files": ["/a.txt"], "model": "demo", "dataset": "Rice"})
    (store.job_dir(row.id) / "answers.jsonl").write_text(json.dumps({"chunk": 1, "said": "I like cows."}) + "\n")
    error = {
        "code": "documents_no_pair",
        "message": "Nothing of it.",
        "hint": "",
        "params": {"reasons": {"pair_none": 1}},
    }
    by_hand.end(store, row, "failed", PanelError.from_dict(error))
    app = page()
    said = plain(app)
    assert "Nothing of it." in said
    assert "1 was refused:" in said
    assert "1 × The model's answer holds no question with an answer." in said
    assert "I like cows." in said
    press(app, "Choose these documents again")
    assert app.query_params["document"] == "/a.txt"
