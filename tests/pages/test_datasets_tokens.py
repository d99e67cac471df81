"""*What is trained*: a row token by token for both engines, how long rows are, and the plan of a training before it is begun."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.tokens import histogram, open_model
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support.datasets import keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from tests.support.models import folder
from tests.support.page_text import labels
from tests.support.token_models import qwen_like, tokens_only
from ui.datasets import mask as datasets_mask

NAME = "Persona 你好"
TOOL: Row = {
    "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "tool", "content": "12"},
        {"role": "assistant", "content": "12 degrees."},
    ]
}


@pytest.fixture(autouse=True)
def persona(workspace: Workspace) -> None:
    keep(workspace, NAME, [row("Who <b>are</b> you?", " I am Robin.\n"), TOOL, *sums(10)])


def open_tokens(**query: str) -> AppTest:
    return open_datasets(set=NAME, part="tokens", **query)


def boxes(app: AppTest) -> list[str]:
    """The HTML of the two views, without styles."""
    bodies = [re.sub(r"<style>.*?</style>", "", part.proto.body, flags=re.S) for part in app.get("html")]
    return [body for body in bodies if 'class="tok" ' in body]


def learned(box: str) -> list[str]:
    """What is marked as learned, as people read it."""
    runs = re.findall(r"<mark>(.*?)</mark>", box, re.S)
    return [html.unescape(re.sub(r"<[^>]*>", "", run)).replace("\n", "") for run in runs]


def test_a_row_is_shown_token_by_token_for_both_engines_with_what_they_do_differently() -> None:
    app = open_tokens()
    peft, xtuner = boxes(app)
    # What is learned is marked, with the token that ends it; what a person wrote is no markup.
    assert learned(peft) == ["I␣am␣Robin.<|eot_id|>"]
    assert learned(xtuner) == ["␣I␣am␣Robin.⏎<|eot_id|>"]
    assert "<b>are" not in peft
    text = said(app)
    assert "transformers with peft reads “I”, XTuner “␣I”" in text
    assert "learned: coloured and underlined" in text
    assert "XTuner's layout `llama3_chat`" in text


def test_the_rows_are_turned_and_an_engine_that_cannot_read_one_says_why() -> None:
    app = open_tokens()
    press(app, "Next row")
    assert app.query_params["row"] in ("2", ["2"])
    assert "it stops at messages of the role 'tool'" in said(app)
    assert len(boxes(app)) == 1
    app.number_input(key="mask_row").set_value(12).run()
    assert next(button for button in app.button if button.label == "Next row").disabled
    assert "Both engines read the same tokens of this row and learn the same ones." in said(app)


def test_the_limit_cuts_the_row_off_and_says_so() -> None:
    app = open_tokens(row="12")
    app.number_input(key="tokens_cutoff").set_value(16).run()
    assert "tokens at the end are cut off." in said(app)
    assert "16 tokens, " in said(app)


def test_more_tokens_than_a_page_can_hold_are_drawn_as_beginning_and_end(workspace: Workspace) -> None:
    keep(workspace, NAME, [row("Count.", "one " * 5_000)])
    app = open_tokens()
    app.number_input(key="tokens_cutoff").set_value(100_000).run()
    assert "tokens left out here" in said(app)
    assert boxes(app)[0].count("<span") < datasets_mask.MOST + 10
    keep(workspace, NAME, [row("Count.", "1" * (datasets_mask.MOST_CHARS + 1))])
    app.run()
    assert "too many to be looked at token by token" in said(app)


def test_a_model_without_template_or_tokenizer_says_what_is_missing(workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, tokens_only(folder(tmp_path / "bare"), None))
    catalog.add(workspace, qwen_like(folder(tmp_path / "qwen")))
    slow = folder(tmp_path / "slow")
    (slow / "tokenizer.json").rename(slow / "tokenizer.model")
    catalog.add(workspace, slow)
    app = open_tokens()
    app.selectbox(key="tokens_model").set_value("bare").run()
    assert "has no chat template" in said(app)
    assert "Open Models" in labels(app)
    app.selectbox(key="tokens_model").set_value("slow").run()
    assert "has no tokenizer.json" in said(app)
    assert "tokenizer.model" in said(app)
    app.selectbox(key="tokens_model").set_value("qwen").run()
    assert "only transformers with peft reads" in said(app)


def test_lengths_are_exact_for_few_rows_and_lead_to_the_longest(workspace: Workspace) -> None:
    keep(workspace, NAME, [*sums(4), row("Long?", "word " * 300)])
    app = open_tokens(look="lengths")
    app.number_input(key="tokens_cutoff").set_value(128).run()
    assert "**1** row of 5 is longer than 128 tokens. All rows were counted." in said(app)
    assert "Count all rows" not in labels(app)
    shown = {metric.label: metric.value for metric in app.metric}
    longest = max(histogram.sample(open_model(ROOT / "models" / "starter"), Datasets(workspace).open(NAME)).of())
    assert (shown["Cut off"], shown["Longest"]) == ("20 %", f"{longest:,}")
    press(app, f"Row 5 · {longest:,}")
    assert len(boxes(app)) == 2
    assert app.number_input(key="mask_row").value == 5


def test_rows_that_are_too_long_are_taken_out_by_one_press(workspace: Workspace) -> None:
    first = keep(workspace, NAME, [*sums(4), row("Long?", "word " * 300)]).id
    app = open_tokens(look="lengths")
    assert "Take 1 row out" not in labels(app)
    app.number_input(key="tokens_cutoff").set_value(128).run()
    press(app, "Take 1 row out")
    assert "is without the rows that were too long" in said(app)
    assert list(Datasets(workspace).open(NAME)) == sums(4)
    assert len(Datasets(workspace).open(NAME, first)) == 5


def test_of_many_rows_a_sample_says_its_error_and_a_job_counts_them_all(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(workspace, NAME, sums(histogram.SAMPLE + 500))
    app = open_tokens(look="lengths")
    app.number_input(key="tokens_cutoff").set_value(32).run()
    text = said(app)
    assert "95 times of 100" in text
    assert "Told from a sample of 2,000 rows." in text
    press(app, "Count all rows")
    (job,) = store.list(verb="count_tokens")
    spec = store.spec(job.id)
    assert (spec["dataset"], spec["model"]) == (NAME, "starter")
    assert spec["version"] == Datasets(workspace).open(NAME).info.id
    assert "Count all rows" not in labels(app)


def test_a_plan_that_cannot_run_says_so_before_and_one_press_makes_it_run() -> None:
    app = open_tokens(look="plan")
    app.number_input(key="tokens_plan_epochs").set_value(1).run()
    text = said(app)
    assert "This training cannot run." in text
    assert "end should be larger than begin" in text
    before = {metric.label: metric.value for metric in app.metric}
    assert (before["Rows for training"], before["Rows after packing"], before["Warm-up"]) == ("12", "1", "0")
    press(app, "Set warm-up: none")
    assert app.number_input(key="tokens_plan_warmup").value == 0.0
    assert "This training can run." in said(app)
    app.segmented_control(key="tokens_plan_engine").set_value("peft").run()
    assert "hardly learned anything" in said(app)
    press(app, next(label for label in labels(app) if label.startswith("Set epochs")))
    assert "hardly learned anything" not in said(app)
