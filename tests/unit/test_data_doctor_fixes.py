"""Fixes: they do what their button says, once is enough, and whatever JSON comes along nothing crashes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data import doctor
from backend.data.doctor import CHECKS, Limits, personal
from backend.data.rows import line
from backend.data.store import Datasets
from backend.errors import DataError
from backend.workspace import Workspace
from tests.unit.test_data_doctor import SOUND, prose, row, talk

FIXABLE = [code for code, check in CHECKS.items() if check.fixable]
LIMITS = Limits(chars=60, copies=3)


def fixed(rows: list[Any], *codes: str, **kwargs: Any) -> list[Any]:
    return list(doctor.fix(rows, codes, **kwargs))


def turns(found: Any) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in found["messages"]]


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        ("leading_blanks", talk(("user", "\n Hi  there"), ("assistant", "\ufeff\u3000Yes ")), talk(("user", "Hi  there"), ("assistant", "Yes "))),
        ("two_users", talk(("user", "One."), ("user", " "), ("user", "Two?"), ("assistant", "3")), talk(("user", "One.\n\nTwo?"), ("assistant", "3"))),
        ("system_late", talk(("user", "Hi"), ("system", "Be kind."), ("assistant", "Ho"), ("system", "Be brief.")), talk(("system", "Be kind.\n\nBe brief."), ("user", "Hi"), ("assistant", "Ho"))),
        ("answer_empty", talk(("user", "Hi"), ("assistant", "Ho"), ("user", "And?"), ("assistant", " \n")), talk(("user", "Hi"), ("assistant", "Ho"))),
        ("answer_empty", talk(("user", "Hi"), ("assistant", "")), None),
        ("no_answer", talk(("user", "Hi")), None),
        ("question_empty", row(" ", "Ho"), None),
        ("too_long", row("Hi", "o" * 70), None),
        ("language_answer", row("土壤的酸碱度是多少？", "Between six and seven."), None),
        ("secret", row("key", "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs."), row("key", "[SECRET].")),
        ("personal", row("jo@farm.org?", "13812345678"), row("[EMAIL]?", "[PHONE]")),
        ("ip_address", row("where", "203.119.26.1"), row("where", "[IP ADDRESS]")),
    ],
)  # fmt: skip
def test_a_fix_does_what_its_button_says(code: str, bad: Any, good: Any) -> None:
    before = copy.deepcopy(bad)
    assert fixed([SOUND[0], bad], code, limits=Limits(chars=66)) == [SOUND[0], *([good] if good else [])]
    assert bad == before, "what was given is as it was"


def test_pictures_of_joined_questions_stay_with_their_places() -> None:
    bad = talk(("user", "<image>\nWhat?"), ("user", "And <image>?"), ("assistant", "Two trees."))
    bad["messages"][0]["images"], bad["messages"][1]["images"] = ["a.png"], ["b.png"]
    (good,) = fixed([bad], "two_users")
    assert good["messages"][0] == {
        "role": "user",
        "content": "<image>\nWhat?\n\nAnd <image>?",
        "images": ["a.png", "b.png"],
    }


def test_personal_data_in_the_arguments_of_a_tool_leaves_them_json() -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "send", "arguments": '{"to": "jo@farm.org", "phone": 13812345678}'},
    }
    bad = {
        "messages": [{"role": "user", "content": "Send it"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    }
    assert doctor.examine([(1, bad)]).counts == {"personal": 2}
    (good,) = fixed([bad], "personal")
    arguments = good["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"to": "[EMAIL]", "phone": "[PHONE]"}


def test_of_copies_the_first_stays_and_parts_of_the_set_are_kept_apart() -> None:
    first, test = row("Who?", "Robin.", id=1), row("Who?", "Robin.", split="test")
    assert fixed([first, row("What?", "Loam."), row("Who?", "Robin."), test], "duplicate") == [
        first,
        row("What?", "Loam."),
        test,
    ]
    few = [row("A?", "B.")] * 2
    assert fixed([*few, *[row("C?", "D.")] * 3], "copies", limits=LIMITS) == [*few, row("C?", "D.")]


def test_a_leak_is_taken_out_of_training_and_the_test_stays() -> None:
    near = prose(3)
    test = [row("What is pH?", "Sour.", split="test"), row(near, "Loam.", split="validation")]
    rows = [row("what is pH", "A number."), *test, SOUND[0], row(near + " now", "Clay.")]
    assert fixed(rows, "leak", "leak_near") == [*test, SOUND[0]]
    assert fixed(rows, "leak_other", against=[row("What is pH", "")]) == [test[1], SOUND[0], rows[4]]


def test_of_near_duplicates_none_goes_whose_like_goes_too() -> None:
    words = prose(1, 120).split()
    chain = [row(" ".join(words[n * 4 :]), " ".join(words[n * 4 :])) for n in range(8)]
    kept = fixed(chain, "near_duplicate")
    assert kept[0] == chain[0]
    assert 1 < len(kept) < len(chain), "the end of the chain is not near to its beginning"
    assert not doctor.examine(enumerate(kept, 1)).of("near_duplicate")


def test_a_version_is_mended_where_it_lies(workspace: Workspace) -> None:
    sets = Datasets(workspace)
    picture = {
        "messages": [
            {"role": "user", "content": "<image>", "images": ["ab/gone.png"]},
            {"role": "assistant", "content": "A tree."},
        ]
    }
    with sets.write("soil", steps=[]) as out:
        for one in [*SOUND, SOUND[0], picture, row("x", " y")]:
            out.add(one)  # type: ignore[arg-type]
    version = sets.open("soil")
    assert list(doctor.fix(version, ["duplicate"])) == [*SOUND, picture, row("x", " y")]
    assert list(doctor.fix(version, ["duplicate", "image_broken", "leading_blanks"])) == [*SOUND, row("x", "y")]


@pytest.mark.parametrize("code", ["contradiction", "malformed", "nonsense"])
def test_what_has_no_fix_is_refused_at_once(code: str) -> None:
    with pytest.raises(DataError) as error:
        doctor.fix([], [code])
    assert error.value.code == "fix_unknown"
    assert code in str(error.value)


def test_rows_of_another_set_are_not_taken_out_without_that_set() -> None:
    with pytest.raises(DataError) as error:
        doctor.fix([], ["leak_other"])
    assert error.value.code == "fix_against_missing"


LETTERS = "ab 12\n\u3000\ufeff土地？.@<image>"
TEXT = st.one_of(
    st.text(LETTERS, max_size=12),
    st.sampled_from(
        ["", " ", "Who are you?", "who are you", "I am Robin.", "你是谁？", "我是农场的小助手知更鸟。", "jo@farm.org", "13812345678",
         "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs", "http://u:pw@host", "4111111111111111", "10.20.30.40", "11010519491231002X", "x" * 61,
         "<image>", "\ud800", "a@b.co13812345678", "-----BEGIN PRIVATE KEY-----"]
    ),
    st.lists(st.sampled_from(["13812345678", "jo@farm.org", " ", "-", ".", "86", "1", "x", "10.20.30.40", "sk-", "http://", ":"]), max_size=8).map("".join),
)  # fmt: skip
CALL = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"arguments": st.one_of(TEXT, TEXT.map(lambda text: json.dumps({text: [text, 13812345678]})))}
        )
    }
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "user", "assistant", "assistant", "tool"]), "content": TEXT},
    optional={
        "loss": st.booleans(),
        "tool_calls": st.lists(CALL, max_size=2),
        "images": st.lists(st.sampled_from(["a.png", "../b"]), max_size=2),
    },
)
ROW = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, min_size=1, max_size=5)},
    optional={"meta": st.fixed_dictionaries({"split": st.sampled_from(["train", "test", "validation"])})},
)
SHORT_ROW = st.builds(row, st.sampled_from(["Who?", "who", "你是谁？", prose(1, 20), prose(1, 20) + " x"]), TEXT)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["messages", "role", "content", "meta", "split", "images", "tool_calls", "function", "arguments", "user", "x"]), inner, max_size=5)),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_the_quick_tests_pass_over_nothing_that_a_pattern_finds(text: str) -> None:
    wrapped = line({"messages": [{"role": "user", "content": text}]})
    missed = set(personal.find(text, list(personal.KINDS))) - set(personal.suspects(wrapped))
    assert not missed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(JSON, ROW, st.builds(lambda inner: {"messages": [inner]}, JSON)), max_size=6),
    st.sets(st.sampled_from(FIXABLE)),
)
def test_no_json_whatever_makes_the_doctor_or_a_fix_crash(rows: list[Any], codes: set[str]) -> None:
    report = doctor.examine(enumerate(rows, 1), limits=LIMITS, against=rows, images=Path("/nowhere"))
    assert report.rows == len(rows)
    assert all(finding.message() for finding in report.findings)
    list(doctor.fix(rows, codes, limits=LIMITS, against=rows, images=Path("/nowhere")))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(ROW, SHORT_ROW), max_size=9), st.sets(st.sampled_from(FIXABLE), min_size=1))
def test_mending_once_is_enough(rows: list[Any], codes: set[str]) -> None:
    how: dict[str, Any] = {"limits": LIMITS, "against": [row("Who?", "x")], "images": Path("/nowhere")}
    once = fixed(rows, *codes, **how)
    assert fixed(once, *codes, **how) == once
    left = doctor.examine(enumerate(once, 1), **how).counts
    assert not codes & left.keys(), "nothing of what was mended is left, and none was made"


@settings(max_examples=50, deadline=None)
@given(st.lists(ROW, max_size=6), st.sets(st.sampled_from([code for code in FIXABLE if code != "leak_other"])))
def test_sound_rows_pass_through_every_fix_unchanged(rows: list[Any], codes: set[str]) -> None:
    told = doctor.examine(enumerate(rows, 1), limits=LIMITS)
    if not codes & told.counts.keys():
        assert [line(one) for one in doctor.fix(rows, codes, limits=LIMITS)] == [line(one) for one in rows]
