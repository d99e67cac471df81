"""Practice: conversations that are dense with answers to be read out of what stands before them.

Reading and copying are what a small model learns last. A dialogue of the other skills holds one place or two where it has
to; these hold many: lists said again, tables and lettered lists that are asked for entry by entry, multiple choices in a
row, functions under names that mean nothing called several times, personas and things told that are asked for again.
"""

from __future__ import annotations

import json
import random

from jobs.starter import choice, context, tools
from jobs.starter.dialogue import Dialogue, Lang, Turn, held_out
from jobs.starter.unknown import fake_han, fake_name

_LIST = {
    "en": ("Say these again: {v}", "Copy the list: {v}", "List: {v}\nThe same list:", "Write this list again: {v}", "Once more: {v}"),
    "zh": ("把这些再说一遍：{v}", "抄写列表：{v}", "列表：{v}\n同样的列表：", "再写一遍这个列表：{v}", "重新写：{v}"),
}  # fmt: skip
_TABLE = {"en": ("{rows}\n{q}", "Table:\n{rows}\n{q}", "Notes: {rows}. {q}"), "zh": ("{rows}\n{q}", "表格：\n{rows}\n{q}", "记录：{rows}。{q}")}  # fmt: skip
_PAIRS = ("{k}: {v}", "{k} = {v}", "{k} - {v}", "{k}，{v}", "{k} {v}", '"{k}": "{v}"')
_VALUE_OF = {
    "en": ("{k}?", "What is {k}?", "And {k}?", "Which value has {k}?", "What belongs to {k}?"),
    "zh": ("{k}？", "{k}是什么？", "那{k}呢？", "{k}对应什么？", "查{k}。"),
}
_KEY_OF = {
    "en": ("Which one has {v}?", "Where is {v}?", "What has the value {v}?", "Find {v}."),
    "zh": ("哪个是{v}？", "{v}在哪里？", "什么对应{v}？", "找{v}。"),
}
_AS_JSON = {
    "en": ("As JSON.", "Write it as JSON.", "JSON, please."),
    "zh": ("写成 JSON。", "用 JSON 表示。", "请给出 JSON。"),
}
_AFTER = {
    "en": ("What comes after {k}?", "Which word follows {k}?", "After {k}?"),
    "zh": ("{k}后面是什么？", "{k}之后呢？", "接在{k}后面的是什么？"),
}
_BEFORE = {"en": ("What comes before {k}?", "Before {k}?"), "zh": ("{k}前面是什么？", "{k}之前呢？")}
_BETWEEN = {
    "en": ("What stands between {a} and {b}?", "Between {a} and {b}?"),
    "zh": ("{a}和{b}之间是什么？", "{a}与{b}中间呢？"),
}
_TEXT_OF = {"en": ("{k}?", "What is {k}?", "Option {k}?", "What does {k} say?"), "zh": ("{k}？", "{k}是什么？", "选项{k}？", "{k}写的是什么？")}  # fmt: skip
_LETTER_OF = {
    "en": ("Which letter is {v}?", "The letter of {v}?", "Where is {v}?", "Which option is {v}?"),
    "zh": ("{v}是哪个字母？", "{v}的字母？", "{v}在哪里？", "哪个选项是{v}？"),
}
_LETTER_OF_EACH = {
    "en": ("Give the letter of each: {v}", "Write the letter after each: {v}", "Which letters have these? {v}", "Letters, please: {v}"),
    "zh": ("写出每个的字母：{v}", "请在每个后面写上字母：{v}", "它们的字母是什么？{v}", "请标出字母：{v}"),
}  # fmt: skip


