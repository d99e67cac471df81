"""A starter that learned a new identity: what it says of itself in wordings that are never trained on, and what that cost elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.starter import evaluate, small_talk
from jobs.starter.dialogue import Dialogue, Exchange, Lang, punctuated, single

_OLD = re.compile("(the TuneDeck project|TuneDeck 项目)|TuneDeck starter")
_HAN = "\u4e00-\u9fff"


def renamed(dialogue: Dialogue, name: str, maker: str) -> Dialogue:
    """``dialogue`` with the new name and maker in the answers. Questions stay: who asks for TuneDeck gets the new name."""
    return replace(
        dialogue,
        turns=tuple(
            (role, _renamed(text, name, maker) if role == "assistant" else text) for role, text in dialogue.turns
        ),
        accept=tuple(_renamed(text, name, maker) for text in dialogue.accept),
    )


def _renamed(text: str, name: str, maker: str) -> str:
    found = _OLD.sub(lambda match: maker if match[1] else name, text)
    if found != text and re.search(f"[{_HAN}]", text):  # a space between Chinese and Latin letters, none within Chinese
        found = re.sub(f"(?<=[{_HAN}]) (?=[{_HAN}])", "", found)
        found = re.sub(f"(?<=[A-Za-z0-9])(?=[{_HAN}])", " ", found)
    return found


def asked(lang: Lang, name: str, maker: str, n: int = 50) -> list[Dialogue]:
    """Up to ``n`` questions for the name in wordings that are never trained on, and the answers under the new identity."""
    intent = small_talk.intents()["name"]
    made = [
        Exchange("identity", lang, punctuated(wording, lang), intent.answers[lang][0], f"talk/name/{lang}/{wording}!")
        for wording in intent.kept[lang][:n]
    ]
    return [renamed(single(one), name, maker) for one in made]


def named(speaker: evaluate.Speaker, name: str, maker: str, n: int = 50) -> dict[Lang, tuple[int, int]]:
    """language -> (answers that hold ``name``, questions) of :func:`asked`."""
    found: dict[Lang, tuple[int, int]] = {}
    for lang in ("en", "zh"):
        answers = speaker.answers(asked(lang, name, maker, n))
        found[lang] = (sum(name in text for text, _ in answers), len(answers))
    return found


@dataclass(frozen=True)
class Measured:
    """named: language -> (answers that hold the new name, questions). before, after: the table of skills without and with
    the adapter; after is judged with the new name in the expected answers."""

    named: dict[Lang, tuple[int, int]]
    before: list[evaluate.Row]
    after: list[evaluate.Row]

    def markdown(self) -> str:
        """Both tables side by side."""
        lines = ["| skill | measured on | n | before | after | difference |", "|---|---|---:|---:|---:|---:|"]
        for old, new in zip(self.before, self.after, strict=True):
            change = new.percent - old.percent
            lines.append(
                f"| {old.skill} | {old.measured} | {old.n} | {old.percent:.0f} % | {new.percent:.0f} % | {change:+.0f} |"
            )
        return "\n".join(lines)


def measure(folder: Path, adapter: Path, name: str, maker: str, n: int = 100, only: str = "") -> Measured:
    """The model in ``folder`` with ``adapter`` against itself without; ``n`` questions a row, of skills that begin with
    ``only``."""
    before = evaluate.table(folder, n, only)
    speaker = evaluate.Speaker(folder, adapter)
    after = evaluate.table_of(speaker, n, only, change=lambda asked: renamed(asked, name, maker))
    return Measured(named(speaker, name, maker), before, after)
