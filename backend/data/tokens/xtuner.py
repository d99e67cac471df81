"""A row as XTuner 0.2.0 feeds it to the model: ``openai_map_fn``, ``template_map_fn`` and ``encode_fn``, in our words.

It reads no chat template: turns are put into a layout (:mod:`backend.data.tokens.xtuner_templates`), and question and answer are
tokenized by themselves. Learned are answers with the layout's suffix, and the end-of-sequence token where the layout has no
suffix of its own for it; not the separator after it. tests/engines/test_xtuner_mask.py holds this against the real one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from backend.data.rows import Message, Row, trained
from backend.data.tokens.encoded import Encoded, Note, shares
from backend.data.tokens.model import TokenModel
from backend.data.tokens.xtuner_templates import LAYOUTS, layout_name
from backend.engines.xtuner_config import Template
from backend.engines.xtuner_rows import ROLES
from backend.errors import DataError, ModelError
from backend.i18n import N_

WITHOUT_BOS = ("QWenTokenizer", "QWen2Tokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast")
"""Classes of tokenizers to which XTuner gives no token at the beginning (``get_bos_eos_token_ids``)."""


class Turn(NamedTuple):
    """A question and its answer, as ``openai_map_fn`` joins them. learned: the answer is."""

    system: str
    question: str
    answer: str
    learned: bool


def messages(row: Row) -> list[dict[str, Any]]:
    """The messages of ``row`` as they are written for XTuner.

    Each with its flag: where one message of a file has a ``loss``, the datasets library gives all others ``None``, which XTuner
    takes for not learned.
    """
    return [{"role": m["role"], "content": m["content"], "loss": trained(m)} for m in row["messages"]]


def turns(row: Row) -> list[Turn]:
    """What ``openai_map_fn`` makes of ``row``.

    Raises:
        DataError: ``xtuner_role``: it knows no results of functions, and dies of them.
    """
    found, system, question = list[Turn](), "", ""
    for message in row["messages"][_skipped(row) :]:
        if message["role"] not in ROLES:
            raise DataError(
                "xtuner_role",
                N_("XTuner cannot read this row: it stops at messages of the role '{role}'."),
                N_("Fine-tune with transformers and peft, or leave rows with results of functions out."),
                role=message["role"],
            )
        if message["role"] == "system":
            system = message["content"]
        elif message["role"] == "user":
            question += message["content"]
        else:
            found.append(Turn(system, question, message["content"], trained(message)))
            system = question = ""
    return found


def encode(model: TokenModel, row: Row, cutoff: int | None = None, layout: Template | None = None) -> Encoded:
    """``row`` as XTuner feeds it to ``model``. layout: the model's own by default.

    Raises:
        DataError: ``xtuner_role``. ModelError: ``xtuner_no_token``: it dies of a tokenizer without a token that it needs.
    """
    layout = layout or LAYOUTS[layout_name(model)]
    joined, bos = turns(row), _bos(model)
    ids, texts, flags = list[int](), list[str](), list[bool]()

    def add(text: str, learned: bool) -> None:
        encoding = model.tokenizer.encode(text, add_special_tokens=False)
        ids.extend(encoding.ids)
        texts.extend(shares(text, encoding.offsets))
        flags.extend([learned] * len(encoding.ids))

    def special(token: int, learned: bool) -> None:
        ids.append(token)
        texts.append(model.text_of(token))
        flags.append(learned)

    begins = True
    for number, turn in enumerate(joined, start=1):
        if begins and bos is not None:
            special(bos, False)
        system = layout.system.format(system=turn.system) if turn.system else ""
        add(system + layout.instruction.format(input=turn.question, round=number), False)
        add(turn.answer + layout.suffix, turn.learned)
        begins = not layout.suffix_as_eos
        if begins:
            special(_named(model, "eos_token"), turn.learned)
        if layout.separator:
            add(layout.separator, False)
    notes = _notes(row)
    if cutoff is not None and len(ids) > cutoff:
        notes.append(Note("cut", {"count": len(ids) - cutoff}))
    if not any(flags[:cutoff]):
        notes.append(Note("no_answer"))
    return Encoded(ids[:cutoff], texts[:cutoff], flags[:cutoff], len(ids), tuple(notes))


def _skipped(row: Row) -> int:
    """How many answers stand before the first question."""
    return next((n for n, m in enumerate(row["messages"]) if m["role"] != "assistant"), len(row["messages"]))


def _notes(row: Row) -> list[Note]:
    asked = row["messages"]
    said: list[tuple[str, bool]] = [
        ("answers_skipped", _skipped(row) > 0),
        ("questions_dropped", bool(asked) and asked[-1]["role"] != "assistant"),
        ("tools_dropped", bool(row.get("tools"))),
        ("calls_dropped", any(message.get("tool_calls") for message in asked)),
        ("flags_of_others", any(_flagged(message) for message in asked)),
        ("images", any(message.get("images") for message in asked)),
    ]
    return [Note(code) for code, holds in said if holds]


def _flagged(message: Message) -> bool:
    return message["role"] != "assistant" and trained(message)


def _bos(model: TokenModel) -> int | None:
    return None if model.kind in WITHOUT_BOS else _named(model, "bos_token")


def _named(model: TokenModel, name: str) -> int:
    text = model.special.get(name, "")
    token = model.tokenizer.token_to_id(text) if text else None
    if token is None:
        raise ModelError(
            "xtuner_no_token",
            N_("XTuner stops at this model: its tokenizer has no {token}, and this layout needs one."),
            N_("Fine-tune with transformers and peft, or choose another base model."),
            token=name,
        )
    return int(token)
