"""What the starter reads from the conversation: what it was told, and what it must repeat."""

from __future__ import annotations

import random

from jobs.starter import facts, small_talk
from jobs.starter.dialogue import Dialogue, Exchange, Lang, Turn, as_typed, held_out
from jobs.starter.unknown import fake_han, fake_name

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Maria", "Nina", "Oscar", "Paul",
    "Rosa", "Sam", "Tom", "Uma", "Vera", "Will", "Zoe", "Alice", "Bob", "Carol", "Daniel", "Eva", "Frank", "George", "Helen", "Ivan",
    "John", "Julia", "Karl", "Linda", "Mark", "Mary", "Nora", "Peter", "Robert", "Sarah", "Susan", "Thomas", "Lucy", "Mike", "Laura",
    "Li Wei", "Wang Fang", "Zhang Min", "Chen", "Yuki", "Ahmed", "Fatima", "Priya", "Carlos", "Sofia", "Pierre", "Hans", "Olga",
)  # fmt: skip
NAMES_ZH = (
    "小明", "小红", "小李", "小王", "小张", "李雷", "韩梅梅", "王芳", "张伟", "刘洋", "陈静", "杨帆", "赵敏", "黄磊", "周杰", "吴婷", "徐强",
    "孙丽", "马超", "朱琳", "胡军", "郭靖", "林涛", "何欣", "高飞", "罗丹", "梁宇", "宋佳", "安娜", "汤姆", "杰克", "玛丽", "露西", "大卫",
    "老王", "阿强", "小雨", "晓东", "志明", "春花",
)  # fmt: skip
_THINGS = {
    "en": ("tea", "coffee", "cats", "dogs", "music", "football", "chess", "rice", "noodles", "rain", "summer", "winter", "books",
           "trains", "flowers", "the sea", "mountains", "cheese", "apples", "bananas", "swimming", "green", "blue", "red", "yellow"),
    "zh": ("茶", "咖啡", "猫", "狗", "音乐", "足球", "象棋", "米饭", "面条", "下雨", "夏天", "冬天", "书", "火车", "花", "大海", "山",
           "苹果", "香蕉", "游泳", "绿色", "蓝色", "红色", "黄色"),
}  # fmt: skip
_JOBS = {
    "en": (
        "teacher",
        "farmer",
        "doctor",
        "nurse",
        "lawyer",
        "student",
        "driver",
        "cook",
        "painter",
        "pilot",
        "baker",
        "writer",
    ),
    "zh": ("老师", "农民", "医生", "护士", "律师", "学生", "司机", "厨师", "画家", "飞行员", "面包师", "作家"),
}

# slot -> language -> (ways to tell it, the acknowledgement, ways to ask for it, the answer)
MEMORY: dict[str, dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str]]] = {
    "name": {
        "en": (
            ("My name is {v}.", "I am {v}.", "I'm {v}.", "Call me {v}.", "Please call me {v}.", "Hello, my name is {v}.", "Hi, I'm {v}.",
             "You can call me {v}.", "This is {v}.", "Hello, I am {v}.", "People call me {v}.", "Remember my name: {v}."),
            "Nice to meet you, {v}.",
            ("What is my name?", "What's my name?", "Do you know my name?", "Do you remember my name?", "Who am I?", "Tell me my name.",
             "Can you tell me my name?", "What am I called?", "Say my name.", "What did I say my name was?", "Remember my name?"),
            "Your name is {v}.",
        ),
        "zh": (
            ("我叫{v}。", "我的名字是{v}。", "我是{v}。", "叫我{v}。", "你可以叫我{v}。", "你好，我叫{v}。", "你好，我是{v}。", "请叫我{v}。",
             "大家叫我{v}。", "记住我的名字：{v}。", "我名叫{v}。"),
            "很高兴认识你，{v}。",
            ("我叫什么？", "我叫什么名字？", "我的名字是什么？", "你知道我叫什么吗？", "你记得我的名字吗？", "我是谁？", "告诉我我的名字。",
             "你还记得我叫什么吗？", "说出我的名字。", "我刚才说我叫什么？"),
            "你叫{v}。",
        ),
    },
    "place": {
        "en": (
            ("I live in {v}.", "I am from {v}.", "I come from {v}.", "My home is in {v}.", "I'm from {v}."),
            "Thank you, I will remember that.",
            ("Where do I live?", "Where am I from?", "Do you know where I live?", "Do you remember where I live?", "Which place am I from?"),
            "You are from {v}.",
        ),
        "zh": (
            ("我住在{v}。", "我来自{v}。", "我是{v}人。", "我家在{v}。"),
            "好的，我会记住。",
            ("我住在哪里？", "我来自哪里？", "你知道我住在哪里吗？", "你记得我来自哪里吗？"),
            "你来自{v}。",
        ),
    },
    "like": {
        "en": (
            ("I like {v}.", "I love {v}.", "I really like {v}.", "My favorite thing is {v}.", "What I like most is {v}."),
            "Thank you, I will remember that.",
            ("What do I like?", "Do you know what I like?", "Do you remember what I like?", "Tell me what I like.", "What is my favorite thing?"),
            "You like {v}.",
        ),
        "zh": (
            ("我喜欢{v}。", "我最喜欢{v}。", "我很喜欢{v}。", "我爱{v}。"),
            "好的，我会记住。",
            ("我喜欢什么？", "你知道我喜欢什么吗？", "你记得我喜欢什么吗？", "告诉我我喜欢什么。"),
            "你喜欢{v}。",
        ),
    },
    "number": {
        "en": (
            ("My lucky number is {v}.", "Remember the number {v}.", "My favorite number is {v}.", "The number is {v}."),
            "Thank you, I will remember that.",
            ("What is my number?", "Which number did I tell you?", "What was the number?", "Do you remember the number?"),
            "The number is {v}.",
        ),
        "zh": (
            ("我的幸运数字是{v}。", "记住数字{v}。", "我最喜欢的数字是{v}。", "数字是{v}。"),
            "好的，我会记住。",
            ("我的数字是什么？", "我告诉你的数字是多少？", "你记得那个数字吗？", "数字是多少？"),
            "数字是{v}。",
        ),
    },
}  # fmt: skip
NOT_TOLD: dict[str, str] = {"en": "You have not told me that yet.", "zh": "你还没有告诉我。"}


