"""Mixing: so much of each set as its weight says, each row once unless it is allowed, the same again with the same seed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.edit import Rows
from backend.data.mix import balance, mix, sample, shares
from backend.data.rows import Row
from backend.errors import DataError


def rows(name: str, count: int, **kinds: int) -> Rows:
    """A set of ``count`` rows; kinds: how many of them are of each topic, from the front."""
    topics = [topic for topic, times in kinds.items() for _ in range(times)]
    made: list[Row] = [
        {"messages": [{"role": "user", "content": f"{name} {n}"}, {"role": "assistant", "content": "x"}]}
        for n in range(count)
    ]
    for one, topic in zip(made, topics, strict=False):
        one["meta"] = {"topic": topic}
    return Rows(name, lambda: iter(made), count)


def texts(found: object) -> list[str]:
    return [one["messages"][0]["content"] for one in found]  # type: ignore[attr-defined]


def sources(found: object) -> Counter[str]:
    return Counter(one["meta"]["source"] for one in found)  # type: ignore[attr-defined]


def topics(found: object) -> Counter[str]:
    return Counter(one["meta"]["topic"] for one in found)  # type: ignore[attr-defined]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 5, allow_subnormal=False)), min_size=1, max_size=4),
    st.none() | st.integers(0, 100),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_set_gives_its_share_to_within_a_row_and_each_row_once(
    parts: list[tuple[int, float]], size: int | None, seed: int, repeat: bool
) -> None:
    sets = [(rows(f"s{n}", count), weight) for n, (count, weight) in enumerate(parts)]
    try:
        out = list(mix(sets, size, seed, repeat=repeat))
    except DataError as error:
        if error.code not in ("mix_empty", "mix_weights") and (error.code != "mix_not_enough" or size is None):
            raise
        return
    total = sum(weight for _rows, weight in sets)
    if size is not None:
        assert len(out) == size
    for each, weight in sets:
        count = sources(out)[each.dataset]
        assert abs(count - len(out) * weight / total) < 1
    if not repeat:
        assert len(set(texts(out))) == len(out)
    for each, _weight in sets:
        mine = [int(text.split()[1]) for text in texts(out) if text.startswith(f"{each.dataset} ")]
        assert mine == sorted(mine), "what is chosen of a set keeps its order"
    assert texts(out) == texts(mix(sets, size, seed, repeat=repeat))


@pytest.mark.parametrize(
    ("weights", "taken"), [([2.0, 2.3e-308], [5, 0]), ([1e308, 1e308], [5, 5]), ([1e308, 1e-308], [5, 0])]
)
def test_weights_of_any_size_are_shares(weights: list[float], taken: list[int]) -> None:
    assert shares([5, 9], weights).rows == taken


def test_as_much_as_there_is_ends_where_the_first_set_does() -> None:
    found = mix([(rows("big", 900), 1), (rows("small", 100), 1)])
    assert sources(found) == {"big": 100, "small": 100}
    assert shares([900, 100], [3, 1]).rows == [300, 100]
    assert shares([300, 700], [0.3, 0.7]).total == 1000, "no row is lost to a rounding"


def test_sets_are_shuffled_into_one_another_by_the_seed() -> None:
    first = texts(mix([(rows("a", 50), 1), (rows("b", 50), 1)], seed=1))
    assert first != texts(mix([(rows("a", 50), 1), (rows("b", 50), 1)], seed=2))
    assert {text[0] for text in first[:20]} == {"a", "b"}


def test_a_set_that_is_too_small_is_told_with_what_would_be_possible() -> None:
    with pytest.raises(DataError) as caught:
        mix([(rows("a", 10), 1), (rows("b", 500), 1)], 100)
    message, hint = caught.value.localized()
    assert message == "A mix of 100 rows takes 50 from 'a', which offers 10."
    assert hint.startswith("Ask for at most 20 rows")


def test_with_repeats_each_row_stands_there_as_often_as_the_others_or_once_more() -> None:
    found = texts(mix([(rows("a", 10), 1), (rows("b", 500), 1)], 100, repeat=True))
    assert set(Counter(text for text in found if text.startswith("a")).values()) == {5}
    assert set(Counter(texts(mix([(rows("a", 10), 1)], 25, repeat=True))).values()) == {2, 3}


def test_a_row_says_where_it_comes_from_and_one_that_did_keeps_what_it_said() -> None:
    known: Row = {"messages": [{"role": "user", "content": "k"}], "meta": {"source": "manual.pdf", "chunk": 3}}
    out = list(mix([(Rows("docs", lambda: iter([known]), 1), 1), (rows("b", 1), 1)]))
    assert {tuple(sorted(one["meta"].items())) for one in out} == {
        (("chunk", 3), ("source", "manual.pdf")),
        (("source", "b"),),
    }


def test_a_balanced_set_has_as_many_of_each_kind_as_the_rarest_has() -> None:
    base = rows("a", 60, law=40, farm=15, code=5)
    assert topics(balance(base, "topic")) == {"law": 5, "farm": 5, "code": 5}
    assert topics(mix([(base, 1)], 30, 0, "topic")) == {"law": 13, "farm": 12, "code": 5} or topics(
        mix([(base, 1)], 30, 0, "topic")
    ) == {"law": 12, "farm": 13, "code": 5}, "a size that the rarest cannot give is filled by the others"
    assert topics(mix([(base, 1)], 90, 0, "topic", repeat=True)) == {"law": 30, "farm": 30, "code": 30}


def test_a_sample_has_its_size_and_no_row_twice() -> None:
    found = texts(sample(rows("a", 100), 30, 5))
    assert len(set(found)) == 30
    assert found == texts(sample(rows("a", 100), 30, 5)) != texts(sample(rows("a", 100), 30, 6))
    with pytest.raises(DataError, match="offers 100"):
        sample(rows("a", 100), 101)


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_weights_that_fit_no_mix_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError) as caught:
        shares([10, 10], weights)
    assert caught.value.code == "mix_weights"
