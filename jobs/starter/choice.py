"""Multiple choice: a question on a fact, options with letters; the answer is the text and its letter, ``Paris (B)``.

The text first, because it is what the model knows, and the letter at once after it, because then it stands where the text
stands in the list. With the bare letter as the answer, or with words between, the letter stayed at chance, see
docs/starter-model.md.

The evaluation asks in one form (four options on lines, ``A. Paris``). Training varies the form, and a quarter of it needs no
knowledge: the question names the option, or the class that only one option belongs to.
"""

from __future__ import annotations

import random
from functools import cache

from jobs.starter import facts
from jobs.starter.dialogue import Exchange, Lang, held_out
from jobs.starter.unknown import fake_han, fake_name

LETTERS = "ABCD"
_KINDS = (
    "capital", "country", "continent", "language", "colour", "opposite", "which", "who", "to_english", "to_chinese", "symbol",
    "plus", "minus", "times", "month_after",
)  # fmt: skip
ANSWER = "{text} ({letter})"
"""How a choice is answered."""
_LETTER = {
    "en": ("Answer with the letter.", "Answer:", "Which letter is right?", "Choose A, B, C or D.", "Which option is correct?",
           "What is the right answer?"),
    "zh": ("请回答字母。", "答案：", "哪个字母是对的？", "请选择 A、B、C 或 D。", "哪个选项正确？", "请选出正确的选项。"),
}  # fmt: skip
_NUMBER = {"en": {2: "Choose A or B.", 3: "Choose A, B or C."}, "zh": {2: "请选择 A 或 B。", 3: "请选择 A、B 或 C。"}}
_BEFORE = {
    "en": ("Multiple choice.", "Choose the right answer.", "Pick one option."),
    "zh": ("选择题。", "请选择正确答案。", "单项选择题："),
}
_STYLES = {
    "en": ("{}. {}", "{}. {}", "{}) {}", "{}: {}", "({}) {}"),
    "zh": ("{}. {}", "{}. {}", "{}) {}", "{}: {}", "({}) {}", "{}、{}"),
}
_COPY = {
    "en": ("Which option says {x}?", "Choose the option '{x}'.", "Which letter stands for {x}?", "Find {x}.", "Where is {x} in the list?",
           "The right answer is {x}. Which letter is it?", "Which one is {x}?"),
    "zh": ("哪个选项是{x}？", "请选择“{x}”。", "哪个字母代表{x}？", "找出{x}。", "{x}是哪个选项？", "正确答案是{x}，是哪个字母？", "哪一个是{x}？"),
}  # fmt: skip
_CLASS = {
    "en": ("Which of these is a {x}?", "Which one is a {x}?", "Choose the {x}.", "Find the {x}."),
    "zh": ("下面哪个是{x}？", "哪一个是{x}？", "请选出{x}。", "找出其中的{x}。"),
}
_CLASSES = {
    "number": "数字",
    "country": "国家",
    "continent": "大洲",
    "colour": "颜色",
    "month": "月份",
    "day of the week": "星期",
}


