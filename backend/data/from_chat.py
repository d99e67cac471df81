"""Rows from work that was done already: collected answers, whole conversations, answers that won a comparison, agent traces.

Every row says where it is from: ``meta.source`` is ``chat``, ``comparison`` or ``trace``, ``meta.lineage`` names the
conversation, the model and the time. Nothing is invented: an answer that somebody stopped, or that failed on its way, stays
as what was said before, but is not learned (``loss`` false); a prompt that nobody answered is left out.

Covered: the branch of a conversation that is shown, its last system prompt, text files and pictures that came with prompts; the
winner's own side of a comparison. Not covered: other branches; system prompts that changed in the middle (the last one counts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from backend.chat import attachments
from backend.chat.conversations import Conversations
from backend.chat.records import Conversation
from backend.chat.records import Message as Said
from backend.compare import votes as compare_votes
from backend.compare.comparisons import Comparisons
from backend.compare.records import BETTER
from backend.data import importing
from backend.data.rows import IMAGE, Message, Row, row_hash, trained
from backend.data.store import Datasets
from backend.data.versions import VersionInfo
from backend.errors import DataError, PanelError
from backend.i18n import N_
from backend.workspace import Workspace

Picture = Callable[[bytes | Path], str]
"""Keeps a picture and returns what ``images`` of a message holds: ``picture`` of a dataset's writer."""
Item = tuple[int, Row | DataError, str]
"""Number in its source, from 1; the row, or why there is none; how the record begins where there is none."""


def file(workspace: Workspace, path: Path, source: str) -> Iterator[Item]:
    """The rows of a collection (:mod:`backend.data.collected`), or the traces of an agent, such as Agent-FLAN's: a file in any
    format that can be imported. source: ``chat`` or ``trace``.

    Raises:
        DataError: it cannot be opened, or holds no records at all.
    """
    for number, found in importing.rows_of(str(path.absolute()), workspace):
        if isinstance(found, PanelError):
            yield number, _refused(found), ""
        elif not any(trained(m) and (m["content"].strip() or m.get("tool_calls")) for m in found["messages"]):
            yield number, _nothing_learned(), found["messages"][0]["content"][:500]
        else:
            meta = {"source": source, **found.get("meta", {})}
            yield number, {**found, "meta": meta}, ""


def conversations(
    workspace: Workspace, ids: Sequence[str] | None = None, *, picture: Picture | None = None
) -> Iterator[Item]:
    """Whole conversations, a row each; ``ids``: only these. picture: None: pictures are only named in the text."""
    store = Conversations(workspace)
    chosen = [store.get(each) for each in ids] if ids is not None else _every(store)
    for number, conversation in enumerate(chosen, start=1):
        try:
            yield number, _conversation(workspace, store, conversation, picture), ""
        except PanelError as error:
            yield number, _refused(error), conversation.title


def votes(workspace: Workspace) -> Iterator[Item]:
    """The answer of each comparison that was found better, with what its own side had said before."""
    for number, line in enumerate(compare_votes.export(Comparisons(workspace)), start=1):
        vote = orjson.loads(line)
        if vote["verdict"] == BETTER:
            yield number, *_vote(vote)


@dataclass(frozen=True)
class Sources:
    """What a dataset is made of. collections: names; ids: of conversations."""

    collections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    votes: bool = False
    traces: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.collections or self.ids or self.votes or self.traces)


def items(workspace: Workspace, sources: Sources, picture: Picture | None = None) -> Iterator[Item]:
    """Everything that ``sources`` name, one after the other, the same row once. Missing collections hold none."""
    seen: set[int] = set()
    for item in _all(workspace, sources, picture):
        if isinstance(item[1], DataError):
            yield item
            continue
        said = row_hash(item[1])
        if said not in seen:
            seen.add(said)
            yield item


def make(workspace: Workspace, name: str, sources: Sources) -> VersionInfo:
    """A version of the dataset ``name`` out of ``sources``.

    Raises:
        DataError: ``chat_no_row``: there is nothing in them to learn from.
        ConflictError: ``collection_name_bad``.
        WorkspaceError: the disk is full or read-only.
    """
    step = {
        "do": "from_chat",
        "collections": list(sources.collections),
        "conversations": len(sources.ids),
        "votes": sources.votes,
        "traces": [path.name for path in sources.traces],
    }
    files = [str(workspace.collected / f"{each}.jsonl") for each in sources.collections] + [
        str(p) for p in sources.traces
    ]
    with Datasets(workspace).write(name, steps=[step], made_from=[{"file": file} for file in files]) as out:
        for number, found, text in items(workspace, sources, out.picture):
            if isinstance(found, DataError):
                out.reject(number, found.to_dict(), text)
            else:
                out.add(found)
        if not len(out):
            raise DataError(
                "chat_no_row",
                N_("There is no finished answer in what is chosen."),
                N_("Choose conversations in which the model has answered, or collect answers on the Chat page."),
            )
    return out.version


