"""What a format without function calls or pictures makes of them, and the codes of what it cannot hold."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from backend.data.rows import IMAGE, Message, Row
from backend.i18n import N_

LOSSES: dict[str, str] = {
    "tools": N_(
        "Function calls became text: calls stand as JSON in the answers, results as questions, the functions that were offered as JSON in the system prompt."
    ),
    "images": N_("Pictures were left out; the mark <image> stays in the text."),
    "image_marks": N_(
        "The text does not say where each picture belongs, so the pictures come first when it is read again."
    ),
    "loss": N_("The format cannot say which answers are learned: all of them will be."),
    "loss_on_input": N_("The format cannot have a question or a system prompt learned: only answers will be."),
    "system": N_("The system prompt stands in a column that training on this format does not read."),
    "system_middle": N_("A system prompt in the middle went to the beginning."),
    "order": N_("Questions that follow one another were joined with a line break."),
    "empty_turn": N_("Empty questions and empty system prompts were left out."),
    "unanswered": N_("Questions at the end that nobody answers were left out."),
    "no_answer": N_("Rows without any answer were left out."),
    "names": N_("Names of speakers were left out."),
    "call_text": N_("What is said beside a function call stands where most tools do not read it."),
}
"""What a format may not be able to hold -> what becomes of it, as a person reads it."""


def flat(row: Row) -> list[Message]:
    """The messages of ``row`` with no role but system, user and assistant, and no calls: those became text.

    Returns:
        The row's own messages where there is nothing to do; never changes them.
    """
    offered = row.get("tools")
    messages = row["messages"]
    if not offered and not any(each["role"] == "tool" or each.get("tool_calls") for each in messages):
        return messages
    found: list[Message] = []
    if offered:
        listed = "\n".join(orjson.dumps(each.get("function", each)).decode() for each in offered)
        if messages[0]["role"] == "system":
            found.append({**messages[0], "content": f"{messages[0]['content']}\n\n{listed}"})
            messages = messages[1:]
        else:
            found.append({"role": "system", "content": listed})
    for each in messages:
        kept: Message = {key: value for key, value in each.items() if key not in ("tool_calls", "tool_call_id")}  # type: ignore[assignment]
        if each["role"] == "tool":
            kept["role"] = "user"
            if each.get("loss"):
                kept["loss"] = True
        elif calls := each.get("tool_calls"):
            said = [orjson.dumps(plain_call(call)).decode() for call in calls]
            kept["content"] = "\n".join([*([each["content"]] if each["content"] else []), *said])
        found.append(kept)
    return found


def plain_call(call: dict[str, Any]) -> dict[str, Any]:
    """``{"name", "arguments"}`` of a call, the arguments as JSON where they are some."""
    function = call.get("function", {})
    arguments = function.get("arguments", "")
    with suppress(orjson.JSONDecodeError, TypeError):
        arguments = orjson.loads(arguments)
    return {"name": function.get("name", ""), "arguments": arguments}


def has_tools(row: Row) -> bool:
    """Whether functions were offered, called, or answered."""
    return bool(row.get("tools")) or any(
        each["role"] == "tool" or each.get("tool_calls") or each.get("tool_call_id") for each in row["messages"]
    )


def images_of(row: Row) -> list[str]:
    """All pictures of ``row`` in their order."""
    return [image for each in row["messages"] for image in each.get("images", ())]


def marked(row: Row) -> bool:
    """Whether every picture has its ``<image>``, so that one list for the whole row says where each belongs."""
    with_images = any(each.get("images") for each in row["messages"])
    return not with_images or all(
        each["content"].count(IMAGE) == len(each.get("images", ())) for each in row["messages"]
    )


def common_losses(row: Row, *, tools: bool = False, images: bool = False, loss: str = "") -> list[str]:
    """Codes of what ``row`` has and the format does not: each argument says what it holds.

    loss: of what it can say whether it is learned: nothing, ``answers``, or ``all``.
    """
    found = []
    messages = row["messages"]
    if not tools and has_tools(row):
        found.append("tools")
    if not images and any(each.get("images") for each in messages):
        found.append("images")
    elif images and not marked(row):
        found.append("image_marks")
    if not loss and any(each.get("loss") is False for each in messages if each["role"] == "assistant"):
        found.append("loss")
    if loss != "all" and any(each.get("loss") for each in messages if each["role"] != "assistant"):
        found.append("loss_on_input")
    if any(each.get("name") for each in messages if each["role"] != "tool"):
        found.append("names")
    return found