def exchange(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """One question with two to four options, one of them right. held: a trained question in a choice that is not."""
    if not held and rng.random() < 0.25:
        return _copied(rng, lang) if rng.random() < 0.75 else _classed(rng, lang)
    while True:
        fact = rng.choice(facts.facts()[rng.choice(_KINDS)])
        asked = facts.ask(rng, fact, lang)
        key = f"choice/{asked.key}"
        if held_out(key) == held and not held_out(asked.key):
            break
    right, wrong = fact.short[lang], facts.wrong_answers(fact, lang)
    if not held:
        return _varied(rng, lang, asked.question, right, wrong, key)
    return _plain(rng, lang, asked.question, right, tuple(rng.sample(wrong, len(LETTERS) - 1)), key)


def plain(rng: random.Random, lang: Lang) -> Exchange:
    """The form of the evaluation: three in five on facts, the others on an option that the question names, or on the class
    that only one option belongs to. Only for training."""
    roll = rng.random()
    if roll < 0.1:
        return _classed(rng, lang)
    if roll < 0.2:
        return _copied(rng, lang)
    if roll < 0.4:
        some = members(rng, lang)
        while True:
            right, *wrong = rng.sample(some, len(LETTERS))
            template = rng.choice(_COPY[lang])
            question, key = template.format(x=right), f"choice/copy/{lang}/{template}/{right}"
            if not held_out(key):
                break
    else:
        question, right, wrong, key = _fact(rng, lang)
    return _plain(rng, lang, question, right, tuple(wrong), key)


def _plain(rng: random.Random, lang: Lang, question: str, right: str, wrong: tuple[str, ...], key: str) -> Exchange:
    """``question`` with four options on lines."""
    options = [right, *wrong]
    rng.shuffle(options)
    lines = [question, *(f"{a}. {b}" for a, b in zip(LETTERS, options, strict=True)), rng.choice(_LETTER[lang])]
    return Exchange("choice", lang, "\n".join(lines), _answer(lang, right, options), key, short=right)


def _answer(lang: Lang, right: str, options: list[str]) -> str:
    return ANSWER.format(text=right, letter=LETTERS[options.index(right)])


def _fact(rng: random.Random, lang: Lang) -> tuple[str, str, list[str], str]:
    """(question on a fact, right answer, three wrong ones, key), none of it held out."""
    while True:
        fact = rng.choice(facts.facts()[rng.choice(_KINDS)])
        asked = facts.ask(rng, fact, lang)
        key = f"choice/{asked.key}"
        if not held_out(key) and not held_out(asked.key):
            wrong = rng.sample(facts.wrong_answers(fact, lang), len(LETTERS) - 1)
            return asked.question, fact.short[lang], wrong, key


def members(rng: random.Random, lang: Lang) -> tuple[str, ...]:
    """Words of one sort, of which options can be drawn."""
    return _members(rng.choice(("", "", "number", "country", "capital", "colour", "opposite", "who")), lang)


def _varied(rng: random.Random, lang: Lang, question: str, right: str, wrong: tuple[str, ...], key: str) -> Exchange:
    """``question`` with options in one of the forms that people use."""
    count = rng.choices((2, 3, 4), (20, 20, 60))[0]
    options = [right, *rng.sample(wrong, count - 1)]
    rng.shuffle(options)
    style = rng.choice(_STYLES[lang])
    listed = [style.format(a, b) for a, b in zip(LETTERS, options, strict=False)]
    instruction = rng.choice(_LETTER[lang])
    if instruction.startswith(("Choose A", "请选择 A")):
        instruction = _NUMBER[lang].get(count, instruction)
    elif rng.random() < 0.15:
        instruction = ""
    on_lines = rng.random() < 0.75
    parts = [question, ("\n" if on_lines else rng.choice(("  ", " ", "; "))).join(listed)]
    if rng.random() < 0.25:
        parts.insert(0, rng.choice(_BEFORE[lang]))
    if instruction and rng.random() < 0.2 and not instruction.endswith((":", "：")):
        parts.insert(0, instruction)
    elif instruction:
        parts.append(instruction)
    text = ("\n" if on_lines else " ").join(parts)
    return Exchange("choice", lang, text, _answer(lang, right, options), key, short=right)


@cache
def _members(name: str, lang: Lang) -> tuple[str, ...]:
    """What belongs to a class of ``_CLASSES``, or ``""``: words that belong to none of them."""
    known = facts.facts()
    if name == "number":
        return tuple(str(n) for n in range(100))
    if name == "month":
        return tuple(month[lang == "zh"] for month in facts.MONTHS)
    if name == "day of the week":
        return tuple(day[lang == "zh"] for day in facts.DAYS)
    if name:
        return tuple(sorted({f.short[lang] for f in known[name]}))
    classed = {m for other in _CLASSES for m in _members(other, lang)} | {*facts.NUMBERS_EN, *facts.NUMBERS_ZH}
    plain = {f.short[lang] for f in known["to_chinese" if lang == "zh" else "to_english"]}
    return tuple(sorted(plain - classed - {"星期", "国家", "country", "world", "世界", "数字", "number", "week"}))


def _copied(rng: random.Random, lang: Lang) -> Exchange:
    """The question names the option."""
    source = rng.choice(("", "number", "country", "capital", "opposite", "who", "invented"))
    if source == "invented":
        some = tuple(sorted({fake_name(rng) if lang == "en" else fake_han(rng) for _ in range(12)}))
    else:
        some = _members(source, lang)
    while True:
        right, *wrong = rng.sample(some, len(LETTERS))
        template = rng.choice(_COPY[lang])
        key = f"choice/copy/{lang}/{template}/{right}"
        if not held_out(key):
            return _varied(rng, lang, template.format(x=right), right, tuple(wrong), key)


def _classed(rng: random.Random, lang: Lang) -> Exchange:
    """The question names a class, to which one of the options belongs."""
    while True:
        name = rng.choice(tuple(_CLASSES))
        right = rng.choice(_members(name, lang))
        template = rng.choice(_CLASS[lang])
        key = f"choice/class/{lang}/{template}/{right}"
        if not held_out(key):
            break
    others = [other for other in ("", "", "", *_CLASSES) if other != name]
    wrong = {rng.choice(_members(rng.choice(others), lang)) for _ in range(8)}
    wrong |= set(rng.sample(_members("", lang), len(LETTERS)))
    question = template.format(x=name if lang == "en" else _CLASSES[name])
    return _varied(rng, lang, question, right, tuple(sorted(wrong)), key)
