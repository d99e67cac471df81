"""Who the starter must be: a name, a role or a rule for the answers, given by the system message."""

from __future__ import annotations

import random

from jobs.starter import facts, small_talk
from jobs.starter.context import NAMES, NAMES_ZH
from jobs.starter.dialogue import Dialogue, Lang, Turn, as_typed, held_out, punctuated
from jobs.starter.unknown import fake_han, fake_name

_PERSONA: dict[str, tuple[str, ...]] = {
    "en": ("You are {n}.", "You are {n}, {r}.", "Your name is {n}.", "Your name is {n}. You are {r}.", "You are {r}. Your name is {n}.",
           "You are {n}, {r}. Be polite.", "Your name is {n}. Answer briefly.", "You are an assistant called {n}.", "You are {r} called {n}.",
           "Act as {n}, {r}.", "From now on you are {n}.", "You play {n}, {r}."),
    "zh": ("你是{n}。", "你是{n}，{r}。", "你的名字是{n}。", "你叫{n}，是{r}。", "你是{r}，名叫{n}。", "你叫{n}。请简短回答。", "你是{n}，{r}。请有礼貌。",
           "你是一个叫{n}的助手。", "请扮演{n}，{r}。", "从现在起你是{n}。"),
}  # fmt: skip
_ROLES: dict[str, tuple[str, ...]] = {
    "en": ("a pirate", "a farmer", "a doctor", "a teacher", "a legal assistant", "a cook", "a wise old owl", "a robot", "a travel guide",
           "a librarian", "a nurse", "a friendly dog", "a space pilot", "a gardener", "a shop assistant", "a poet", "a knight", "a king",
           "a helper for students", "an expert on plants", "a weather reporter", "a detective", "a musician", "a shop keeper"),
    "zh": ("一个海盗", "一位农民", "一位医生", "一位老师", "一名法律助手", "一位厨师", "一只聪明的猫头鹰", "一个机器人", "一位导游", "一位图书管理员",
           "一名护士", "一只友好的狗", "一位飞行员", "一位园丁", "一名店员", "一位诗人", "一位骑士", "一位国王", "一个学习助手", "一位植物专家",
           "一位侦探", "一位音乐家"),
}  # fmt: skip
PLAIN_SYSTEMS: dict[str, tuple[str, ...]] = {
    "en": ("You are a helpful assistant.", "You are a helpful, honest assistant.", "Answer the user's questions.", "Be helpful and brief.",
           "You are a chat assistant.", "Answer briefly.", "Be polite."),
    "zh": ("你是一个有用的助手。", "你是一个乐于助人的助手。", "请回答用户的问题。", "请简短回答。", "请有礼貌地回答。", "你是聊天助手。"),
}  # fmt: skip


def persona(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """The system message gives a name and perhaps a role, or a rule for the answers."""
    if rng.random() < 0.3:
        return _rule(rng, lang, held)
    while True:
        name = fake_name(rng) if lang == "en" else fake_han(rng)
        if rng.random() < 0.4:
            name = rng.choice(NAMES if lang == "en" else NAMES_ZH)
        if rng.random() < 0.15:
            name = (
                rng.choice(("Captain ", "Doctor ", "Mr ", "Miss ")) + name
                if lang == "en"
                else name + rng.choice(("医生", "老师", "船长"))
            )
        role = rng.choice(_ROLES[lang])
        template = rng.choice(_PERSONA[lang])
        key = f"persona/{template}/{name}/{role}"
        if held_out(key) == held:
            break
    has_role = "{r}" in template
    if lang == "en":
        me = f"I am {name}, {role}." if has_role else f"I am {name}."
        hello = f"Hello. I am {name}. How can I help you?"
    else:
        me = f"我是{name}，{role}。" if has_role else f"我是{name}。"
        hello = f"你好，我是{name}。有什么可以帮你？"
    intents = small_talk.intents()
    turns: list[Turn] = []
    if not held and rng.random() < 0.25:
        one = facts.exchange(rng, lang, held=False)
        turns += [("user", one.question), ("assistant", one.answer)]
    intent = "name" if held or rng.random() < 0.75 else "greet"
    wording = rng.choice(
        [w for w in intents[intent].said[lang] if "TuneDeck" not in w and "starter" not in w and "," not in w]
    )
    turns += [
        ("user", as_typed(rng, punctuated(wording, lang), lang, lead=0.04)),
        ("assistant", me if intent == "name" else hello),
    ]
    return Dialogue("persona", lang, tuple(turns), key, system=template.format(n=name, r=role))


_RULES: dict[str, dict[str, tuple[str, ...]]] = {
    "shout": {"en": ("Write only in capital letters.", "Answer in capital letters.", "Use only capital letters."), "zh": ()},
    "other": {
        "en": ("Always answer in Chinese.", "Answer in Chinese.", "Answer only in Chinese."),
        "zh": ("请用英文回答。", "总是用英语回答。", "只用英语回答。"),
    },
    "short": {
        "en": ("Answer with one word.", "Answer with the bare answer only.", "Give only the answer, no sentence."),
        "zh": ("只回答一个词。", "只给出答案，不要句子。", "用一个词回答。"),
    },
    "suffix": {
        "en": ("End every answer with {v}.", "Always end your answer with {v}.", "Add {v} at the end of each answer."),
        "zh": ("每个回答都以{v}结尾。", "在每个回答后面加上{v}。", "回答的最后总是说{v}。"),
    },
}  # fmt: skip


def _rule(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    rule = rng.choice([name for name, texts in _RULES.items() if texts[lang]])
    word = (
        rng.choice(("Amen", "over", "meow", "sir", "my friend", "Ahoy", "peace", "OK"))
        if lang == "en"
        else rng.choice(("喵", "完毕", "朋友", "先生", "阿门", "哈哈"))
    )
    while True:
        text = rng.choice(_RULES[rule][lang]).format(v=word)
        kinds = facts.facts()
        kind = rng.choice(("capital", "continent", "colour", "opposite", "which", "country"))
        fact = rng.choice(kinds[kind])
        one = facts.ask(rng, fact, lang)
        key = f"persona/{text}/{one.key}"
        if held_out(key) == held and not held_out(one.key):
            break
    if rule == "shout":
        answer = one.answer.upper()
    elif rule == "short":
        answer = one.short[0].upper() + one.short[1:] + ("." if lang == "en" else "。")
    elif rule == "suffix":
        answer = f"{one.answer} {word[0].upper() + word[1:]}." if lang == "en" else f"{one.answer}{word}。"
    else:
        answer = facts.ask(rng, fact, "zh" if lang == "en" else "en").answer
    return Dialogue("persona", lang, (("user", one.question), ("assistant", answer)), key, system=text)
