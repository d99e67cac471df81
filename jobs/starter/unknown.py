"""What the starter does not know: questions out of reach, invented names, other languages, code, noise, nothing.

The answer is always the same one sentence, so that a person learns quickly where the model ends. It is Chinese where a
Chinese question is asked and where the text is of Han characters alone; all other text is answered in English.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Formatter

from jobs.starter import facts
from jobs.starter.dialogue import Exchange, Lang, as_typed, held_out
from jobs.starter.phrasings import PHRASINGS

ANSWERS: dict[str, str] = {"en": "Sorry, I do not know that.", "zh": "抱歉，这个我不知道。"}
SKILL = "does not know"
Maker = Callable[[random.Random, Lang, bool], tuple[str, str, Lang]]
"""Makes (question, key, language of the answer)."""
LONGEST = 2000
"""Characters of the longest noise."""

_ONSETS = (
    "b", "br", "c", "cl", "d", "dr", "f", "fl", "g", "gl", "gr", "h", "j", "k", "kr", "l", "m", "n", "p", "pl", "pr", "qu", "r", "s",
    "sh", "sk", "sl", "st", "t", "th", "tr", "v", "w", "y", "z", "zh", "",
)  # fmt: skip
_VOWELS = ("a", "a", "e", "e", "i", "i", "o", "o", "u", "u", "ai", "au", "ea", "ei", "ie", "oo", "ou", "y")
_CODAS = ("", "", "", "", "n", "r", "l", "s", "m", "t", "k", "nd", "rn", "st", "x", "ck", "lm", "rd", "ng", "th")
_ENDS = (
    "a", "ia", "land", "ton", "burg", "ville", "os", "is", "um", "er", "ov", "ez", "ski", "son", "ita", "an", "o", "stan", "ford", "wick",
    "heim", "ina", "us", "el", "ay", "ora", "", "", "",
)  # fmt: skip
_HAN = "阿艾安奥巴贝比伯博布查达德迪丁多厄恩法菲弗戈格古哈海赫霍基吉加杰卡凯科克库拉莱兰勒雷里利林鲁罗洛马麦曼梅米莫姆纳尼诺帕佩皮普奇乔琼萨塞沙舍斯苏索塔泰特提图托瓦维沃乌西希夏辛雅亚伊尤约扎泽兹佐"
_REAL_EN = (
    "Bolivia", "Laos", "Sri Lanka", "Estonia", "Latvia", "Panama", "Paraguay", "Libya", "Angola", "Zambia", "Bangladesh", "Kuwait",
    "Qatar", "Albania", "Slovakia", "Jamaica", "Honduras", "Elon Musk", "Taylor Swift", "Lionel Messi", "Barack Obama", "Napoleon",
    "Julius Caesar", "Cleopatra", "Gandhi", "Nelson Mandela", "Plato", "Socrates", "Michael Jordan", "Jackie Chan", "Yao Ming",
    "Hamburg", "Munich", "Bahrain", "Belarus", "Benin", "Bhutan", "Botswana", "Cameroon", "Chad", "Cyprus", "Fiji", "Gabon", "Georgia",
    "Guatemala", "Haiti", "Jordan", "Kazakhstan", "Lebanon", "Liberia", "Lithuania", "Luxembourg", "Madagascar", "Malawi", "Mali", "Malta",
    "Moldova", "Monaco", "Mozambique", "Namibia", "Niger", "Oman", "Rwanda", "Slovenia", "Somalia", "Sudan", "Syria", "Tanzania", "Togo",
    "Uganda", "Uzbekistan", "Yemen", "Zimbabwe", "Bill Gates", "Steve Jobs", "Madonna", "Beyonce", "Rihanna", "Bruce Lee", "Pele", "Roger Federer",
    "Serena Williams", "Usain Bolt", "Winston Churchill", "Abraham Lincoln", "John Lennon", "Elvis Presley", "Aristotle", "Confucius", "Homer",
    "Genghis Khan", "Nikola Tesla", "Stephen Hawking", "Galileo", "Sigmund Freud", "Karl Marx", "Immanuel Kant", "Frida Kahlo", "Marilyn Monroe",
    "Charlie Chaplin", "Walt Disney", "Jane Austen", "Charles Dickens", "Ernest Hemingway", "Franz Kafka", "Moby Dick", "Ulysses", "Titanic",
    "Manchester", "Liverpool", "Glasgow", "Marseille", "Naples", "Venice", "Zurich", "Geneva", "Rotterdam", "Krakow", "Istanbul", "Dubai",
    "Kyoto", "Busan", "Taipei", "Hong Kong", "Chengdu", "Wuhan", "Nanjing", "Los Angeles", "San Francisco", "Houston", "Miami", "Seattle",
    "Montreal", "Vancouver", "Melbourne", "Perth", "Cape Town", "Lagos", "Casablanca", "Rio de Janeiro", "Milan", "Barcelona", "Lyon", "Osaka", "Chicago", "Boston", "Toronto", "Sydney", "Mumbai", "Shenzhen",
)  # fmt: skip
_REAL_ZH = (
    "老挝", "缅甸", "斯里兰卡", "爱沙尼亚", "巴拿马", "巴拉圭", "利比亚", "安哥拉", "赞比亚", "孟加拉国", "科威特", "卡塔尔", "马斯克",
    "姚明", "刘翔", "成龙", "周杰伦", "李白", "杜甫", "苏轼", "诸葛亮", "曹操", "岳飞", "拿破仑", "凯撒", "甘地", "曼德拉", "柏拉图",
    "白俄罗斯", "不丹", "喀麦隆", "乍得", "塞浦路斯", "斐济", "加蓬", "格鲁吉亚", "危地马拉", "海地", "约旦", "哈萨克斯坦", "黎巴嫩", "利比里亚", "立陶宛",
    "卢森堡", "马达加斯加", "马拉维", "马里", "马耳他", "摩纳哥", "莫桑比克", "纳米比亚", "阿曼", "卢旺达", "斯洛文尼亚", "索马里", "苏丹", "叙利亚", "坦桑尼亚",
    "多哥", "乌干达", "乌兹别克斯坦", "也门", "津巴布韦", "玻利维亚", "拉脱维亚", "比尔盖茨", "乔布斯", "马云", "雷军", "任正非", "李小龙", "邓丽君", "刘德华", "王菲",
    "贝克汉姆", "梅西", "科比", "丘吉尔", "林肯", "亚里士多德", "孔子", "老子", "庄子", "成吉思汗", "唐太宗", "武则天", "关羽", "张飞", "刘备", "鲁迅", "老舍", "金庸",
    "莫言", "特斯拉", "霍金", "伽利略", "弗洛伊德", "马克思", "康德", "卓别林", "海明威", "卡夫卡", "水浒传", "三国演义", "聊斋志异", "泰坦尼克号",
    "曼彻斯特", "马赛", "那不勒斯", "威尼斯", "苏黎世", "日内瓦", "伊斯坦布尔", "迪拜", "京都", "釜山", "台北", "香港", "洛杉矶", "旧金山", "迈阿密", "西雅图",
    "蒙特利尔", "温哥华", "墨尔本", "开普敦", "拉各斯", "广州", "杭州", "苏州", "天津", "重庆", "青岛", "大连", "厦门", "昆明", "哈尔滨",
    "汉堡", "慕尼黑", "米兰", "里昂", "大阪", "芝加哥", "波士顿", "多伦多", "悉尼", "孟买", "深圳", "成都", "武汉", "南京", "西安",
)  # fmt: skip
_FOREIGN_LETTERS = "абвгдежзиклмнопрстуфхцчшыэюяあいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ가나다라마바사아자차하مرحباكيفअआइईउऊ"


_NOISE_HAN = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
    + _HAN
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYMBOLS = _LETTERS + _LETTERS.upper() + "0123456789!@#$%^&*()_+-=[]{};:,.<>/?~ "
_BASE64 = _LETTERS + _LETTERS.upper() + "0123456789+/"
_EMOJI = "😀😂🎉👍❤🔥🙏😢🚀⭐🌈🐶🍎⚽🎵"
_NOTHING = ("", " ", "?", "...", ".", "??", "!", "\n", "-", "？", "。。。", "、", "，", ",", "/")
_CODE_WORDS = (
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
_MADE = {
    "en": (
        "wrote {p}",
        "painted {p}",
        "invented {x}",
        "discovered {p}",
        "composed {p}",
        "created {p}",
        "founded {p}",
        "built {p}",
    ),
    "zh": (
        "写了《{p}》",
        "画了《{p}》",
        "发明了{x}",
        "发现了{p}",
        "创作了《{p}》",
        "创造了{p}",
        "创立了{p}",
        "建造了{p}",
    ),
}
_EXTREMES = {
    "en": ("the largest lake in {p}", "the oldest city in {p}", "the tallest tower in {p}", "the best book about {x}", "the first law of {p}",
           "the longest bridge in {p}", "the most expensive hotel in {p}", "the cheapest way to {p}", "the main street of {p}"),
    "zh": ("{p}最大的湖", "{p}最老的城市", "{p}最高的塔", "关于{x}最好的书", "{p}第一定律", "{p}最长的桥", "{p}最贵的酒店", "去{p}最便宜的方法", "{p}的主街"),
}  # fmt: skip
_UNITS = {
    "en": (
        "people",
        "streets",
        "houses",
        "schools",
        "pages",
        "islands",
        "rivers",
        "trees",
        "rooms",
        "words",
        "cars",
        "doors",
    ),
    "zh": ("人", "条街", "座房子", "所学校", "页", "个岛", "条河", "棵树", "个房间", "个字", "辆车", "扇门"),
}
_SLOTS = {
    "capital": "country", "continent": "country", "country": "capital", "colour": "thing", "opposite": "a", "symbol": "element",
    "term": "term",
}  # fmt: skip
"""Kinds of facts that ask for a name, and the slot it stands in."""
_FACT_KINDS = (*_SLOTS, "to_chinese", "to_english", "who", "which", "count", "young", "legs")


def fake_name(rng: random.Random) -> str:
    """An invented name such as ``Dorvelia``."""
    parts = [
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS if n == 0 else _CODAS[:9])
        for n in range(rng.choice((1, 2, 2, 2, 3)))
    ]
    name = "".join(parts)
    end = rng.choice(_ENDS) if len(name) > 2 else "land"
    return (name if name[-1] in "aeiouy" and end[:1] in "aeiouy" else name + end).capitalize()


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
    return {name: tuple(dict.fromkeys(items)) for name, items in found.items()}


@cache
def _templates(lang: Lang, unseen: bool) -> tuple[str, ...]:
    return tuple(t for t in lines()[lang] if t.startswith("!") == unseen)


@cache
def _taught() -> frozenset[str]:
    """All that the tables of facts name, in small letters, without an article."""
    known: set[str] = set()
    for kind in facts.facts().values():
        for fact in kind:
            for value in fact.values.values():
                bare = _bare(value)
                known |= {bare, bare.rpartition(" ")[2], bare.partition(" ")[2], bare + "s"}
                known.add(
                    bare.removeprefix("写了")
                    .removeprefix("画了")
                    .removeprefix("创作了")
                    .removeprefix("发明了")
                    .strip("《》")
                )
    return frozenset(known)


def _bare(text: str) -> str:
    text = text.lower()
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    return text


@cache
def _topics(lang: Lang) -> tuple[str, ...]:
    return tuple(t for t in lines()[f"topic {lang}"] if _bare(t) not in _taught())


@cache
def _real(lang: Lang) -> tuple[str, ...]:
    return tuple(n for n in (_REAL_EN if lang == "en" else _REAL_ZH) if _bare(n) not in _taught())


def _name(rng: random.Random, lang: Lang) -> str:
    """Somebody or something that is not in the tables: invented, or real."""
    if rng.random() < 0.35:
        return rng.choice(_real(lang))
    while True:
        name = fake_name(rng) if lang == "en" or rng.random() < 0.1 else fake_han(rng)
        if _bare(name) not in _taught():
            return name


def exchange(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Something that the model does not know. Only questions come in both languages; noise of Han characters is answered in
    Chinese, the rest in English."""
    return _one_of(_MAKERS, rng, lang, held)


