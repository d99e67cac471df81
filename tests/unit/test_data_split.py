"""Splitting: no question on two sides, shares that are met, the same again with the same seed, and every row in one part."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data import alike, traits
from backend.data.rows import SPLITS, Row, row_hash, split_of
from backend.data.split import DEFAULT, checked, leaks, plan, split
from backend.errors import DataError

WORDS = [
    "wheat",
    "barley",
    "river",
    "mountain",
    "engine",
    "doctor",
    "contract",
    "harvest",
    "winter",
    "copper",
    "violin",
    "senate",
]


def row(question: str, answer: str = "An answer.", **meta: object) -> Row:
    made: Row = {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    return {**made, "meta": dict(meta)} if meta else made


def distinct(count: int, seed: int = 0, **meta: str) -> list[Row]:
    """Rows whose questions are all different ones."""
    rng = random.Random(seed)
    return [row(f"{n} {' '.join(rng.sample(WORDS, 6))} {rng.random()}", **meta) for n in range(count)]


def drawn(question: str, answer: str, chunk: int, test: bool) -> Row:
    made = row(question, answer)
    meta: dict[str, object] = {"chunk": chunk, "source": "d"} if chunk else {}
    meta |= {"split": "test"} if test else {}
    if meta:
        made["meta"] = meta
    return made


SHARES = st.tuples(*[st.integers(0, 10)] * 3).filter(lambda s: sum(s) > 0)
ROWS = st.lists(
    st.builds(
        drawn,
        st.sampled_from([f"{a} {b}?" for a in WORDS for b in WORDS[:4]]) | st.text(max_size=40),
        st.sampled_from(["yes", "no"]),
        st.integers(0, 6),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, SHARES, st.integers(0, 5), st.sampled_from(["", "chunk", "language"]), st.booleans())
def test_every_row_is_in_one_part_no_question_in_two_and_shares_hold_to_within_a_block(
    rows: list[Row], parts: tuple[int, int, int], seed: int, stratify: str, keep_test: bool
) -> None:
    shares: dict[str, float] = {name: part / sum(parts) for name, part in zip(SPLITS, parts, strict=True)}
    try:
        found = plan(rows, shares, seed, stratify, keep_test=keep_test)
    except DataError as error:
        if error.code != "split_too_small":
            raise
        return
    out = list(split(rows, shares, seed, stratify, keep_test=keep_test))
    assert [row_hash(one) for one in out] == [row_hash(one) for one in rows]
    assert leaks(out).groups == 0
    part_of: dict[str, set[str]] = {}
    for one in out:
        for key in (
            f"q {alike.same(alike.question(one))}",
            f"c {alike.chunk(one)}" if alike.chunk(one) else f"{id(one)}",
        ):
            part_of.setdefault(key, set()).add(split_of(one))
    assert all(len(parts_) == 1 for parts_ in part_of.values()), (
        "told without MinHash: the same question, the same chunk"
    )
    counts = Counter(map(split_of, out))
    assert dict(counts) == {name: count for name, count in found.counts.items() if count}
    if keep_test:
        assert all(split_of(new) == "test" for old, new in zip(rows, out, strict=True) if split_of(old) == "test")
        return
    # A part below its share by less than two blocks (one where there are no kinds), above it by less than one; and one
    # block may have moved to a part that would have been empty.
    slack = found.largest * (3 if stratify else 2)
    for name in SPLITS:
        assert abs(counts[name] - shares[name] * len(rows)) < slack or not rows
        assert bool(counts[name]) == bool(shares[name]) or not rows


def test_shares_are_exact_where_no_two_rows_are_alike() -> None:
    assert plan(distinct(1000), DEFAULT, 3).counts == {"train": 800, "validation": 100, "test": 100}


def test_the_same_seed_deals_the_same_and_another_one_another_way() -> None:
    rows = distinct(200)
    first = [split_of(one) for one in split(rows, DEFAULT, 7)]
    assert first == [split_of(one) for one in split(rows, DEFAULT, 7)]
    assert first != [split_of(one) for one in split(rows, DEFAULT, 8)]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("Who are you?", "who are  you", True),
        ("你好，请问你是谁？", "你好请问你是谁", True),
        ("ＷＨＯ are you", "who are you", True),
        (
            "How tall is the tower in Paris, the capital of France?",
            "How tall is the tower in Paris, capital of France?",
            True,
        ),
        ("What is 2+2?", "What is 2+3?", False),
        ("What is the capital of France?", "What is the capital of Spain?", False),
        ("?", "!", False),
        ("", "", False),
    ],
)
def test_what_counts_as_the_same_question(one: str, other: str, together: bool) -> None:
    first, second = alike.groups([row(one, "a"), row(other, "b")]).tolist()
    assert (first == second) is together


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_plain_letters_are_folded_as_all_others_are(text: str) -> None:
    assert alike.same(text) == alike.same(f"{text}é").removesuffix("é") or not any(map(str.isalnum, text))


def test_near_duplicates_at_scale_are_found_whatever_their_order() -> None:
    rng = random.Random(4)
    base = [" ".join("".join(rng.choices("aeioulmnrst", k=6)) for _ in range(14)) for _ in range(400)]
    texts = [*base, *(f"{text} please" for text in base)]
    order = list(range(len(texts)))
    rng.shuffle(order)
    group = alike.groups([row(texts[at]) for at in order])
    place = {at: n for n, at in enumerate(order)}
    apart = [at for at in range(400) if group[place[at]] != group[place[at + 400]]]
    assert apart == []
    assert len(set(group.tolist())) == 400, "and different ones are not taken for the same"


def test_a_chain_of_likeness_stays_on_one_side() -> None:
    # The first and the last share nothing but the rows between them.
    rows = [row("alpha", chunk=1), row("beta", chunk=1), row("beta", chunk=2), row("gamma", chunk=2), *distinct(20)]
    parts = [split_of(one) for one in split(rows, {"train": 50, "test": 50})]
    assert len(set(parts[:4])) == 1


def test_chunks_of_different_documents_are_different_ones() -> None:
    assert alike.groups([row("a", chunk=1, source="x"), row("b", chunk=1, source="y")]).tolist() == [0, 1]


def test_the_same_question_about_another_picture_is_another_one() -> None:
    one, other = row("What is this?"), row("What is this?")
    one["messages"][0]["images"], other["messages"][0]["images"] = ["ab/1.png"], ["cd/2.png"]
    assert alike.groups([one, other]).tolist() == [0, 1]


def test_a_longer_conversation_is_known_by_how_it_begins_and_by_all_that_leads_to_its_answer() -> None:
    def talk(*turns: str) -> Row:
        roles = ("user", "assistant")
        return {"messages": [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]}  # type: ignore[typeddict-item]

    first = "How deep does one sow wheat?"
    rows = [
        talk(first, "Five cm."),
        talk(first, "Five cm.", "And barley?", "Four."),
        talk("Hello", "Hi.", "And oats?", "Three."),
    ]
    assert alike.groups(rows).tolist() == [0, 0, 2]
    again = [talk("Hello", "Hi.", "When is the last frost in the hills?", "May."), talk("Hello", "Hey.", "Bye", "Bye.")]
    assert alike.groups([*again, talk("hello", "Hi", "When is the last frost in these hills?", "June.")]).tolist() == [
        0,
        1,
        0,
    ]


def test_each_kind_is_spread_over_the_parts() -> None:
    rows = [one for n, kind in enumerate(("law", "farm", "code")) for one in distinct(100, n, topic=kind)]
    found = plan(rows, DEFAULT, 1, "topic")
    assert found.kinds == {kind: {"train": 80, "validation": 10, "test": 10} for kind in ("law", "farm", "code")}


def test_a_field_that_tells_single_rows_is_no_kind() -> None:
    with pytest.raises(DataError, match="'id' has 1001 different values"):
        plan([row(f"question {n}", id=n) for n in range(1001)], DEFAULT, stratify="id")


def test_more_test_rows_than_were_asked_for_leave_the_others_their_proportion() -> None:
    rows = [*distinct(45), *distinct(15, 9, split="test")]
    assert plan(rows, DEFAULT, keep_test=True).counts == {"train": 40, "validation": 5, "test": 15}


def test_test_rows_that_were_held_out_stay_and_take_what_is_alike_with_them() -> None:
    rows = [*distinct(40), row("Who made you?", split="test"), row("who made you")]
    out = list(split(rows, DEFAULT, keep_test=True))
    assert [split_of(one) for one in out[-2:]] == ["test", "test"]
    assert Counter(map(split_of, out)) == {"train": 34, "validation": 4, "test": 4}


def test_a_tiny_set_gives_each_part_a_row_or_says_why_not() -> None:
    assert plan(distinct(3), DEFAULT).counts == {"train": 1, "validation": 1, "test": 1}
    with pytest.raises(DataError) as caught:
        plan([row("Who are you?"), row("who are you"), row("Another question")], DEFAULT)
    assert str(caught.value) == "3 parts need at least 3 different questions; here are 2 that may be dealt."
    assert plan([], DEFAULT).counts == {"train": 0, "validation": 0, "test": 0}


@pytest.mark.parametrize(
    "shares", [{"train": 0.5}, {"train": -1, "test": 2}, {}, {"train": 1, "dev": 0}, {"train": float("nan")}]
)
def test_shares_that_are_none_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match="do not add up to 100 %") as caught:
        checked(shares)
    assert caught.value.code == "split_shares"


def test_shares_may_be_percent() -> None:
    assert checked({"train": 80, "test": 20}) == {"train": 0.8, "validation": 0.0, "test": 0.2}


def test_leaks_are_told_with_their_rows() -> None:
    found = leaks([*distinct(5), row("Who are you?"), row("Who are you", split="test")])
    assert (found.groups, found.rows, found.examples) == (1, 2, [[6, 7]])


def test_a_split_may_be_stopped_while_it_reads() -> None:
    def stop(read: int) -> None:
        raise EOFError

    with pytest.raises(EOFError):
        plan(distinct(10), DEFAULT, tick=stop)


def test_fields_are_offered_that_tell_kinds_of_rows_and_nothing_else() -> None:
    rows = [
        row("Where does wheat grow best?", id=n, topic=("law", "farm")[n % 2], all="same", split="test")
        for n in range(30)
    ]
    assert traits.fields(rows) == ["topic"]
    assert traits.fields([*rows, *[row("小麦在哪里生长得最好？", topic="x")] * 3]) == ["language", "all", "topic"]
