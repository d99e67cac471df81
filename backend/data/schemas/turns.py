"""Messages as different tools write them -> messages as we keep them: roles, texts, pictures, function calls, loss flags."""

from __future__ import annotations

from typing import Any

from backend.data.rows import IMAGE, Message, Role
from backend.data.schemas.calls import calls_of, calls_of_text, from_json
from backend.data.schemas.pictures import references
from backend.errors import DataError
from backend.i18n import N_

ROLE_NAMES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer", "系统"), "system"),
    **dict.fromkeys(("user", "human", "prompter", "用户", "人类"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "ai", "function_call", "助手"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython", "environment", "工具"), "tool"),
}
"""What tools call the four roles (OpenAI, ShareGPT, LLaMA-Factory, Open Assistant, Llama 3, Gemma, Agent-FLAN)."""
KNOWN = frozenset(
    (
        "role",
        "from",
        "content",
        "value",
        "loss",
        "weight",
        "tool_calls",
        "function_call",
        "tool_call_id",
        "name",
        "images",
    )
)
Turns = tuple[list[Message], dict[str, dict[str, Any]]]
"""The messages, and what else stood in one: its place (counted from 0, as text) -> keys that no message has a place for."""


def read(raw: Any, role_key: str, content_key: str) -> Turns:
    """The messages of one record.

    Raises:
        DataError: ``row_no_messages``, and what :func:`message` raises.
    """
    if type(raw) is not list:
        raw = as_list(raw)
    messages: list[Message] = []
    beside: dict[str, dict[str, Any]] = {}
    for turn in raw:
        # Nearly every message is a role and a text and nothing else.
        if type(turn) is dict and len(turn) == 2:
            content = turn.get(content_key)
            role = turn.get(role_key)
            if type(content) is str and type(role) is str and role in _PLAIN_ROLES:
                messages.append({"role": ROLE_NAMES[role], "content": content})
                continue
        found, rest = message(turn, len(messages) + 1)
        if rest:
            beside[str(len(messages))] = rest
        messages.append(found)
    if not messages:
        raise no_messages()
    return messages, beside


_PLAIN_ROLES = frozenset(ROLE_NAMES) - {"function_call"}


def message(turn: Any, number: int) -> tuple[Message, dict[str, Any]]:
    """One message, and what else stood in it. number: which message of its row, counted from 1.

    Raises:
        DataError: ``row_role_missing``, ``row_role_unknown``, ``row_not_text``.
    """
    if not isinstance(turn, dict):
        raise _no_role(number)
    name = turn.get("role", turn.get("from"))
    if name is None:
        name = turn.get("from")
    if not isinstance(name, str) or not name.strip():
        raise _no_role(number)
    role = ROLE_NAMES.get(name) or ROLE_NAMES.get(name.strip().casefold())
    if role is None:
        raise DataError(
            "row_role_unknown",
            N_("Message {number} is by '{role}', and nobody knows who that is."),
            N_("Use the roles system, user, assistant and tool."),
            number=number,
            role=name[:60],
        )
    content = turn.get("content")
    if content is None:
        content = turn.get("value")
    images: list[str] = []
    calls = calls_of(turn)
    if name == "function_call" and not calls:
        calls, content = calls_of_text(content), turn.get("content") or ""
    elif name == "function_call":
        content = turn.get("content") or ""
    if isinstance(content, list):
        content, images = parts(content, number)
    found: Message = {"role": role, "content": text(content, number)}
    loss = turn.get("loss")
    if loss is None:
        loss = turn.get("weight")  # the name that OpenAI itself gives it
    if loss is not None and (flag := _flag(loss)) is not (role == "assistant"):
        found["loss"] = flag
    if calls:
        found["tool_calls"] = calls
    for key in ("tool_call_id", "name"):
        if isinstance(value := turn.get(key), str) and value:
            found[key] = value
    if beside := references(turn.get("images")):
        images = images + beside
    if images:
        found["images"] = images
    rest = {key: value for key, value in turn.items() if key not in KNOWN and value is not None}
    return found, rest


def _flag(value: Any) -> bool:
    """A loss flag: a truth value, a weight, or the word that Agent-FLAN's files hold in some rows."""
    return value.strip().casefold() in ("true", "1", "1.0", "yes") if isinstance(value, str) else bool(value)


def text(value: Any, number: int = 0) -> str:
    """``value`` as text; nothing is an empty text, a number its digits.

    Raises:
        DataError: ``row_not_text``.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise DataError(
        "row_not_text",
        N_("Message {number} holds a {kind} where a text belongs."),
        N_("Write what is said as text."),
        number=number,
        kind=type(value).__name__,
    )


def parts(content: list[Any], number: int) -> tuple[str, list[str]]:
    """The text and the pictures of a content in parts, as the OpenAI API has them; ``<image>`` stands for each picture.

    Raises:
        DataError: ``row_not_text``: a part is neither text nor picture.
    """
    pieces: list[str] = []
    images: list[str] = []
    for part in content:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            pieces.append(part["text"])
        elif isinstance(part, dict) and (found := references(_picture(part))):
            pieces.append(IMAGE * len(found))
            images += found
        elif isinstance(part, dict) and part.get("type") == "image":
            pieces.append(IMAGE)  # the picture itself stands in a column of its own
        else:
            text(part if not isinstance(part, (int, float)) else [], number)
    return "".join(pieces), images


def _picture(part: dict[str, Any]) -> Any:
    value = part.get("image_url") or part.get("image") or part.get("url") or part.get("path")
    return value.get("url") if isinstance(value, dict) and "url" in value else value


def as_list(value: Any) -> list[Any]:
    """A list that may stand as JSON text in a cell.

    Raises:
        DataError: ``row_no_messages``.
    """
    found = from_json(value) if isinstance(value, str) else value
    if isinstance(found, dict):
        return [found]
    if hasattr(found, "tolist"):
        found = found.tolist()
    if not isinstance(found, (list, tuple)):
        raise no_messages()
    return list(found)


def no_messages() -> DataError:
    """The row has no turns at all."""
    return DataError(
        "row_no_messages",
        N_("There is no list of messages in this row."),
        N_("Check which column holds the conversation."),
    )


def _no_role(number: int) -> DataError:
    return DataError(
        "row_role_missing",
        N_("Message {number} does not say who speaks."),
        N_("Give each message a role: system, user, assistant or tool."),
        number=number,
    )
