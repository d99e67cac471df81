"""What the model is asked for each chunk: a text in English and one in Chinese, as files, with places to fill in.

{{text}}          the chunk; the only place that must be there
{{count}}         how many pairs
{{style}}         what the answers should be like
{{instructions}}  the person's own wishes
{{place}}         the document's name and the headings that the chunk stands below
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from backend.data.documents.document import Chunk
from backend.i18n import N_

Language = Literal["en", "zh"]
PLACES = ("text", "count", "style", "instructions", "place")
STYLES = {
    "short": N_("Short: one sentence"),
    "detailed": N_("Detailed: two to five sentences"),
    "exam": N_("Exam: a question that tests understanding"),
    "advice": N_("Advice: as a customer asks and a clerk answers"),
}
"""style -> what a person reads."""
_STYLES: dict[str, dict[Language, str]] = {
    "short": {"en": "Answers are one short sentence.", "zh": "答案用一句简短的话。"},
    "detailed": {"en": "Answers are two to five full sentences.", "zh": "答案用两到五个完整的句子。"},
    "exam": {
        "en": "Ask why and how, as an exam does; answers give the reason.",
        "zh": "像考试一样问“为什么”和“怎样”，答案要说明理由。",
    },
    "advice": {
        "en": "Ask as a customer with a concrete problem; answer as a friendly clerk.",
        "zh": "像有具体问题的客户那样提问，像耐心的工作人员那样回答。",
    },
}
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def default(language: Language) -> str:
    """The text that comes with TuneDeck."""
    return (Path(__file__).parent / f"{language}.txt").read_text(encoding="utf-8")


def language_of(text: str) -> Language:
    """``zh`` where a fifth of the letters are Chinese characters: each of them says as much as a word."""
    letters = sum(map(str.isalpha, text))
    return "zh" if letters and len(_CJK.findall(text)) >= 0.2 * letters else "en"


def unknown_places(text: str) -> list[str]:
    """Places in a person's own text that nothing can be put into."""
    return sorted({name for name in re.findall(r"\{\{\s*([^{}]*?)\s*\}\}", text) if name not in PLACES})


def takes_text(text: str) -> bool:
    """Whether a person's own text says where the chunk goes."""
    return re.search(r"\{\{\s*text\s*\}\}", text) is not None


def fill(template: str, chunk: Chunk, *, language: Language, count: int, style: str, instructions: str) -> str:
    """The question for ``chunk``. What is put in is put in once: braces in a document stay as they are."""
    values = {
        "text": chunk.text,
        "count": str(count),
        "style": _STYLES[style][language],
        "instructions": f"- {' '.join(instructions.split())}" if instructions.strip() else "",
        "place": " › ".join([chunk.source, *chunk.heading]),
    }
    filled = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: values.get(match[1], match[0]), template)
    return re.sub(r"\n{3,}", "\n\n", filled).strip()
