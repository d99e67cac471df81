"""What is counted of rows without a tokenizer: turns, characters, languages, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.data.rows import Row, split_of, trained
from backend.data.traits import language


@dataclass
class Facts:
    """Sums over rows. turns: messages. characters: of all contents; learned_characters: of those that are learned. languages:
    rows by language; ``""``: mixed, or too short to say. roles: messages by role."""

    rows: int = 0
    turns: int = 0
    most_turns: int = 0
    characters: int = 0
    most_characters: int = 0
    learned_characters: int = 0
    with_tools: int = 0
    with_images: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count ``row``, too."""
        messages = row["messages"]
        lengths = [len(message["content"]) for message in messages]
        characters = sum(lengths)
        self.rows += 1
        self.turns += len(messages)
        self.most_turns = max(self.most_turns, len(messages))
        self.characters += characters
        self.most_characters = max(self.most_characters, characters)
        self.learned_characters += sum(n for n, m in zip(lengths, messages, strict=True) if trained(m))
        self.with_tools += bool(row.get("tools"))
        self.with_images += any(message.get("images") for message in messages)
        self.splits[split_of(row)] += 1
        self.languages[language(row)] += 1
        self.roles.update(message["role"] for message in messages)

    def counted(self, rows: Iterable[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
        """``rows`` as they are, each counted as it passes."""
        for number, row in rows:
            self.add(row)
            yield number, row

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}