def drill(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """A list, a row of words, a table or a lettered list, and several questions about it. Only for training."""
    del held
    make = rng.choices((_copied, _neighbours, _looked_up, _lettered), (25, 20, 30, 25))[0]
    while True:
        turns = make(rng, lang)
        key = f"drill/{turns[0][1]}"
        if not held_out(key):
            return Dialogue("practice", lang, turns, key)


def _parts(rng: random.Random, lang: Lang, many: int) -> list[str]:
    """``many`` different words, names, numbers, groups of letters or short phrases, mostly of one sort."""
    sort = rng.randrange(5)
    found: dict[str, None] = {}
    while len(found) < many:
        if sort == 0:
            one = fake_name(rng) if lang == "en" else fake_han(rng)
        elif sort == 1:
            one = str(rng.randint(0, 10 ** rng.randint(1, 5) - 1))
        elif sort == 2:
            between = " " if lang == "en" else ""
            one = between.join(context.part(rng, lang) for _ in range(rng.choice((1, 2, 2, 3))))
        else:
            one = context.part(rng, lang if rng.random() < 0.85 else ("zh" if lang == "en" else "en"))
        if rng.random() < 0.1:
            one = one.lower()
        found.setdefault(one)
    return list(found)


def _asked(rng: random.Random, first: str, pairs: list[tuple[str, str]]) -> tuple[Turn, ...]:
    """(question, answer) pairs as turns; ``first`` holds the first question at ``{q}``."""
    turns: list[Turn] = []
    for number, (question, answer) in enumerate(pairs):
        said = first.replace("{q}", question) if number == 0 else question
        turns += [("user", said), ("assistant", answer)]
    return tuple(turns)


def _copied(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for _ in range(rng.choice((1, 1, 2))):
        between = rng.choice((" ", " ", ", ", "、" if lang == "zh" else "; ", "\n", " / "))
        value = between.join(_parts(rng, lang, rng.randint(3, 14)))
        turns += [("user", rng.choice(_LIST[lang]).replace("{v}", value)), ("assistant", value)]
    return tuple(turns)


def _neighbours(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    some = _parts(rng, lang, rng.randint(4, 12))
    pairs = []
    for _ in range(rng.randint(3, 8)):
        at = rng.randrange(1, len(some) - 1)
        roll = rng.random()
        if roll < 0.5:
            pairs.append((rng.choice(_AFTER[lang]).replace("{k}", some[at]), some[at + 1]))
        elif roll < 0.75:
            pairs.append((rng.choice(_BEFORE[lang]).replace("{k}", some[at]), some[at - 1]))
        else:
            asked = rng.choice(_BETWEEN[lang]).replace("{a}", some[at - 1]).replace("{b}", some[at + 1])
            pairs.append((asked, some[at]))
    return _asked(rng, rng.choice((" ", ", ", " ")).join(some) + "\n{q}", pairs)


def _looked_up(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    many = rng.randint(2, 8)
    some = _parts(rng, lang, many)
    keys = some if rng.random() < 0.7 else [f"{tools.identifier(rng)}" for _ in some]
    values = _parts(rng, lang, many)
    table = dict(zip(keys, values, strict=True))
    form = rng.choice(_PAIRS)
    lines = [form.replace("{k}", k).replace("{v}", v) for k, v in table.items()]
    template = rng.choice(_TABLE[lang])
    between = "\n" if "\n{q}" in template else "; "
    pairs = []
    for _ in range(rng.randint(3, 8)):
        key, value = rng.choice(list(table.items()))
        roll = rng.random()
        if roll < 0.65 or list(table.values()).count(value) > 1:
            pairs.append((rng.choice(_VALUE_OF[lang]).replace("{k}", key), value))
        else:
            pairs.append((rng.choice(_KEY_OF[lang]).replace("{v}", value), key))
    if rng.random() < 0.3:
        pairs.append((rng.choice(_AS_JSON[lang]), json.dumps(table, ensure_ascii=False)))
        rng.shuffle(pairs)
    return _asked(rng, template.replace("{rows}", between.join(lines)), pairs)


def _lettered(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    letters = choice.LETTERS[: rng.choices((2, 3, 4), (10, 15, 75))[0]]
    some = choice.members(rng, lang) if rng.random() < 0.6 else _parts(rng, lang, 8)
    options = rng.sample(some, len(letters))
    style = rng.choice(("{}. {}", "{}. {}", "{}. {}", "{}) {}", "({}) {}", "{}: {}"))
    listed = [style.format(a, b) for a, b in zip(letters, options, strict=True)]
    between = "\n" if rng.random() < 0.8 else " "
    pairs = []
    for _ in range(rng.randint(3, 8)):
        at = rng.randrange(len(letters))
        if rng.random() < 0.75:
            answer = choice.ANSWER.format(text=options[at], letter=letters[at])
            pairs.append((rng.choice(_LETTER_OF[lang]).replace("{v}", options[at]), answer))
        else:
            pairs.append((rng.choice(_TEXT_OF[lang]).replace("{k}", letters[at]), options[at]))
    if rng.random() < 0.5:
        return _asked(rng, between.join([*listed, "{q}"]), pairs)
    return _asked(rng, between.join(["{q}", *listed]), pairs)


def letters(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """Options under letters, and the letters of all of them asked for, at once or one by one: half of an answer's tokens
    are then letters, where a multiple choice has one. Only for training."""
    del held
    while True:
        turns = (_letter_of_each if rng.random() < 0.6 else _letters_in_turn)(rng, lang)
        key = f"letters/{turns[0][1]}"
        if not held_out(key):
            return Dialogue("practice", lang, turns, key)


def _options(rng: random.Random, lang: Lang) -> tuple[str, list[str], list[str]]:
    """(letters, options, lines). Mostly short options of one sort."""
    letters = "ABCDEFGH"[: rng.choices((2, 3, 4, 5, 6, 8), (5, 10, 60, 10, 10, 5))[0]]
    roll = rng.random()
    if roll < 0.3:
        options = [str(n) for n in rng.sample(range(rng.choice((100, 1000))), len(letters))]
    elif roll < 0.85:
        some: tuple[str, ...] = ()
        while len(some) < len(letters):
            some = choice.members(rng, lang)
        options = rng.sample(some, len(letters))
    else:
        options = _parts(rng, lang, len(letters))
    style = rng.choice(("{}. {}",) * 6 + ("{}) {}", "({}) {}", "{}: {}"))
    return letters, options, [style.format(a, b) for a, b in zip(letters, options, strict=True)]


def _letter_of_each(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    letters, options, lines = _options(rng, lang)
    turns: list[Turn] = []
    for number in range(rng.choice((1, 1, 2))):
        order = rng.sample(range(len(letters)), len(letters))
        if len(letters) <= 4 and rng.random() < 0.4:
            order += rng.sample(range(len(letters)), len(letters))
        between = ", " if lang == "en" or rng.random() < 0.5 else "，"
        question = rng.choice(_LETTER_OF_EACH[lang]).replace("{v}", between.join(options[i] for i in order))
        if number == 0:
            question = "\n".join([*lines, question] if rng.random() < 0.5 else [question, *lines])
        named = between.join(f"{options[i]} ({letters[i]})" for i in order)
        turns += [("user", question), ("assistant", named)]
    return tuple(turns)


def _letters_in_turn(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    letters, options, lines = _options(rng, lang)
    pairs = []
    for _ in range(rng.randint(4, 8)):
        at = rng.randrange(len(letters))
        question = rng.choice(_LETTER_OF[lang]).replace("{v}", options[at])
        pairs.append((question, choice.ANSWER.format(text=options[at], letter=letters[at])))
    return _asked(rng, "\n".join([*lines, "{q}"] if rng.random() < 0.5 else ["{q}", *lines]), pairs)


def quiz(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """Several multiple choices in one conversation, most in the plain form."""
    del held
    turns: list[Turn] = []
    key = ""
    for _ in range(rng.choice((1, 2, 3, 3, 4, 5))):
        one = choice.plain(rng, lang)
        key = key or one.key
        turns += [("user", one.question), ("assistant", one.answer)]
    return Dialogue("choice", lang, tuple(turns), key)


def memories(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """Several things are told, with other exchanges between, and all of them asked for, some of them twice."""
    del held
    slots = rng.sample(context.SLOTS, rng.randint(2, 4))
    told = [_told(rng, lang, slot) for slot in slots]
    pairs = [(one.tell, one.known) for one in told]
    for _ in range(rng.choice((0, 0, 1, 2))):
        one = context.filler(rng, lang)
        pairs.insert(rng.randint(1, len(pairs)), (one.question, one.answer))
    for one_told in rng.sample(told, len(told)):
        pairs.append((one_told.ask, one_told.answer))
        if rng.random() < 0.2:
            other = context.filler(rng, lang)
            pairs.append((other.question, other.answer))
        elif rng.random() < 0.15:  # told anew: the newer value counts
            again = _told(rng, lang, one_told.slot, one_told.kind)
            pairs += [(again.tell, again.known), (again.ask, again.answer)]
    turns = tuple(turn for said, reply in pairs for turn in (("user", said), ("assistant", reply)))
    return Dialogue("remembers", lang, turns, told[0].key)


def _told(rng: random.Random, lang: Lang, slot: str, kind: str = "") -> context.Told:
    """Something to be told that is not kept for the evaluation."""
    while True:
        one = context.told_once(rng, lang, slot, kind=kind)
        if not held_out(one.key):
            return one


def calls(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """:func:`jobs.starter.tools.json_calls` several times over, mostly of functions whose names mean nothing."""
    del held
    return tools.json_calls(rng, lang, False, more=rng.choice((1, 2, 2, 3)), rename=_often(rng))


def react_calls(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """The same in ReAct form, one in three as Lagent writes it."""
    del held
    make = tools.react_lagent if rng.random() < 0.33 else tools.react_plain
    return make(rng, lang, False, more=rng.choice((1, 1, 2)), rename=_often(rng))


def _often(rng: random.Random) -> float:
    return rng.choice((0.0, 0.5, 1.0))


_EACH = {
    "en": ("Give the value of each: {v}", "Look up: {v}", "Values of {v}?", "For each of these, its value: {v}"),
    "zh": ("给出每个的值：{v}", "查找：{v}", "{v}的值？", "写出每个对应的值：{v}"),
}
_HAN = (
    "山水火木金土日月星云风雨花草树石田河海天地人口手目耳心门车马牛羊鱼鸟虫狗猫米豆茶酒红黄蓝白黑大小多少上下左右东西南北春夏秋冬早晚男女父母"
    "王李张刘陈杨赵黄周吴"
)
_WORDS = (
    "red", "blue", "green", "cat", "dog", "sun", "moon", "tree", "fish", "bird", "north", "south", "east", "west", "book", "door", "hand", "king", "milk", "rain", "snow", "tea", "wine", "year", "home", "road", "ship", "star", "fire", "lake", "rock", "wind", "gold", "iron", "salt", "sand", "seed", "song", "time", "town", "wall", "wood", "word", "work",
)  # fmt: skip


def _atoms(rng: random.Random, many: int) -> list[str]:
    """Different parts that are one token each, or nearly."""
    sort = rng.randrange(4)
    if sort == 0:
        return [str(n) for n in rng.sample(range(1000), many)]
    return rng.sample(("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _HAN, _WORDS)[sort - 1], many)


def each(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """Pairs of single tokens, and the values of many keys in a row: nearly every token of the answer has to be looked up.
    Only for training."""
    del held
    while True:
        turns = _each(rng, lang)
        key = f"each/{turns[0][1]}"
        if not held_out(key):
            return Dialogue("practice", lang, turns, key)


def _each(rng: random.Random, lang: Lang) -> tuple[Turn, ...]:
    many = rng.choice((2, 3, 3, 4, 4, 5, 6, 8))
    keys, values = _atoms(rng, many), _atoms(rng, many)
    form, between = rng.choice((*_PAIRS[:5], "{k}{v}")), rng.choice((", ", "; ", "\n", "\n"))
    rows = between.join(form.replace("{k}", k).replace("{v}", v) for k, v in zip(keys, values, strict=True))
    turns: list[Turn] = []
    for _ in range(rng.choice((1, 2, 3))):
        order = [rng.randrange(many) for _ in range(rng.randint(3, 10))]
        backwards = rng.random() < 0.2
        left, right = (values, keys) if backwards else (keys, values)
        if rng.random() < 0.75:
            with_key = rng.random() < 0.3
            question = rng.choice(_EACH[lang]).replace("{v}", " ".join(left[i] for i in order))
            pairs = [(question, " ".join(f"{left[i]} {right[i]}" if with_key else right[i] for i in order))]
        elif backwards:
            pairs = [(rng.choice(_KEY_OF[lang]).replace("{v}", left[i]), right[i]) for i in order]
        else:
            pairs = [(rng.choice(_VALUE_OF[lang]).replace("{k}", left[i]), right[i]) for i in order]
        for question, answer in pairs:
            turns += [("user", question if turns else f"{rows}\n{question}"), ("assistant", answer)]
    return tuple(turns)