def odd(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """The part of :func:`exchange` that is no question in its languages: other languages, code, noise, nothing."""
    return _one_of(_MAKERS[2:], rng, lang, held)


def _one_of(makers: tuple[tuple[Maker, int], ...], rng: random.Random, lang: Lang, held: bool) -> Exchange:
    while True:
        maker = rng.choices([m for m, _ in makers], [share for _, share in makers])[0]
        question, key, language = maker(rng, lang, held)
        if held_out(key) == held:
            return Exchange(SKILL, language, question, ANSWERS[language], key)


def _question(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    unseen = held and rng.random() < 0.5
    template = rng.choice(_templates(lang, unseen))
    person = _name(rng, lang)
    if lang == "en" and rng.random() < 0.1:
        person = f"{person} {fake_name(rng)}"
    topics = _topics(lang)
    values = {
        "x": rng.choice(topics),
        "y": rng.choice(topics),
        "p": person,
        "m": str(rng.randint(11, 9999)),
        "n": str(rng.randint(11, 9999)),
    }
    question = template.removeprefix("!").format(**values)
    if lang == "en":
        question = question[0].upper() + question[1:]
    key = f"unknown/{lang}/{template}/{question}" + ("!" if unseen else "")
    return as_typed(rng, question, lang), key, lang


@cache
def _fact_templates(kind: str, lang: Lang) -> tuple[str, ...]:
    """The trained wordings of a kind of facts whose slots :func:`_like_a_fact` can fill."""
    slots = {
        "to_chinese": {"en"},
        "to_english": {"zh"},
        "who": {f"did_{lang}"},
        "which": {f"what_{lang}"},
        "count": {f"unit_{lang}", f"whole_{lang}"},
        "young": {f"animal_{lang}"},
        "legs": {f"animal_{lang}"},
    }.get(kind) or {f"{_SLOTS[kind]}_{lang}"}
    return tuple(
        t
        for t in PHRASINGS[kind][lang][:-1]
        if not t.startswith("!") and {f for _, f, _, _ in Formatter().parse(t) if f} <= slots
    )


def _like_a_fact(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    """A question worded as those for the facts, about something that no table holds."""
    kind = rng.choice(_FACT_KINDS)
    template = rng.choice(_fact_templates(kind, lang))
    name = _name(rng, lang)
    thing = rng.choice(_topics(lang)) if rng.random() < 0.4 else name
    if kind in ("capital", "continent", "country", "symbol"):
        thing = name
    values = {f"{_SLOTS.get(kind, 'a')}_{lang}": thing.lower() if kind == "opposite" else thing}
    if kind == "to_chinese":
        values = {"en": rng.choice(_topics("en")) if rng.random() < 0.6 else _name(rng, "en").lower()}
    elif kind == "to_english":
        values = {"zh": rng.choice(_topics("zh")) if rng.random() < 0.6 else _name(rng, "zh")}
    elif kind == "who":
        values = {f"did_{lang}": rng.choice(_MADE[lang]).format(p=name, x=rng.choice(_topics(lang)))}
    elif kind == "which":
        values = {f"what_{lang}": rng.choice(_EXTREMES[lang]).format(p=name, x=rng.choice(_topics(lang)))}
    elif kind == "count":
        values = {f"unit_{lang}": rng.choice(_UNITS[lang]), f"whole_{lang}": name}
    elif kind in ("young", "legs"):
        values = {f"animal_{lang}": f"a {name.lower()}" if lang == "en" else name}
    question = template.format(**values)
    if lang == "en":
        question = question[0].upper() + question[1:]
    return as_typed(rng, question, lang), f"unknown/{kind}/{lang}/{question}", lang


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
    a, b, c = (rng.choice(_CODE_WORDS) if rng.random() < 0.5 else fake_name(rng).lower() for _ in range(3))
    text = template.format(a=a, b=b, c=c, n=rng.randint(0, 999), m=rng.randint(0, 99))
    return text, f"unknown/code/{text}", "en"


def _noise(rng: random.Random, lang: Lang, held: bool) -> tuple[str, str, Lang]:
    """Characters without a sense, mostly few. Long rows are costly, so one in 12 has 300 to 800 characters and one in 25 up
    to :data:`LONGEST`; one in six of those kept for the evaluation has :data:`LONGEST`."""
    roll = rng.random()
    kind = rng.randrange(10)
    if held and roll < 1 / 6:
        length, kind = LONGEST, rng.randrange(1, 10)
    elif not held and roll < 1 / 25:
        length, kind = rng.randint(800, LONGEST), rng.randrange(1, 10)
    elif not held and roll < 1 / 25 + 1 / 12:
        length, kind = rng.randint(300, 800), rng.randrange(1, 10)
    else:
        length = rng.choice((3, 6, 10, 20, 20, 40, 80, 160))
    if kind == 0:
        return rng.choice(_NOTHING), f"unknown/noise/empty/{rng.random()}", "en"  # too few to keep some of them apart
    if kind == 1:
        text = "".join(rng.choices(_LETTERS, k=length))
    elif kind == 2:
        text = _cut(lambda: "".join(rng.choices(_LETTERS, k=rng.randint(1, 8))), length)
    elif kind == 3:
        text = "".join(rng.choices(_SYMBOLS, k=length)).strip() or "#"
    elif kind == 4:
        text = rng.choice(_LETTERS + "0123456789*#=~") * length
    elif kind == 5:
        text = "".join(rng.choices(_EMOJI, k=min(length, 12) if length <= 160 else length))
    elif kind == 6:
        text = "".join(rng.choices(_BASE64, k=length)) + "=="
    elif kind == 7:
        text = _cut(lambda: fake_name(rng).lower() + rng.choice(("", "", "", ",", ".")), length)
    elif kind == 8:
        phrase = (
            fake_name(rng).lower()
            + rng.choice((" ", "! ", ", ", "-"))
            + rng.choice(("", str(rng.randint(0, 99)) + " "))
        )
        text = (phrase * (length // len(phrase) + 2))[: max(length, 2 * len(phrase))]
    else:
        text = "".join(rng.choices(_NOISE_HAN, k=length))
    text = text[:LONGEST]
    return text, f"unknown/noise/{text}", "zh" if kind == 9 else "en"


def _cut(word: Callable[[], str], length: int) -> str:
    """Words made by ``word``, with spaces, together of about ``length`` characters."""
    words = [word()]
    size = len(words[0])
    while size < length:
        words.append(word())
        size += len(words[-1]) + 1
    return " ".join(words)[: max(length, len(words[0]))]


_MAKERS: tuple[tuple[Maker, int], ...] = (
    (_question, 52),
    (_like_a_fact, 22),
    (_other_language, 11),
    (_code, 6),
    (_noise, 9),
)
