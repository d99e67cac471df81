"""From a document to pairs: where it is cut, what is asked, what a model's answer holds, and which pairs are kept and why not."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data import documents
from backend.data.documents import Chunk, chunking, pairs, prompts, quoting
from backend.data.documents.checking import REASONS, Checker, Refused
from backend.data.documents.document import Block, Document
from backend.data.documents.pairs import Pair
from backend.errors import SpecError
from backend.specs import parse
from backend.specs.ask_documents import AskDocumentsSpec

ENGLISH = "Rice likes warmth. Dr. Lin soaks the seeds for two days, i.e. 48 hours. Is that enough? It is."
CHINESE = "水稻喜温。播种前要晒种吗？“要晒两天。”这样出苗整齐！"
CHUNK = Chunk(7, "rice.pdf", f"Sowing\n\n{ENGLISH}", 100, 206, ("Rice", "Sowing"), pages=((3, 50), (4, 120)))


# --- chunks


def test_sentences_end_where_english_and_chinese_end_them() -> None:
    def split(text: str) -> list[str]:
        return [text[start:end] for start, end in chunking.sentences(text)]

    assert split(ENGLISH) == [
        "Rice likes warmth.", "Dr. Lin soaks the seeds for two days, i.e. 48 hours.", "Is that enough?", "It is.",
    ]  # fmt: skip
    assert split(CHINESE) == ["水稻喜温。", "播种前要晒种吗？", "“要晒两天。”", "这样出苗整齐！"]


def test_chunks_stand_below_their_headings_and_repeat_whole_sentences() -> None:
    text = "# Rice\n\n" + ENGLISH + "\n\n## Sowing\n\n" + " ".join(f"Step {n} is done by hand." for n in range(30))
    document = documents.read_bytes(text.encode(), "rice.md")
    found = documents.chunks(document, 300, 60, first=5)
    assert [chunk.number for chunk in found] == list(range(5, 5 + len(found)))
    assert (found[0].heading, found[0].text) == (("Rice",), f"Rice\n\n{ENGLISH}")
    assert found[1].heading == ("Rice", "Sowing")
    assert found[1].text.startswith("Sowing\n\nStep 0 is done by hand.")
    for before, after in itertools.pairwise(found[1:]):
        shared = document.text[after.start : before.end]
        assert shared.startswith("Step")
        assert len(shared) <= 60
        assert after.end > before.end


def test_a_heading_is_never_the_end_of_a_chunk_and_a_table_is_cut_between_its_rows() -> None:
    table = "\n".join(f"row {n} | {n * n}" for n in range(40))
    document = Document("a", "docx", (Block("One " * 30), Block("Yields", level=2), Block(table, lines=True)))
    found = documents.chunks(document, 200, 0)
    assert found[1].text.startswith("Yields\n\nrow 0 | 0\n")
    assert all(line.count("|") == 1 for chunk in found[2:] for line in chunk.text.splitlines())


def test_a_chunk_knows_on_which_page_each_of_its_characters_stands() -> None:
    document = Document("a.pdf", "pdf", (Block("First page.", page=1), Block("Second page.", page=2)), pages=2)
    (chunk,) = documents.chunks(document, 200, 0)
    assert chunk.pages == ((1, 0), (2, 13))
    assert [chunk.page_at(place) for place in (0, 12, 13, 20)] == [1, 1, 2, 2]


BLOCKS = st.lists(
    st.builds(
        Block,
        st.text("ab .。！\n水A|", min_size=1, max_size=400).filter(str.strip),
        level=st.sampled_from([0, 0, 0, 1, 2]),
        lines=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(BLOCKS, st.integers(100, 500), st.floats(0, 0.5))
def test_chunks_are_no_longer_than_asked_lose_nothing_and_say_where_they_stand(
    blocks: list[Block], size: int, share: float
) -> None:
    document = Document("a", "text", tuple(blocks))
    covered = [False] * len(document.text)
    last = (-1, -1)
    for chunk in documents.chunks(document, size, int(size * share)):
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert len(chunk.text) <= size
        assert (chunk.start, chunk.end) > last, "each chunk has something new"
        last = (chunk.start, chunk.end)
        covered[chunk.start : chunk.end] = [True] * len(chunk.text)
    assert all(seen or sign.isspace() for seen, sign in zip(covered, document.text, strict=True))


def test_sizes_that_make_no_sense_are_refused() -> None:
    document = Document("a", "text", (Block("x"),))
    for size, overlap in ((50, 0), (30_000, 0), (200, 101)):
        with pytest.raises(ValueError, match="size"):
            documents.chunks(document, size, overlap)


# --- prompts


def test_the_prompt_is_in_the_language_of_the_passage_and_braces_in_it_stay() -> None:
    chunk = Chunk(1, "稻.txt", CHINESE + " {{count}}", 0, 30, ("水稻",))
    assert prompts.language_of(chunk.text) == "zh"
    asked = prompts.fill(prompts.default("zh"), chunk, language="zh", count=4, style="exam", instructions="给农民看。")
    assert "写出读者可能会问的 4 个问题" in asked
    assert "稻.txt › 水稻" in asked
    assert "- 给农民看。" in asked
    assert asked.endswith("{{count}}")
    english = prompts.fill(prompts.default("en"), CHUNK, language="en", count=1, style="short", instructions=" ")
    assert "{{" not in english
    assert "\n\n\n" not in english
    assert ENGLISH in english


def test_a_prompt_of_ones_own_must_say_where_the_passage_goes() -> None:
    base = {"files": ["a.txt"], "model": "m", "dataset": "d"}
    assert isinstance(parse("ask_documents", {**base, "prompt": "Ask about {{ text }}"}), AskDocumentsSpec)
    for values, message in (
        ({"prompt": "Ask."}, "the prompt must say where the passage goes: {{text}}"),
        ({"prompt": "{{text}} {{txt}}"}, "nothing can be put in for {{txt}}"),
        ({"chunk_chars": 300, "overlap_chars": 200}, "the overlap may be at most half of a passage"),
        ({"dataset": "../x"}, "dataset"),
        ({"files": [" "]}, "name a file or a folder"),
    ):
        with pytest.raises(SpecError) as caught:
            parse("ask_documents", {**base, **values})
        assert message in str(caught.value)


# --- what a model says

GOOD = {"question": "What does rice like?", "answer": "Warmth.", "quote": "Rice likes warmth."}
PAIR = Pair(**GOOD)


@pytest.mark.parametrize(
    "said",
    [
        json.dumps([GOOD]),
        json.dumps({"pairs": [GOOD]}),
        f"<think>hm {{}}</think>Here you are:\n```json\n[{json.dumps(GOOD, indent=1)},\n]\n```\nDone.",
        json.dumps([GOOD])[:-1] + ', {"question": "cut of',
        "\n".join(json.dumps({"Q": GOOD["question"], "A": GOOD["answer"], "source": GOOD["quote"]}) for _ in "1"),
        "Q: What does rice like?\nA: Warmth.\nQuote: Rice likes warmth.",
        "1. **Question:** What does rice like?\n   **Answer:** Warmth.\n   **Quote:** Rice likes warmth.\n\n---",
        "问题1：What does rice like?\n答案：Warmth.\n原文：Rice likes warmth.",
    ],
)
def test_pairs_are_found_in_every_form_that_models_use(said: str) -> None:
    assert pairs.parse(said) == [PAIR]


def test_several_plain_pairs_are_told_apart_and_prose_holds_none() -> None:
    assert pairs.parse("Q1: One?\nA1: Two\nlines.\n\n2.\nQ2: Three?\nA2: Four.") == [
        Pair("One?", "Two\nlines."),
        Pair("Three?", "Four."),
    ]
    assert pairs.parse("Rice is a plant that likes warmth.") == []
    assert pairs.parse("[1, 2") == []


@settings(max_examples=100, deadline=None)
@given(st.text('{}[]":,QA: 问答：\n\\ua1', max_size=200))
def test_whatever_a_model_says_is_read_without_a_crash(said: str) -> None:
    for pair in pairs.parse(said):
        assert pair.question or pair.answer


# --- quotes


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("Rice likes warmth.", "Rice likes warmth."),
        ('  "rice   LIKES\nwarmth" ', "Rice likes warmth"),
        ("**Rice** likes warmth!", "Rice likes warmth"),
        ("Rice likes … for two days", "Rice likes warmth. Dr. Lin soaks the seeds for two days"),
        ("Rice hates warmth.", None),
        ("for two days … Rice likes", None),
        ("is", None),
        ("…", None),
    ],
)
def test_a_quote_must_stand_in_the_text_word_for_word(quote: str, found: str | None) -> None:
    place = quoting.find(quote, ENGLISH)
    assert (ENGLISH[slice(*place)] if place else None) == found


def test_a_chinese_quote_is_found_whatever_its_width_and_blanks() -> None:
    start, end = quoting.find("「要晒 两天。」", CHINESE) or (0, 0)
    assert CHINESE[start:end].strip("“”") == "要晒两天。"


# --- which pairs are kept


def test_a_good_pair_becomes_a_row_that_says_where_it_is_from() -> None:
    row = Checker("starter").check(CHUNK, Pair("What does rice like?", "Warmth.", "rice likes  warmth"), "en")
    assert row == {
        "messages": [{"role": "user", "content": "What does rice like?"}, {"role": "assistant", "content": "Warmth."}],
        "meta": {
            "source": "rice.pdf", "page": 3, "heading": "Rice › Sowing", "quote": "Rice likes warmth", "at": [108, 125],
            "chunk": 7, "model": "starter", "reviewed": False,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (Pair("", "Warmth.", "Rice likes warmth."), "pair_no_question"),
        (Pair("What?", "  ", "Rice likes warmth."), "pair_no_answer"),
        (Pair("What is it?", "What is it?", "Rice likes warmth."), "pair_no_answer"),
        (Pair("...", "...", "..."), "pair_copied"),
        (Pair("What?", "Warmth.", "Rice hates warmth."), "pair_quote_missing"),
        (Pair("What?", "It hates warmth.", ""), "pair_no_quote"),
        (Pair("水稻喜欢什么？", "喜温。", "Rice likes warmth."), "pair_language"),
        (Pair("Known  question", "Warmth.", "Rice likes warmth."), "pair_twice"),
    ],
)
def test_a_pair_that_is_not_good_is_refused_with_its_reason(pair: Pair, code: str) -> None:
    judged = Checker("m", ["known question?"]).check(CHUNK, pair, "en")
    assert isinstance(judged, Refused)
    assert (judged.code, judged.chunk) == (code, 7)
    assert judged.message == REASONS[code]


def test_an_answer_that_is_a_sentence_of_the_text_needs_no_quote_and_the_same_question_comes_once() -> None:
    checker = Checker("m")
    first = checker.check(CHUNK, Pair("What?", "Rice likes warmth."), "en")
    assert not isinstance(first, Refused)
    assert first["meta"]["quote"] == "Rice likes warmth."
    again = checker.check(CHUNK, Pair(" what ", "Dr. Lin soaks the seeds"), "en")
    assert isinstance(again, Refused)
    assert again.code == "pair_twice"
