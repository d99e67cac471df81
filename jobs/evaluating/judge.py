"""Another model's verdict about an answer: asked once, and once more where it is nonsense."""

from __future__ import annotations

from dataclasses import dataclass

from backend.evaluate import judging, wording
from backend.evaluate.questions import Question
from jobs.evaluating.asking import Endpoint

MOST_TOKENS = 512
"""A judge that thinks first needs them; others stop after a word."""
AGAIN = {
    "en": 'That is no verdict. Reply with one line, either "VERDICT: RIGHT" or "VERDICT: WRONG".',
    "zh": "这不是判定。只回复一行：“VERDICT: RIGHT”（对）或“VERDICT: WRONG”（错）。",
}


@dataclass(frozen=True)
class Verdict:
    """right: None where the judge said neither twice. said: what it said last. model: which one it was."""

    right: bool | None
    said: str
    model: str

    @property
    def note(self) -> dict[str, str]:
        """As it is kept with the answer."""
        return {"judge": self.said, "model": self.model}


async def verdict(judge: Endpoint, question: Question, said: str) -> Verdict:
    """What the model at ``judge`` holds of ``said``.

    Raises:
        PanelError: it cannot be asked, see :meth:`jobs.evaluating.asking.Endpoint.ask`.
    """
    sent = judging.messages(question, said)
    first = await judge.ask(sent, MOST_TOKENS)
    found = judging.verdict(first.text)
    if found is not None:
        return Verdict(found, first.text, judge.served.model)
    reminder = AGAIN[wording.language(question)]
    again = await judge.ask(
        [*sent, {"role": "assistant", "content": first.text}, {"role": "user", "content": reminder}], MOST_TOKENS
    )
    return Verdict(judging.verdict(again.text), again.text, judge.served.model)
