"""What the starter does not know: questions out of reach, invented names, other languages, code, noise, nothing.

The answer is always the same one sentence, so that a person learns quickly where the model ends.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from jobs.starter.dialogue import Exchange, Lang, as_typed, held_out

ANSWERS: dict[str, str] = {"en": "Sorry, I do not know that.", "zh": "抱歉，这个我不知道。"}
SKILL = "does not know"

_SYLLABLES = (
    "ba", "be", "bo", "bra", "ca", "cor", "da", "del", "dor", "dra", "el", "en", "fa", "fen", "fi", "ga", "gor", "gu", "ha", "hel", "in",
    "ja", "jo", "ka", "kel", "ki", "kor", "la", "len", "li", "lo", "lu", "ma", "mer", "mi", "mo", "na", "nel", "ni", "no", "nu", "or",
    "pa", "pel", "po", "qua", "ra", "ren", "ri", "ro", "sa", "sel", "shi", "so", "su", "ta", "tel", "ti", "to", "tra", "ul", "va", "vel",
    "vi", "vo", "wa", "wen", "wi", "xa", "ya", "yo", "za", "zel", "zi", "zo", "zu", "th", "ck", "ss", "mp", "nd", "st",
)  # fmt: skip
_ENDS = (
    "a",
    "ia",
    "land",
    "ton",
    "burg",
    "ville",
    "os",
    "is",
    "um",
    "er",
    "ov",
    "ez",
    "ski",
    "son",
    "ita",
    "an",
    "o",
    "",
)
_HAN = "阿艾安奥巴贝比伯博布查达德迪丁多厄恩法菲弗戈格古哈海赫霍基吉加杰卡凯科克库拉莱兰勒雷里利林鲁罗洛马麦曼梅米莫姆纳尼诺帕佩皮普奇乔琼萨塞沙舍斯苏索塔泰特提图托瓦维沃乌西希夏辛雅亚伊尤约扎泽兹佐"
_REAL_EN = (
    "Bolivia", "Laos", "Sri Lanka", "Estonia", "Latvia", "Panama", "Paraguay", "Libya", "Angola", "Zambia", "Bangladesh", "Kuwait",
    "Qatar", "Albania", "Slovakia", "Jamaica", "Honduras", "Elon Musk", "Taylor Swift", "Lionel Messi", "Barack Obama", "Napoleon",
    "Julius Caesar", "Cleopatra", "Gandhi", "Nelson Mandela", "Plato", "Socrates", "Michael Jordan", "Jackie Chan", "Yao Ming",
    "Hamburg", "Munich", "Milan", "Barcelona", "Lyon", "Osaka", "Chicago", "Boston", "Toronto", "Sydney", "Mumbai", "Shenzhen",
)  # fmt: skip
_REAL_ZH = (
    "老挝", "缅甸", "斯里兰卡", "爱沙尼亚", "巴拿马", "巴拉圭", "利比亚", "安哥拉", "赞比亚", "孟加拉国", "科威特", "卡塔尔", "马斯克",
    "姚明", "刘翔", "成龙", "周杰伦", "李白", "杜甫", "苏轼", "诸葛亮", "曹操", "岳飞", "拿破仑", "凯撒", "甘地", "曼德拉", "柏拉图",
    "汉堡", "慕尼黑", "米兰", "里昂", "大阪", "芝加哥", "波士顿", "多伦多", "悉尼", "孟买", "深圳", "成都", "武汉", "南京", "西安",
)  # fmt: skip
_FOREIGN_LETTERS = "абвгдежзиклмнопрстуфхцчшыэюяあいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ가나다라마바사아자차하مرحباكيفअआइईउऊ"


def fake_name(rng: random.Random) -> str:
    """An invented name such as ``Dorvelia``."""
    return ("".join(rng.choices(_SYLLABLES, k=rng.choice((1, 2, 2, 3)))) + rng.choice(_ENDS)).capitalize()


def fake_han(rng: random.Random) -> str:
    """An invented Chinese transcription of two to four characters."""
    return "".join(rng.choices(_HAN, k=rng.choice((2, 3, 3, 4))))


@cache
def lines() -> dict[str, tuple[str, ...]]:
    """The lists of the data file: ``en``, ``zh``, ``topic en``, ``topic zh``, ``other``, ``code``."""
    found: dict[str, list[str]] = {}
    text = (Path(__file__).parent / "data" / "unknown.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("\t")
            items = rest.replace("\\|", "\0").split("|")
            found.setdefault(name, []).extend(item.replace("\0", "|").replace("\\n", "\n") for item in items)
    return {name: tuple(items) for name, items in found.items()}


def exchange(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Something that the model does not know. Only questions come in both languages; the rest is answered in English."""
    makers = (_question, _other_language, _code, _noise)
    while True:
        maker = rng.choices(makers, (72, 12, 6, 10))[0]
        question, key, language = maker(rng, lang, held)
        if held_out(key) == held:
            return Exchange(SKILL, language, question, ANSWERS[language], key)


