"""One question and one answer in columns of their own, earlier turns in ``history``: what Alpaca and tables have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.data.rows import Message, Row
from backend.data.schemas import about, pictures, plain, turns
from backend.data.schemas.about import About
from backend.data.schemas.conversation import Reader
from backend.data.schemas.mapping import Mapping
from backend.data.schemas.xtuner import order
from backend.errors import DataError
from backend.i18n import N_

INPUT_AT = "input_at"
"""In ``meta``: at which character of the last question its second column begins, so that it goes back into two."""


def reader(mapping: Mapping, names: dict[str, str]) -> Reader:
    """The function that reads a record. names: part -> column, where ``mapping`` does not say which."""
    columns = mapping.columns or names
    asks, more, answers = columns.get("instruction"), columns.get("input"), columns.get("output")
    history_column, system_column = columns.get("history"), columns.get("system")
    image_columns = pictures.columns(columns.get("images"))
    left = About(mapping, (asks, more, answers, history_column, system_column, *image_columns))
    constant = mapping.system
    text = turns.text

    def read(record: dict[str, Any]) -> Row:
        answer = record.get(answers) if answers else None
        if answer is None and asks and answers in record and record.get(asks) not in (None, ""):
            answer = ""  # an empty cell beside a question: the doctor names the row
        if answer is None:
            from backend.data.schemas.detect import read_otherwise

            return read_otherwise(record, mapping, _no_answer(answers))
        messages: list[Message] = []
        system = (text(record.get(system_column)) if system_column else "") or constant
        if system:
            messages.append({"role": "system", "content": system})
        if history_column and (earlier := record.get(history_column)):
            messages += _history(earlier)
        question = record.get(asks, "") if asks else ""
        if type(question) is not str:
            question = text(question, 1)
        row: Row = {"messages": messages}
        added = text(record.get(more), 1) if more else ""
        if added:
            row["meta"] = {INPUT_AT: len(question) + 1 if question else 0}
            question = f"{question}\n{added}" if question else added
        if question:
            messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer if type(answer) is str else text(answer, 2)})
        for name in image_columns:
            if name in record and (images := pictures.references(record[name])):
                pictures.place_images(messages, images)
        if added and image_columns:
            row["meta"][INPUT_AT] += len(messages[-2]["content"]) - len(
                question
            )  # by the marks that were put before it
        left.read(record, row)
        return row

    return read


def _history(value: Any) -> list[Message]:
    messages: list[Message] = []
    for pair in turns.as_list(value):
        if isinstance(pair, dict):
            messages.append(turns.message(pair, len(messages) + 1)[0])
            continue
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise DataError(
                "row_history_bad",
                N_("The earlier turns are no list of pairs of a question and an answer."),
                N_('Write them as [["question", "answer"], ...].'),
            )
        if asked := turns.text(pair[0], len(messages) + 1):
            messages.append({"role": "user", "content": asked})
        if pair[1] is not None:
            messages.append({"role": "assistant", "content": turns.text(pair[1], len(messages) + 1)})
    return messages


def write(
    row: Row, names: dict[str, str], always: bool, taken: Callable[[str], bool] = about.RESERVED.__contains__
) -> dict[str, Any]:
    """``row`` as a record. names: part -> column. always: the question's second column is there although it is empty. taken: see
    :func:`backend.data.schemas.about.write`.
    """
    record: dict[str, Any] = {}
    system: list[str] = []
    pairs: list[tuple[str, str]] = []
    asked: list[str] = []
    for each in plain.flat(row):
        if each["role"] == "assistant":
            pairs.append(("\n".join(asked), each["content"]))
            asked = []
        elif each["content"]:
            (system if each["role"] == "system" else asked).append(each["content"])
    question, answer = pairs.pop() if pairs else ("\n".join(asked), None)
    meta = row.get("meta", {})
    at = meta.get(INPUT_AT)
    added = ""
    if isinstance(at, int) and at < len(question) and (at == 0 or (at > 1 and question[at - 1] == "\n")):
        question, added = question[: max(at - 1, 0)], question[at:]
        row = {**row, "meta": {key: value for key, value in meta.items() if key != INPUT_AT}}
    record[names["instruction"]] = question
    if added or always:
        record[names["input"]] = added
    record[names["output"]] = answer
    if system:
        record[names["system"]] = "\n".join(system)
    if pairs:
        record[names["history"]] = [list(pair) for pair in pairs]
    if images := plain.images_of(row):
        record[names["images"]] = images
    return about.write(row, record, taken)


def losses(row: Row) -> list[str]:
    """Functions, loss flags, names, and every order that is not one system prompt, then questions and answers in turn."""
    messages = row["messages"]
    found = plain.common_losses(row, images=True) + order(messages)
    if any(each["role"] == "system" for each in messages[1:]):
        found.append("system_middle")
    return found


def _no_answer(column: str | None) -> DataError:
    if column is None:
        return DataError(
            "row_no_answer", N_("No column is chosen for the answer."), N_("Choose the column that holds the answers.")
        )
    return DataError(
        "row_no_answer",
        N_("There is no answer in the column '{column}'."),
        N_("Write an answer, or choose another column."),
        column=column,
    )