def _all(workspace: Workspace, sources: Sources, picture: Picture | None) -> Iterator[Item]:
    for name in sources.collections:
        path = workspace.collected / f"{name}.jsonl"
        if path.is_file() and path.stat().st_size:
            yield from file(workspace, path, "chat")
    if sources.ids:
        yield from conversations(workspace, sources.ids, picture=picture)
    if sources.votes:
        yield from votes(workspace)
    for path in sources.traces:
        yield from file(workspace, path, "trace")


def _every(store: Conversations) -> Iterator[Conversation]:
    offset, step = 0, 200
    while page := store.list(limit=step, offset=offset):
        yield from page
        offset += step


def _conversation(
    workspace: Workspace, store: Conversations, conversation: Conversation, picture: Picture | None
) -> Row:
    messages = [message for message in store.messages(conversation.id) if not message.running]
    turns: list[tuple[Said, Said]] = []
    for before, after in pairwise(messages):
        if before.role == "user" and after.role == "assistant" and after.content.strip():
            turns.append((before, after))
    if not any(not answer.partial for _prompt, answer in turns):
        raise _nothing_learned()
    last = turns[-1][1]
    said: list[Message] = []
    if system := str(last.params.get("system", "")).strip():
        said.append({"role": "system", "content": _as_text(system)})
    for prompt, answer in turns:
        said.append(_prompt(workspace, prompt, bool(answer.params.get("trim_blanks")), picture))
        told: Message = {"role": "assistant", "content": _as_text(answer.content)}
        if answer.partial:
            told["loss"] = False
        said.append(told)
    lineage = {
        "conversation": conversation.id,
        "title": conversation.title,
        "model": last.model,
        "time": _iso(last.updated),
        "partial": sum(answer.partial for _prompt, answer in turns),
    }
    return {"messages": said, "meta": {"source": "chat", "id": conversation.id, "lineage": lineage}}


def _prompt(workspace: Workspace, message: Said, trim: bool, picture: Picture | None) -> Message:
    """A prompt as the model read it: text files in the text; pictures before it, where somebody keeps them."""
    shown = [each for each in message.attachments if each.kind == "image" and picture is not None]
    others = [each for each in message.attachments if each not in shown]
    texts = {each.digest: attachments.read(workspace, each) for each in others if each.kind == "text"}
    text = attachments.content(message.content.strip() if trim else message.content, others, texts)
    assert isinstance(text, str)  # pictures are not among them
    found: Message = {"role": "user", "content": _as_text(text)}
    if shown and picture is not None:
        found["images"] = [picture(attachments.read(workspace, each)) for each in shown]
        found["content"] = "\n".join([*[IMAGE] * len(shown), found["content"]]).rstrip("\n")
    return found


def _vote(vote: Mapping[str, Any]) -> tuple[Row | DataError, str]:
    winner = vote["winner"]
    answer = vote["answers"][winner]
    contender = vote["contenders"][winner]
    if answer["state"] != "done" or not answer["text"].strip():
        return _nothing_learned(), str(vote["prompt"])
    said: list[Message] = []
    if system := str(contender["params"].get("system", "")).strip():
        said.append({"role": "system", "content": _as_text(system)})
    for turn in vote["before"]:
        if turn["answers"][winner].strip():
            said.append({"role": "user", "content": _as_text(turn["prompt"])})
            # Whether it was good nobody said: it is there to be understood, not to be learned.
            said.append({"role": "assistant", "content": _as_text(turn["answers"][winner]), "loss": False})
    said.append({"role": "user", "content": _as_text(vote["prompt"])})
    said.append({"role": "assistant", "content": _as_text(answer["text"])})
    others = [each["text"] for place, each in enumerate(vote["answers"]) if place != winner and each and each["text"]]
    lineage = {
        "model": contender["model"],
        "label": contender["label"],
        "reason": vote["reason"],
        "blind": vote["blind"],
        "time": vote["time"],
        "rejected": others,
    }
    return {"messages": said, "meta": {"source": "comparison", "lineage": lineage}}, ""


def _as_text(text: str) -> str:
    """``text`` in which nothing stands for a picture that is not there."""
    return text.replace(IMAGE, "< image >")


def _nothing_learned() -> DataError:
    return DataError(
        "row_no_answer",
        N_("There is no answer to learn."),
        N_("Ask again on the Chat page, or type the answer yourself."),
    )


def _refused(error: PanelError) -> DataError:
    return error if isinstance(error, DataError) else DataError(error.code, error.message, error.hint, **error.params)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