def _question(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    templates = lines()[lang]
    unseen = held and rng.random() < 0.5
    template = rng.choice([t for t in templates if t.startswith("!") == unseen])
    topics = lines()[f"topic {lang}"]
    invented = fake_name(rng) if lang == "en" or rng.random() < 0.1 else fake_han(rng)
    person = invented if rng.random() < 0.7 else rng.choice(_REAL_EN if lang == "en" else _REAL_ZH)
    if lang == "en" and rng.random() < 0.15:
        person = f"{person} {fake_name(rng)}"
    values = {
        "x": rng.choice(topics),
        "y": rng.choice(topics),
        "p": person,
        "m": str(rng.randint(11, 9999)),
        "n": str(rng.randint(11, 9999)),
    }
    question = template.removeprefix("!").format(**values)
    key = f"unknown/{lang}/{template}/{question}" + ("!" if unseen else "")
    return as_typed(rng, question, lang), key, lang


def _other_language(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    sentence = rng.choice(lines()["other"])
    key = f"unknown/other/{sentence}"
    if not held_out(key) and rng.random() < 0.5:
        words = sentence.split()
        if len(words) > 2:
            rng.shuffle(words)
            sentence = " ".join(words[: rng.randint(2, len(words))])
        elif rng.random() < 0.5:
            sentence = "".join(rng.choices(_FOREIGN_LETTERS, k=rng.randint(4, 20)))
    return (sentence.lower() if rng.random() < 0.2 else sentence), key, "en"


def _code(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    template = rng.choice(lines()["code"])
    words = (
        "total",
        "name",
        "value",
        "x",
        "data",
        "result",
        "item",
        "user",
        "list",
        "index",
        "file",
        "count",
        "config",
        "main",
    )
    a, b, c = (rng.choice(words) if rng.random() < 0.5 else fake_name(rng).lower() for _ in range(3))
    text = template.format(a=a, b=b, c=c, n=rng.randint(0, 999), m=rng.randint(0, 99))
    return text, f"unknown/code/{text}", "en"


def _noise(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    kind = rng.randrange(7)
    length = rng.choice((3, 6, 10, 20, 20, 40, 80, 160))
    letters = "abcdefghijklmnopqrstuvwxyz"
    if kind == 0:
        text = rng.choice(("", " ", "?", "...", ".", "??", "!", "\n", "-", "？", "。。。", "、", "，", ",", "/"))
        return text, f"unknown/noise/empty/{rng.random()}", "en"  # too few to keep some of them apart
    if kind == 1:
        text = "".join(rng.choices(letters, k=length))
    elif kind == 2:
        text = " ".join("".join(rng.choices(letters, k=rng.randint(1, 8))) for _ in range(max(1, length // 6)))
    elif kind == 3:
        text = "".join(rng.choices(letters + letters.upper() + "0123456789!@#$%^&*()_+-=[]{};:,.<>/?~ ", k=length))
    elif kind == 4:
        text = rng.choice(letters + "0123456789!?*") * length
    elif kind == 5:
        text = "".join(rng.choices("😀😂🎉👍❤🔥🙏😢🚀⭐🌈🐶🍎⚽🎵", k=min(length, 12)))
    else:
        text = "".join(
            rng.choices(
                "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
                + _HAN,
                k=length,
            )
        )
    return text, f"unknown/noise/{text}", "zh" if kind == 6 else "en"
