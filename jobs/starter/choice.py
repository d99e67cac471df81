"""Multiple choice: a question on a fact, options with letters, and the letter as the answer."""

from __future__ import annotations

import random

from jobs.starter import facts
from jobs.starter.dialogue import Exchange, Lang, held_out

LETTERS = "ABCD"
_KINDS = ("capital", "country", "continent", "colour", "opposite", "which", "who", "to_english", "to_chinese", "symbol")
_ASK = {
    "en": ("Answer with the letter.", "Answer:", "Which letter is right?", "Choose A, B, C or D."),
    "zh": ("请回答字母。", "答案：", "哪个字母是对的？", "请选择 A、B、C 或 D。"),
}


def exchange(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """One question with four options, one of them right."""
    while True:
        kind = rng.choice(_KINDS)
        everything = facts.facts()[kind]
        fact = rng.choice(everything)
        asked = facts.ask(rng, fact, lang)
        options = [fact.short[lang]]
        while len(options) < len(LETTERS):
            other = rng.choice(everything).short[lang]
            if other not in options:
                options.append(other)
        rng.shuffle(options)
        right = LETTERS[options.index(fact.short[lang])]
        key = f"choice/{asked.key}"
        if held_out(key) == held and not held_out(asked.key):
            lines = [
                asked.question,
                *(f"{a}. {b}" for a, b in zip(LETTERS, options, strict=True)),
                rng.choice(_ASK[lang]),
            ]
            return Exchange("choice", lang, "\n".join(lines), right, key, short=fact.short[lang])
