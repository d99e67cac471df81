"""Rows for property tests: everything that a row can hold, in the form in which reading leaves it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from backend.data.rows import IMAGE, ROLES, SPLITS, Message, Row

TEXT = st.one_of(
    st.sampled_from(
        [
            "",
            "Hi",
            "你是谁？",
            " two\nlines ",
            "=1+1",
            '[{"a": 1}]',
            "{",
            'a,b\t"c"\r\n',
            "-",
            "<image>",
            "\u2028\ufeff",
            "1.0",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def any_json() -> st.SearchStrategy[Any]:
    """Any value that JSON can hold."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["role", "content", "from", "value", "input", "output", "x"]) | TEXT, inner, max_size=3
            )
        ),
        max_leaves=8,
    )


@st.composite
def calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Function calls of one answer."""
    return [
        {
            "id": draw(NAME),
            "type": "function",
            "function": {
                "name": draw(TEXT),
                "arguments": draw(st.sampled_from(['{"q": "雨"}', '{"q":1}', "no JSON", ""])),
            },
        }
        for _ in range(draw(st.integers(1, 2)))
    ]


@st.composite
def messages(draw: st.DrawFn, kind: str) -> list[Message]:
    """The turns of a row. kind: ``plain`` (system, question, answer in turn), ``loss``, ``images``, or ``any``."""
    if kind != "any":
        found: list[Message] = (
            [{"role": "system", "content": draw(NAME)}] if draw(st.booleans()) and kind != "images" else []
        )
        for _ in range(draw(st.integers(1, 3))):
            found += [{"role": "user", "content": draw(NAME)}, {"role": "assistant", "content": draw(TEXT)}]
            if kind == "images":
                number = draw(st.integers(0, 2))
                found[-2]["content"] = found[-2]["content"].replace(IMAGE, "") + f"\n{IMAGE}" * number
                found[-1]["content"] = found[-1]["content"].replace(IMAGE, "")
                if number:
                    found[-2]["images"] = draw(st.lists(NAME, min_size=number, max_size=number))
            if kind == "loss" and draw(st.booleans()):
                found[-1]["loss"] = False
        if draw(st.integers(0, 7)) == 0:
            found.append({"role": "user", "content": "Anybody?"})
        return found
    found = []
    for role in draw(st.lists(st.sampled_from(ROLES), min_size=1, max_size=5)):
        message: Message = {"role": role, "content": draw(TEXT)}
        if draw(st.integers(0, 4)) == 0:
            message["loss"] = role != "assistant"
        if role == "assistant" and draw(st.integers(0, 4)) == 0:
            message["tool_calls"] = draw(calls())
        if draw(st.integers(0, 6)) == 0:
            message["name"] = draw(NAME)
        if role == "tool" and draw(st.booleans()):
            message["tool_call_id"] = draw(NAME)
        if draw(st.integers(0, 5)) == 0:
            message["images"] = draw(st.lists(NAME, min_size=1, max_size=2))
        found.append(message)
    return found


@st.composite
def rows(draw: st.DrawFn, kinds: tuple[str, ...] = ("plain", "loss", "images", "any")) -> Row:
    """A row."""
    kind = draw(st.sampled_from(kinds))
    row: Row = {"messages": draw(messages(kind))}
    if kind == "any" and draw(st.booleans()):
        row["tools"] = [{"type": "function", "function": {"name": draw(TEXT), "parameters": {}}}]
    if draw(st.booleans()):
        meta: dict[str, Any] = {}
        if draw(st.booleans()):
            meta["split"] = draw(st.sampled_from(SPLITS))
        if draw(st.booleans()):
            meta["id"] = draw(st.integers(0, 99) | NAME)
        if draw(st.integers(0, 3)) == 0:
            meta["lineage"] = {"conversation": 3, "note": draw(TEXT)}
        if draw(st.integers(0, 3)) == 0:
            meta["input_at"] = draw(st.integers(0, 9))
        if draw(st.integers(0, 4)) == 0:
            meta["turns"] = {str(draw(st.integers(0, 6))): {"thinking": draw(NAME)}}
        if draw(st.booleans()):
            names = NAME | st.sampled_from(
                [
                    "id",
                    "split",
                    "meta",
                    "messages",
                    "system",
                    "Question",
                    "答案",
                    "image",
                    "history",
                    "score",
                    " padded",
                    "two  blanks",
                    "",
                    "sep=;",
                ]
            )
            extra = draw(st.dictionaries(names, any_json(), min_size=1, max_size=3))
            meta["extra"] = extra
        if meta:
            row["meta"] = meta
    return row
