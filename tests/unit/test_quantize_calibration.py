"""Calibration rows: two languages without a download, a person's own rows as the model reads them, the same for the same seed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.tokens import open_listed, open_model
from backend.errors import DataError
from backend.finetune import general
from backend.finetune.scoring import said
from backend.quantize import calibration
from backend.quantize.calibration import Calibrated, bundled, texts
from backend.specs.quantize import QuantizeSpec
from backend.workspace import Workspace
from tests.support.datasets import keep, row, sums
from tests.support.planning import talk
from tests.support.token_models import INST, tokens_only


def rows(workspace: Workspace, most: int | None = None, **fields: Any) -> Calibrated:
    spec = QuantizeSpec.model_validate({"model": "starter", "samples": 32, **fields})
    return texts(workspace, spec, open_listed(workspace, "starter"), most)


def of(workspace: Workspace, name: str, **fields: Any) -> Calibrated:
    return rows(workspace, calibration="dataset", dataset=name, **fields)


def test_the_bundled_set_is_large_enough_and_half_in_each_language() -> None:
    languages = [one["meta"]["lineage"]["language"] for one in bundled()]
    assert len(languages) >= 256
    assert languages.count("en") == languages.count("zh") == len(languages) // 2
    assert sum(not one["meta"]["text"] for one in bundled()) >= 50, "conversations, too"
    whole = ["\n".join(message["content"] for message in one["messages"]) for one in bundled()]
    assert len(set(whole)) == len(whole)
    assert min(map(len, whole)) >= 10
    for one in bundled():
        roles = [message["role"] for message in one["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) if len(roles) > 1 else ["user"]


def test_nothing_of_the_exams_stands_in_it() -> None:
    asked = said([one.asked for one in general.everything()])
    told = said([message["content"] for one in bundled() for message in one["messages"]])
    assert not asked & told


def test_bundled_rows_alternate_between_languages_and_follow_from_the_seed(workspace: Workspace) -> None:
    found = rows(workspace, samples=20)
    chinese = [any("\u4e00" <= sign <= "\u9fff" for sign in text) for text in found.rows]
    assert all(one != other for one, other in pairwise(chinese))
    assert (found.asked, found.found, found.source, found.refused) == (20, len(bundled()), "bundled", 0)
    assert rows(workspace, samples=20) == found
    assert rows(workspace, samples=20, seed=7).rows != found.rows
    assert rows(workspace, samples=4000).found == len(rows(workspace, samples=4000).rows) == len(bundled())
    assert rows(workspace, calibration="none") == calibration.NONE


def test_conversations_go_through_the_chat_template_and_texts_do_not(workspace: Workspace) -> None:
    found = rows(workspace, samples=4000).rows
    chats = [text for text in found if "<|start_header_id|>assistant<|end_header_id|>" in text]
    assert len(chats) == sum(not one["meta"]["text"] for one in bundled())
    assert all(text.startswith("<|begin_of_text|>") and text.count("<|begin_of_text|>") == 1 for text in chats)


def test_rows_of_a_dataset_are_those_of_its_split_train(workspace: Workspace) -> None:
    keep(workspace, "mine", [*sums(30), *({**one, "meta": {"split": "test"}} for one in talk(30))])  # type: ignore[list-item]
    found = of(workspace, "mine", samples=20)
    assert (len(found.rows), found.found) == (20, 30)
    assert found.source == f"mine@{Datasets(workspace).get('mine').current.id}"
    assert all("plus" in text and "number" not in text for text in found.rows)
    few = of(workspace, "mine", samples=50)
    assert (few.asked, few.found, few.taken) == (50, 30, 30)


def test_rows_are_cut_at_the_tokens_that_were_asked_for(workspace: Workspace) -> None:
    keep(workspace, "long", [row("Count.", " ".join(str(n) for n in range(400))), *sums(3)])
    model = open_listed(workspace, "starter")
    whole = of(workspace, "long", samples=4, sample_tokens=4096)
    found = of(workspace, "long", samples=4, sample_tokens=64)
    assert (whole.cut, found.cut) == (0, 1)
    assert found.longest == whole.longest > 400
    counts = [len(model.tokenizer.encode(text, add_special_tokens=False).ids) for text in found.rows]
    assert max(counts) == 64
    assert found.tokens == sum(counts)
    cut = next(text for text, count in zip(found.rows, counts, strict=True) if count == 64)
    assert any(text.startswith(cut) for text in whole.rows)


def test_rows_that_the_template_refuses_or_that_hold_pictures_are_passed_over(
    workspace: Workspace, tmp_path: Path
) -> None:
    odd: Row = {"messages": [{"role": "assistant", "content": "First."}, {"role": "user", "content": "Second."}]}
    seen: Row = {"messages": [{"role": "user", "content": "<image>", "images": ["a.png"]}, {"role": "assistant", "content": "A cat."}]}  # fmt: skip
    keep(workspace, "mixed", [*sums(6), odd, seen])
    spec = QuantizeSpec(model="m", calibration="dataset", dataset="mixed", samples=8)
    strict = open_model(tokens_only(tmp_path / "strict", INST))
    found = texts(workspace, spec, strict)
    assert (len(found.rows), found.found, found.refused) == (6, 6, 2)
    assert all("[INST] " in text for text in found.rows)


def test_a_large_dataset_is_read_in_places_and_a_plan_looks_at_few(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(workspace, "large", talk(400, words=30))
    some = rows(workspace, 6000, calibration="dataset", dataset="large", samples=200)
    assert not some.whole
    assert 0 < len(some.rows) < 200 == some.taken
    assert some.found == 400
    monkeypatch.setattr(calibration, "WHOLE_BYTES", 10)
    drawn = of(workspace, "large", samples=40)
    assert len(set(drawn.rows)) == 40
    assert of(workspace, "large", samples=40) == drawn


def test_a_damaged_or_missing_dataset_says_so(workspace: Workspace) -> None:
    info = keep(workspace, "mine", sums(30))
    with pytest.raises(DataError, match="no dataset called 'gone'"):
        of(workspace, "gone")
    path = Datasets(workspace).open("mine").folder / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=info.id):
        of(workspace, "mine")


def test_a_model_without_a_template_reads_the_bundled_texts_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    plain = open_model(tokens_only(tmp_path / "plain", None))
    found = texts(workspace, QuantizeSpec(model="m", samples=4000), plain)
    assert len(found.rows) == len(bundled())
    assert json.dumps(found.rows, ensure_ascii=False).count("\\n\\n") > 0
