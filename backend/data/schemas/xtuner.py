"""XTuner: ``{"conversation": [{"system", "input", "output"}, ...]}``, one entry a turn; the form that the trainer itself works on.

``output_with_loss`` false: this answer is not learned. An empty input is no question at all (that is how plain text is trained).
"""

from __future__ import annotations

from typing import Any

from backend.data.rows import Message, Row
from backend.data.schemas import about, plain, turns
from backend.data.schemas.about import About
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping

COLUMNS = {"messages": "conversation", "system": "system"}
_KEYS = frozenset(("system", "input", "output", "output_with_loss"))


def reader(mapping: Mapping) -> Reader:
    """The function that reads a record."""
    columns = mapping.columns or COLUMNS
    column = columns.get("messages") or COLUMNS["messages"]
    system_column = columns.get("system")
    left = About(mapping, (column, system_column))
    constant = mapping.system

    def read(record: dict[str, Any]) -> Row:
        raw = record.get(column)
        if raw is None:
            from backend.data.schemas.detect import read_otherwise

            return read_otherwise(record, mapping, turns.no_messages())
        messages: list[Message] = []
        beside: dict[str, Any] = {}
        for turn in raw if type(raw) is list else turns.as_list(raw):
            if not isinstance(turn, dict) or not turn.keys() & _KEYS:
                raise turns.no_messages()
            number = len(messages) + 1
            if system := turns.text(turn.get("system"), number):
                messages.append({"role": "system", "content": system})
            if asked := turns.text(turn.get("input"), number):
                messages.append({"role": "user", "content": asked})
            answer = turn.get("output")
            if answer is not None:
                found: Message = {"role": "assistant", "content": turns.text(answer, number)}
                if turn.get("output_with_loss", True) in (False, "False", "false", 0):
                    found["loss"] = False
                if rest := {key: value for key, value in turn.items() if key not in _KEYS and value is not None}:
                    beside[str(len(messages))] = about.plain(rest)
                messages.append(found)
        if not messages:
            raise turns.no_messages()
        row: Row = {"messages": messages}
        given = (turns.text(record.get(system_column)) if system_column else "") or constant
        if given and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": given})
            beside = {str(int(place) + 1): rest for place, rest in beside.items()}
        left.read(record, row)
        if beside:
            row.setdefault("meta", {})["turns"] = beside
        return row

    return read


def write(row: Row) -> dict[str, Any]:
    """``row`` as a record; without any answer its conversation is empty."""
    listed: list[dict[str, Any]] = []
    system: list[str] = []
    asked: list[str] = []
    for each in plain.flat(row):
        if each["role"] == "assistant":
            turn: dict[str, Any] = {"system": "\n".join(system)} if system else {}
            turn |= {"input": "\n".join(asked), "output": each["content"]}
            if each.get("loss") is False:
                turn["output_with_loss"] = False
            listed.append(turn)
            system, asked = [], []
        elif each["content"]:
            (system if each["role"] == "system" else asked).append(each["content"])
    return about.write(row, {"conversation": listed})


def losses(row: Row) -> list[str]:
    """Functions, pictures, names, and every order that is not system, question, answer."""
    return plain.common_losses(row, loss="answers") + order(row["messages"])


def order(messages: list[Message]) -> list[str]:
    """Codes of what does not follow the order system, question, answer, each at most once before an answer."""
    found: dict[str, None] = {}
    before = ""
    for each in messages:
        role = "user" if each["role"] == "tool" else each["role"]
        if role != "assistant":
            if not each["content"]:
                found["empty_turn"] = None
            if before == role or (before == "user" and role == "system"):
                found["order"] = None
        before = role
    if not any(each["role"] == "assistant" for each in messages):
        found["no_answer"] = None
    elif before != "assistant":
        found["unanswered"] = None
    return list(found)