def _value(rng: random.Random, slot: str, lang: Lang) -> str:
    if slot == "number":
        return str(rng.randint(0, 999))
    if slot == "like":
        return rng.choice(_THINGS[lang])
    if slot == "place":
        if rng.random() < 0.3:
            return fake_name(rng) if lang == "en" else fake_han(rng)
        row = rng.choice(facts.table("countries"))
        return row[f"{rng.choice(('country', 'capital'))}_{lang}"]
    if rng.random() < 0.35:
        return fake_name(rng) if lang == "en" else fake_han(rng)
    return rng.choice(NAMES if lang == "en" or rng.random() < 0.15 else NAMES_ZH)


def filler(rng: random.Random, lang: Lang) -> Exchange:
    """A trained exchange to stand between two others."""
    if rng.random() < 0.6:
        return facts.exchange(rng, lang, held=False)
    names = ("how", "thanks", "can", "joke", "maker", "nature", "yes", "happy", "praise")
    return small_talk.exchange(rng, lang, False, names=names)


def memory(rng: random.Random, lang: Lang, held: bool, turns_between: int | None = None) -> Dialogue:
    """Something is told, up to three exchanges pass, and it is asked for; sometimes it was never told."""
    while True:
        slot = rng.choices(tuple(MEMORY), (6, 2, 2, 2))[0]
        value = _value(rng, slot, lang)
        told, known, asked, answer = MEMORY[slot][lang]
        tell, ask = rng.choice(told), rng.choice(asked)
        key = f"memory/{slot}/{tell}/{ask}/{value}"
        if held_out(key) == held:
            break
    turns: list[Turn] = []
    was_told = held or rng.random() < 0.88
    if was_told:
        turns += [
            (
                "user",
                as_typed(rng, tell.format(v=value), lang, lead=0) if value.isascii() is False else tell.format(v=value),
            )
        ]
        turns += [("assistant", known.format(v=value))]
    between = rng.choice((0, 0, 1, 1, 2, 3)) if turns_between is None else turns_between
    for _ in range(between):
        one = filler(rng, lang)
        turns += [("user", one.question), ("assistant", one.answer)]
    turns += [("user", as_typed(rng, ask, lang)), ("assistant", answer.format(v=value) if was_told else NOT_TOLD[lang])]
    return Dialogue("remembers", lang, tuple(turns), key)


def introduction(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Only the telling: a name, and the polite answer."""
    while True:
        slot = rng.choice(("name", "name", "like", "place"))
        value = _value(rng, slot, lang)
        told, known, _, _ = MEMORY[slot][lang]
        tell = rng.choice(told)
        key = f"told/{slot}/{tell}/{value}"
        if held_out(key) == held:
            return Exchange("small talk", lang, tell.format(v=value), known.format(v=value), key)


_ECHO = {
    "en": ("Say {v}", "Say '{v}'", "Repeat: {v}", "Repeat after me: {v}", "Please say {v}", "Please repeat: {v}", "Echo {v}", "Can you say {v}",
           "Write {v}", "Copy this: {v}", "Say the following: {v}"),
    "zh": ("说{v}", "请说{v}", "跟我说：{v}", "重复：{v}", "请重复：{v}", "跟我念：{v}", "说一遍{v}", "照着写：{v}", "复制：{v}"),
}  # fmt: skip


def echo(rng: random.Random, lang: Lang, held: bool) -> Exchange:
    """Words, names and numbers to be repeated: the practice for copying operands into tool calls."""
    words = facts.table("words")
    while True:
        parts: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 3, 4))):
            roll = rng.random()
            if roll < 0.4:
                parts.append(rng.choice(words)[lang])
            elif roll < 0.65:
                parts.append(fake_name(rng) if lang == "en" else fake_han(rng))
            else:
                parts.append(str(rng.randint(0, 10 ** rng.randint(1, 5))))
        value = " ".join(parts)
        template = rng.choice(_ECHO[lang])
        key = f"echo/{template}/{value}"
        if held_out(key) == held:
            text = template.format(v=value)
            return Exchange("repeats", lang, text + rng.choice(("", "", ".", "。" if lang == "zh" else "")), value, key)
