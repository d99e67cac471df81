"""A conversation as a file to keep or to send: JSON with everything that is known, Markdown to read."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from typing import Any

from backend.chat.conversations import Conversations
from backend.chat.records import Conversation, Message
from backend.i18n import N_, _, ngettext

FORMAT, VERSION = "tunedeck-conversation", 1
_KEPT_BACK = {"conversation", "owner", "superseded"}


def to_json(store: Conversations, conversation_id: str) -> dict[str, Any]:
    """The conversation with all its branches. ``messages`` name the one before them (``parent``; None for a first one) and
    whether they are on the branch that is ``shown``; ``shown`` is that branch in the form of the OpenAI API.

    Raises:
        NotFoundError: ``conversation_unknown``.
    """
    conversation, messages = store.get(conversation_id), store.everything(conversation_id)
    system = conversation.params.system
    turns = [{"role": m.role, "content": m.content} for m in messages if not m.superseded and m.content]
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": conversation.id,
        "title": conversation.title,
        "model": conversation.model,
        "params": conversation.params.model_dump(mode="json"),
        "created": _iso(conversation.created),
        "updated": _iso(conversation.updated),
        "messages": [_message(m) for m in messages],
        "shown": [*([{"role": "system", "content": system}] if system.strip() else []), *turns],
    }


def to_markdown(store: Conversations, conversation_id: str) -> str:
    """The branch that is shown, then the others from where they part; headings in the person's language.

    Raises:
        NotFoundError: ``conversation_unknown``.
    """
    conversation, messages = store.get(conversation_id), store.everything(conversation_id)
    numbers = {m.id: n for n, m in enumerate((m for m in messages if not m.superseded), 1)}
    parts = [*_head(conversation), *(_section(m, numbers[m.id]) for m in messages if not m.superseded)]
    others = [m for m in messages if m.superseded]
    if others:
        parts.append("# " + _("Other branches"))
    parents = {m.id: m.parent for m in messages}
    for message in others:
        if message.parent in numbers or not message.parent:
            after = _("After message {n}").format(n=numbers[message.parent]) if message.parent else _("From the start")
            parts.append(f"## {after}")
            parts += [_section(m) for m in others if _below(m.id, message.id, parents)]
    return "\n\n".join(parts) + "\n"


def file_name(conversation: Conversation, suffix: str) -> str:
    """A name for the file that every system takes, made of the title."""
    stem = re.sub(r"[^\w\- ]+", " ", conversation.title)
    return f"{' '.join(stem.split())[:60].strip() or conversation.id}.{suffix}"


def _message(message: Message) -> dict[str, Any]:
    values = {name: value for name, value in dataclasses.asdict(message).items() if name not in _KEPT_BACK}
    values |= {"parent": message.parent or None, "shown": not message.superseded}
    return values | {"created": _iso(message.created), "updated": _iso(message.updated)}


def _head(conversation: Conversation) -> list[str]:
    values = conversation.params.model_dump(mode="json")
    system = values.pop("system", "")
    settings = ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
    parts = [
        f"# {' '.join(conversation.title.split())}",
        f"{conversation.model} · {_iso(conversation.updated)} · {settings}",
    ]
    if system.strip():
        parts += [f"**{_('System prompt')}**", _quoted(system)]
    return parts


def _section(message: Message, number: int = 0) -> str:
    who = _("You") if message.role == "user" else _("Answer")
    mark, head = ("##", f"{number}. {who}") if number else ("###", who)
    if message.role == "user":
        names = "\n".join(f"- `{each.name}`" for each in message.attachments)
        return "\n\n".join(part for part in (f"{mark} {head}", names, message.content) if part)
    facts = [message.model] if message.model else []
    if message.completion_tokens:
        count = ngettext("{n} token", "{n} tokens", message.completion_tokens)
        facts.append(count.format(n=f"{message.completion_tokens:,}"))
    if message.tokens_s is not None:
        facts.append(_("{rate} tokens/s").format(rate=f"{message.tokens_s:,.0f}"))
    if message.state != "done":
        facts.append(_(_STATES[message.state]))
    figures = f"*{' · '.join(facts)}*" if facts else ""
    return "\n\n".join(part for part in (f"{mark} {head}", message.content, figures) if part)


_STATES = {
    "stopped": N_("stopped"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted"),
    "running": N_("being written"),
}


def _below(message: int, root: int, parents: dict[int, int]) -> bool:
    while message > root:
        message = parents[message]
    return message == root


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
