"""How many tokens rows have: exact counts, a sample with its error stated, and what a training would make of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.tokens import histogram, mask, open_model
from backend.data.tokens.lengths import LONGEST, Lengths, bins, count, quantiles, truncated
from backend.data.tokens.plan import Wish, forecast
from backend.data.versions import Version
from backend.errors import ModelError
from backend.workspace import ROOT, Workspace
from tests.support.token_models import INST, tokens_only

STARTER = ROOT / "models" / "starter"


def short(words: int, split: str = "") -> Row:
    found: Row = {
        "messages": [
            {"role": "user", "content": "Who are you?"},
            {"role": "assistant", "content": "one " * words},
        ]
    }
    return {**found, "meta": {"split": split}} if split else found


@pytest.fixture
def version(workspace: Workspace) -> Version:
    """Rows of which row n has about n more tokens than the first; every tenth one is a test row."""
    with Datasets(workspace).write("rows 数据", steps=[]) as out:
        for n in range(300):
            out.add(short(n, "test" if n % 10 == 9 else ""))
    return Datasets(workspace).open("rows 数据")


def test_a_count_is_what_the_mask_view_shows_row_by_row(version: Version) -> None:
    model = open_model(STARTER)
    found = histogram.sample(model, version)
    assert found.exact
    lengths = [len(mask.view(model, row)) for row in version]
    assert found.of() == Counter(lengths)
    assert found.of("test") == Counter(lengths[9::10])
    assert found.too_long(lengths[295]) == [(n, lengths[n - 1]) for n in (300, 299, 298, 297)]
    limit = lengths[149]
    share = truncated(found, limit)
    assert (share.share, share.low, share.high, share.rows) == (0.5, 0.5, 0.5, 150)
    median = quantiles(found, (0.5,))[0]
    assert (median.tokens, median.low, median.high) == (limit, limit, limit)


def test_rows_that_a_template_refuses_are_counted_apart_and_named(tmp_path: Path) -> None:
    model = open_model(tokens_only(tmp_path / "inst", INST, bos_token="<s>", eos_token="</s>"))
    twice: Row = {"messages": [*short(1)["messages"][:1], *short(1)["messages"]]}
    found = Lengths(3)
    assert list(count(model, enumerate([short(1), twice, short(2)], start=1), found)) == [3]
    assert (found.counted, found.refused, found.of().total()) == (3, 1, 2)
    assert found.failed == [(2, "Conversation roles must alternate user/assistant")]
    with pytest.raises(ModelError, match="no chat template"):
        list(count(open_model(tokens_only(tmp_path / "bare", None)), [(1, short(1))], Lengths(1)))


def test_a_sample_states_an_error_that_holds_about_as_often_as_it_says() -> None:
    """Drawn 400 times: the interval holds the true share 95 times of 100, or a little more often."""
    rows = [10] * 900 + [100] * 100
    held = 0
    for seed in range(400):
        found = Lengths(len(rows))
        for number, tokens in enumerate(random.Random(seed).sample(rows, 250), start=1):
            found.add(number, "train", tokens)
        share = truncated(found, 50)
        held += share.low <= 0.1 <= share.high
        assert share.high - share.low < 0.08
        assert share.rows == round(share.share * 1000)
    assert 0.93 <= held / 400 <= 0.99


def test_a_sample_of_a_version_is_the_same_again_and_its_quantiles_have_their_range(version: Version) -> None:
    model = open_model(STARTER)
    found, again = (histogram.sample(model, version, rows=100) for _ in range(2))
    assert found.to_dict() == again.to_dict()
    assert (found.counted, found.exact) == (100, False)
    assert histogram.sample(model, version, rows=100, seed=1).to_dict() != found.to_dict()
    whole = histogram.sample(model, version)
    for told, true in zip(quantiles(found), quantiles(whole), strict=True):
        assert told.low <= true.tokens <= told.high
    assert quantiles(Lengths(0)) == []
    empty = truncated(Lengths(10), 5)
    assert (empty.low, empty.high) == (0.0, 1.0)


def test_only_the_longest_rows_keep_their_number() -> None:
    found = Lengths(3 * LONGEST)
    for number in range(1, 3 * LONGEST + 1):
        found.add(number, "train", number)
    assert len(found.longest) == LONGEST
    assert found.too_long(0)[0] == (3 * LONGEST, 3 * LONGEST)
    assert found.too_long(0)[-1][0] == 2 * LONGEST + 1
    again = Lengths.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()


def test_what_is_kept_is_taken_for_the_same_rows_and_model_only(version: Version, workspace: Workspace) -> None:
    model = open_model(STARTER)
    assert histogram.read(model, version) is None
    file = histogram.write(model, version, histogram.sample(model, version), "starter")
    assert file.parent.parent == version.folder
    kept = histogram.read(model, version)
    assert kept is not None
    assert kept.of() == histogram.sample(model, version).of()
    assert histogram.read(open_model(ROOT / "models" / "tiny"), version) is None
    for broken in ("[]", "{}", '{"total": 300, "counts": 3}', "not JSON"):
        file.write_text(broken)
        assert histogram.read(model, version) is None


def test_bins_hold_every_row_and_are_round() -> None:
    width, found = bins(Counter({0: 1, 19: 2, 20: 3, 799: 4}))
    assert (width, len(found), sum(found)) == (20, 40, 10)
    assert found[:2] == [3, 3]
    assert bins(Counter({3: 2})) == (1, [0, 0, 0, 2])
    assert bins(Counter()) == (1, [0])


TWELVE = Counter({60: 12})
NOTES_PLAN = Wish(max_length=512, packing=True, batch_size=1, accumulation=16, epochs=1)


def test_twelve_rows_for_one_epoch_are_said_not_to_run_and_every_setting_offered_makes_them_run() -> None:
    found = forecast(TWELVE, NOTES_PLAN)
    assert (found.packed_rows, found.iterations, found.warmup, found.runs) == (1, 1, 0, False)
    (problem, *_rest) = found.problems
    assert "end should be larger than begin" in problem.message()
    assert [setting.words() for setting in problem.settings] == ["epochs: 67", "warm-up: none"]
    for setting in problem.settings:
        assert forecast(TWELVE, setting.wish).runs, setting
    less = replace(NOTES_PLAN, epochs=66)
    assert not forecast(TWELVE, less).runs, "one epoch less would not do"
    assert forecast(TWELVE, less).problems[0].code == "short_warmup"


def test_unpacked_rows_are_offered_where_that_is_enough() -> None:
    found = forecast(Counter({60: 80}), NOTES_PLAN)
    assert (found.packed_rows, found.warmup) == (9, 0)
    assert "packing: off" in [setting.words() for setting in found.problems[0].settings]


def test_the_self_cognition_training_of_the_course_notes_comes_out_as_it_did() -> None:
    """2,001 identical rows, packed at 512, 3 epochs, as XTuner counts: full rows of each 1,000, and the rest of the last."""
    found = forecast(Counter({64: 2001}), Wish(max_length=512, epochs=3))
    assert found.packed_rows == 125 + 125 + 1
    assert (found.iterations, found.steps) == (753, 48)
    assert (found.warmup, found.runs) == (22, True)
    assert forecast(Counter({64: 2000}), Wish(max_length=512, epochs=3)).packed_rows == 250


def test_what_packing_loses_is_said() -> None:
    found = forecast(Counter({50: 15}), Wish(max_length=512, epochs=300, accumulation=1))
    assert (found.packed_rows, found.tokens) == (1, 750)
    assert [problem.message() for problem in found.problems] == [
        "238 tokens at the end of the packed rows are left out, 32 % of all."
    ]


def test_transformers_has_no_such_trap_joins_whole_rows_and_counts_steps_in_epochs() -> None:
    wish = replace(NOTES_PLAN, engine="peft")
    found = forecast(TWELVE, wish)
    assert (found.packed_rows, found.steps, found.warmup, found.runs) == (2, 1, 1, True)
    assert [problem.code for problem in found.problems] == ["few_steps"]
    for setting in found.problems[0].settings:
        assert forecast(TWELVE, setting.wish).steps >= 10
    mixed = forecast(Counter({300: 4, 200: 4, 12: 2, 900: 1}), wish)
    assert (mixed.packed_rows, mixed.truncated) == (5, 1)
    plain = forecast(Counter({60: 100}), replace(wish, packing=False, batch_size=3, epochs=2, accumulation=4))
    assert (plain.iterations_per_epoch, plain.steps_per_epoch, plain.steps) == (34, 9, 18)


def test_a_plan_without_rows_says_so_and_a_sample_is_scaled_up() -> None:
    assert [problem.code for problem in forecast(Counter(), NOTES_PLAN).problems] == ["no_rows"]
    wish = Wish(max_length=512, packing=False)
    assert forecast(Counter({60: 100}), wish, scale=20.0).rows == 2000
