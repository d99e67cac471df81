"""Pictures of a record: which ones it names, and to which message each belongs."""

from __future__ import annotations

import base64
from typing import Any

from backend.data.rows import IMAGE, Message
from backend.data.schemas.calls import from_json


def columns(name: str | None) -> tuple[str, ...]:
    """The columns that hold pictures where ``name`` does: some files have both, ``image`` for one and ``images`` for several."""
    usual = ("images", "image")
    return usual if name in usual else (name,) if name else ()


def references(value: Any) -> list[str]:
    """The pictures that a column names: one or several paths, or pictures themselves, as Hugging Face datasets hold them.

    A picture that lies in the data becomes a ``data:`` address.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        if value.startswith("[") and isinstance(listed := from_json(value), list):
            return references(listed)
        return [value]
    if isinstance(value, (bytes, bytearray)):
        return ["data:application/octet-stream;base64," + base64.b64encode(value).decode()]
    if isinstance(value, dict):
        return references(value.get("bytes") or value.get("path") or value.get("url"))
    if isinstance(value, (list, tuple)):
        return [found for each in value for found in references(each)]
    return []


def inline(reference: str) -> bytes | None:
    """The picture that a ``data:`` address holds itself; None for every other address, and for one that is damaged."""
    head, comma, body = reference.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return None


def place_images(messages: list[Message], images: list[str]) -> None:
    """Give the pictures of a whole row to its messages: in the order of ``<image>``, the rest to the first question."""
    left = list(images)
    for each in messages:
        free = each["content"].count(IMAGE) - len(each.get("images", ()))
        if left and free > 0:
            each["images"] = each.get("images", []) + left[:free]
            left = left[free:]
    if left:
        first = next((each for each in messages if each["role"] == "user"), messages[0])
        first["images"] = left + first.get("images", [])
        first["content"] = (IMAGE + "\n") * len(left) + first["content"]
