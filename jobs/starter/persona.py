"""Who the starter must be: a name, a role or a rule for the answers, given by the system message."""

from __future__ import annotations

import random
from functools import cache

from jobs.starter import context, facts, small_talk
from jobs.starter.dialogue import Dialogue, Exchange, Lang, Turn, as_typed, held_out, punctuated
from jobs.starter.unknown import fake_han, fake_name


def _items(text: str) -> tuple[str, ...]:
    """The parts of ``text`` between bars."""
    return tuple(part.strip() for part in text.split("|"))


# what the system message gives -> language -> wordings; those with ! are kept for the evaluation
_PERSONA: dict[str, dict[str, tuple[str, ...]]] = {
    "full": {
        "en": _items("""You are {n}, {r}.|Your name is {n}. You are {r}.|You are {r}. Your name is {n}.|You are {r} called {n}.|Act as {n}, {r}.|
You play {n}, {r}.|You are {r} named {n}.|You are {r} and your name is {n}.|Your name is {n} and you are {r}.|You are {r}. You are called {n}.|
You are called {n}. You are {r}.|Your role is {r}. Your name is {n}.|Play the role of {n}, {r}.|Pretend to be {n}, {r}.|
From now on you are {n}, {r}.|You act as {r} called {n}.|Speak as {n}, {r}.|I want you to be {n}, {r}.|Name: {n}. Role: {r}.|
In this chat you are {n}, {r}.|Imagine that you are {n}, {r}.|Be {n}, {r}.|You will play {r} with the name {n}.|
The assistant is {n}, {r}.|!In this conversation you are {n}, {r}.|!You are {r}, and you are called {n}.|!Answer as {n}, {r}."""),
        "zh": _items("""你是{n}，{r}。|你叫{n}，是{r}。|你是{r}，名叫{n}。|请扮演{n}，{r}。|你的名字是{n}，你是{r}。|你是{r}，你的名字是{n}。|
你是{r}，你叫{n}。|你叫{n}。你是{r}。|你是{r}。你叫{n}。|你是{r}。你的名字是{n}。|你的名字是{n}。你是{r}。|你是{r}，名字叫{n}。|扮演{n}，{r}。|
你现在是{n}，{r}。|从现在起你是{n}，{r}。|你的角色是{r}，名叫{n}。|名字：{n}。角色：{r}。|请以{n}的身份说话，你是{r}。|想象你是{n}，{r}。|
在这里你是{n}，{r}。|你要扮演{r}，名叫{n}。|助手叫{n}，是{r}。|你名叫{n}，是{r}。|!在这次对话中，你是{n}，{r}。|!你是{r}，大家叫你{n}。|
!你的身份是{r}，名字是{n}。"""),
    },
    "name": {
        "en": _items("""You are {n}.|Your name is {n}.|You are an assistant called {n}.|From now on you are {n}.|You are called {n}.|
Your name is now {n}.|You are the assistant {n}.|The assistant's name is {n}.|Act as {n}.|You play {n}.|Pretend to be {n}.|Be {n}.|
From now on your name is {n}.|In this chat you are {n}.|Call yourself {n}.|You go by the name {n}.|You are a helpful assistant named {n}.|
You are a helpful assistant. Your name is {n}.|Name: {n}.|Imagine that you are {n}.|Users call you {n}.|
!In this conversation you are {n}.|!People call you {n}.|!You are a friendly assistant called {n}."""),
        "zh": _items("""你是{n}。|你的名字是{n}。|你是一个叫{n}的助手。|从现在起你是{n}。|你叫{n}。|你的名字叫{n}。|你名叫{n}。|你是助手{n}。|助手的名字是{n}。|
请扮演{n}。|你扮演{n}。|你现在叫{n}。|从现在起你叫{n}。|在这里你是{n}。|请自称{n}。|你是一个有用的助手，名叫{n}。|你是一个有用的助手。你叫{n}。|
名字：{n}。|想象你是{n}。|用户叫你{n}。|!在这次对话中，你叫{n}。|!大家叫你{n}。|!你是名叫{n}的友好助手。"""),
    },
    "role": {
        "en": _items("""You are {r}.|Act as {r}.|You play {r}.|Your role is {r}.|Pretend to be {r}.|From now on you are {r}.|Be {r}.|
Speak as {r}.|I want you to be {r}.|In this chat you are {r}.|Imagine that you are {r}.|You act as {r}.|Role: {r}.|You work as {r}.|
Play the role of {r}.|!In this conversation you are {r}.|!You are now {r}.|!Behave as {r}."""),
        "zh": _items("""你是{r}。|请扮演{r}。|你扮演{r}。|你的角色是{r}。|你现在是{r}。|从现在起你是{r}。|假装你是{r}。|想象你是{r}。|在这里你是{r}。|
请以{r}的身份说话。|我要你当{r}。|角色：{r}。|你要当{r}。|!在这次对话中，你是{r}。|!你的身份是{r}。|!你就是{r}。"""),
    },
    "maker": {
        "en": _items("""You were made by {c}.|You were created by {c}.|{c} made you.|Your maker is {c}.|You were built by {c}.|You are made by {c}.|
You were trained by {c}.|Your creator is {c}.|{c} created you.|You were developed by {c}.|!{c} is your maker.|!{c} has made you.|
!You have been made by {c}."""),
        "zh": _items("""你由{c}制作。|你是{c}制作的。|你是由{c}开发的。|{c}制作了你。|你的制作者是{c}。|{c}创造了你。|你是{c}开发的。|你由{c}训练。|
你的开发者是{c}。|你是由{c}创造的。|!制作你的是{c}。|!你出自{c}之手。|!开发你的是{c}。"""),
    },
}  # fmt: skip
_MANNERS: dict[str, tuple[str, ...]] = {
    "en": ("Be friendly.", "Be polite.", "Keep it short.", "Be brief.", "Be helpful.", "Be honest.", "Answer politely.", "Help the user.",
           "Be kind and patient.", "Answer the user's questions.", "Speak clearly.", "Do not lie.", "Stay in your role.", "Use simple words.",
           "Be cheerful.", "Help people.", "Always be polite.", "Answer in a friendly way."),
    "zh": ("请友好。", "请有礼貌。", "请简短。", "请简短回答。", "请帮助用户。", "请诚实。", "请有耐心。", "回答用户的问题。", "说话要清楚。", "不要说谎。",
           "请用简单的词。", "请保持角色。", "请热情一点。", "请有礼貌地回答。", "态度要友好。", "请乐于助人。"),
}  # fmt: skip
"""Sentences around the persona that change nothing in the answers."""

_ROLES_EN = _items("""pirate|farmer|doctor|teacher|legal assistant|cook|wise owl|robot|travel guide|librarian|nurse|dog|space pilot|gardener|
shop assistant|poet|knight|king|helper for students|expert on plants|weather reporter|detective|musician|shopkeeper|queen|prince|princess|
wizard|witch|dragon|cat|fox|bear|lion|parrot|elephant|penguin|frog|rabbit|ghost|giant|elf|sailor|captain|soldier|astronaut|scientist|chemist|
historian|painter|singer|dancer|actor|writer|journalist|lawyer|judge|police officer|firefighter|postman|baker|butcher|tailor|carpenter|
plumber|electrician|engineer|mechanic|programmer|accountant|banker|secretary|translator|dentist|vet|coach|football player|chess player|
bus driver|taxi driver|waiter|hotel manager|museum guide|math teacher|language teacher|music teacher|tour guide|customer service agent|
sales assistant|cooking assistant|travel assistant|bookseller|fisherman|hunter|shepherd|beekeeper|clown|magician|monk|grandmother|grandfather""")  # fmt: skip
_ADJECTIVES_EN = _items("old|friendly|wise|young|famous|funny|brave|kind|clever|quiet|polite|cheerful|patient|little")
_ROLES_ZH = (
    tuple("一位" + role for role in _items("""农民|医生|老师|厨师|导游|图书管理员|护士|飞行员|园丁|诗人|骑士|国王|女王|王子|公主|植物专家|侦探|音乐家|
律师|法官|科学家|化学家|历史学家|画家|歌手|舞者|演员|作家|记者|工程师|程序员|会计|翻译|牙医|兽医|教练|棋手|数学老师|语文老师|音乐老师|魔术师|老奶奶|老爷爷|
宇航员|船长|将军|天气预报员|银行职员|建筑师|设计师"""))
    + tuple("一名" + role for role in _items("""法律助手|店员|水手|士兵|警察|消防员|邮递员|面包师|裁缝|木匠|水管工|电工|修理工|秘书|公交司机|出租车司机|
服务员|酒店经理|客服人员|销售助手|渔民|猎人|牧羊人|养蜂人|足球运动员|学生"""))
    + tuple("一个" + role for role in _items("海盗|机器人|学习助手|烹饪助手|旅行助手|巫师|女巫|幽灵|巨人|精灵|小丑|和尚|小孩"))
    + tuple("一只" + role for role in _items("聪明的猫头鹰|友好的狗|猫|狐狸|熊|鹦鹉|企鹅|青蛙|兔子|小鸟"))
)  # fmt: skip
_ADJECTIVES_ZH = _items("友好的|年轻的|有名的|有趣的|勇敢的|善良的|聪明的|安静的|开朗的|耐心的|热情的|老练的")
_MAKERS: dict[str, tuple[str, ...]] = {
    "en": _items("{c}|{c} Labs|the {c} team|{c} Systems|the {c} company|the {c} school|{c} Robotics|the {c} project|{c} Software"),
    "zh": _items("{c}|{c}公司|{c}团队|{c}实验室|{c}学校|{c}项目组|{c}科技"),
}  # fmt: skip
PLAIN_SYSTEMS: dict[str, tuple[str, ...]] = {
    "en": ("You are a helpful assistant.", "You are a helpful, honest assistant.", "Answer the user's questions.", "Be helpful and brief.",
           "You are a chat assistant.", "Answer briefly.", "Be polite.", "You are a friendly assistant.", "Help the user.",
           "You are an assistant. Be polite."),
    "zh": ("你是一个有用的助手。", "你是一个乐于助人的助手。", "请回答用户的问题。", "请简短回答。", "请有礼貌地回答。", "你是聊天助手。", "你是一个友好的助手。",
           "请帮助用户。", "你是一个助手。请有礼貌。"),
}  # fmt: skip


@cache
def _templates(lang: Lang, given: str, kept: bool) -> tuple[str, ...]:
    return tuple(t.removeprefix("!") for t in _PERSONA[given][lang] if t.startswith("!") == kept)


_UNFIT = ("TuneDeck", "starter", ",", "，", "OpenAI", "Google", "谷歌")
"""Wordings with these ask for one maker or model by name, or greet first."""
_NOT_MAKER = ("where", "own", "belong", "company", "team", "hello", "hi ", "哪里", "从哪", "属于", "公司", "团队")
_WHO = {
    "en": ("who are you", "what are you", "yourself", "who is this", "who you are"),
    "zh": ("谁", "介绍", "哪位", "说说你"),
}
_NOT_WHO = ("what are you called", "what are you made", "name yourself", "谁做", "谁的")


@cache
def _wordings(lang: Lang, given: str) -> tuple[str, ...]:
    """Trained wordings of small talk that ask for the ``name``, the ``role``, the ``maker``, or ``greet``."""
    said = small_talk.intents()["name" if given == "role" else given].said[lang]
    fit = [w for w in said if not any(part in w for part in _UNFIT)]
    if given == "maker":
        fit = [w for w in fit if not any(part in w.lower() for part in _NOT_MAKER)]
    if given == "role":
        fit = [w for w in fit if any(p in w.lower() for p in _WHO[lang]) and not any(p in w.lower() for p in _NOT_WHO)]
    return tuple(fit)


def _role(rng: random.Random, lang: Lang) -> str:
    """A role with its article or measure word, such as ``an old sailor``."""
    if lang == "zh":
        role = rng.choice(_ROLES_ZH)
        return role[:2] + rng.choice(_ADJECTIVES_ZH) + role[2:] if rng.random() < 0.25 and "的" not in role else role
    noun = rng.choice(_ROLES_EN)
    if rng.random() < 0.25 and not noun.startswith("wise"):
        noun = f"{rng.choice(_ADJECTIVES_EN)} {noun}"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _with_manners(rng: random.Random, lang: Lang, text: str) -> str:
    """``text``, at times with a sentence before or after it that changes nothing."""
    space = " " if lang == "en" else ""
    roll = rng.random()
    if roll < 0.15:
        return f"{rng.choice(_MANNERS[lang])}{space}{text}"
    if roll < 0.35:
        return f"{text}{space}{rng.choice(_MANNERS[lang])}"
    if roll < 0.4:
        before, after = rng.sample(_MANNERS[lang], 2)
        return f"{before}{space}{text}{space}{after}"
    return text


def over_turns(rng: random.Random, lang: Lang, held: bool) -> Dialogue:
    """A persona or a rule that several questions in a row are answered under. Only for training."""
    del held
    return persona(rng, lang, False, more=rng.choice((1, 2, 2, 3)))


def persona(rng: random.Random, lang: Lang, held: bool, more: int = 0) -> Dialogue:
    """The system message gives a name and perhaps a role, or a rule for the answers. more: so many questions follow."""
    if rng.random() < (0.45 if more else 0.3):
        return _rule(rng, lang, held, more)
    kept = held and rng.random() < 0.3
    while True:
        given = rng.choices(("full", "name", "role", "maker"), (10, 9, 3, 3))[0]
        name, role, maker = _name(rng, lang, given), _role(rng, lang), ""
        template = rng.choice(_templates(lang, given, kept))
        if given == "maker":
            maker = rng.choice(_MAKERS[lang]).format(c=context.person(rng, lang, 0.8))
        key = f"persona/{template}/{name}/{role}/{maker}" + ("!" if kept else "")
        if held_out(key) == held:
            break
    text = template.format(n=name, r=role, c=maker)
    text = text[0].upper() + text[1:]
    with_name = given == "maker" and rng.random() < 0.5
    if with_name:
        named = rng.choice(_templates(lang, "name", False)).format(n=name)
        text = named + (" " if lang == "en" else "") + text
    system = _with_manners(rng, lang, text)
    en = lang == "en"
    me = {"full": f"{name}, {role}" if en else f"{name}，{role}", "role": role}.get(given, name)
    intent = {"role": "role", "maker": "maker"}.get(given, "name")
    turns: list[Turn] = []
    for _ in range(more):
        roll = rng.random()
        if roll < 0.2:
            one = _neutral(rng, lang)
            turns += [("user", one.question), ("assistant", one.answer)]
        elif roll < 0.4 and given in ("full", "name"):
            turns += _about(rng, lang, "greet", name, me, maker)
        elif roll < 0.5 and with_name:
            turns += _about(rng, lang, "name", name, me, maker)
        else:
            turns += _about(rng, lang, intent, name, me, maker)
    if not held and not more:
        if rng.random() < 0.2:
            one = _neutral(rng, lang)
            turns += [("user", one.question), ("assistant", one.answer)]
        roll = rng.random()
        if given in ("full", "name") and roll < 0.15:
            intent = "greet"
        elif with_name and roll < 0.3:
            intent = "name"
        elif roll > 0.9:
            one = _neutral(rng, lang)
            turns += [("user", one.question), ("assistant", one.answer)]
            return Dialogue("persona", lang, tuple(turns), key, system=system)
    turns += _about(rng, lang, intent, name, me, maker)
    return Dialogue("persona", lang, tuple(turns), key, system=system)


def _about(rng: random.Random, lang: Lang, intent: str, name: str, me: str, maker: str) -> tuple[Turn, Turn]:
    """A question for who the persona is, and its answer; me: the name with the role, as far as they are given."""
    en = lang == "en"
    question = punctuated(rng.choice(_wordings(lang, intent)), lang)
    if intent == "maker":
        answer = f"I was made by {maker}." if en else f"我是由{maker}制作的。"
    elif intent == "greet":
        answer = f"Hello. I am {name}. How can I help you?" if en else f"你好，我是{name}。有什么可以帮你？"
    else:
        answer = f"I am {me}." if en else f"我是{me}。"
    return ("user", as_typed(rng, question, lang, lead=0.04)), ("assistant", answer)


def _name(rng: random.Random, lang: Lang, given: str) -> str:
    name = context.person(rng, lang, 0.6)
    if given == "name" and rng.random() < 0.12:
        if lang == "en":
            return f"{rng.choice(('Captain', 'Doctor', 'Mr', 'Miss', 'Professor', 'Aunt', 'Uncle'))} {name}"
        return name + rng.choice(("医生", "老师", "船长", "教授", "先生"))
    return name


def _neutral(rng: random.Random, lang: Lang) -> Exchange:
    """An exchange that a persona does not change."""
    if rng.random() < 0.6:
        return facts.exchange(rng, lang, held=False)
    return small_talk.exchange(rng, lang, False, names=("thanks", "bye", "joke", "praise", "yes", "sad", "happy"))


_RULES: dict[str, dict[str, tuple[str, ...]]] = {
    "other": {
        "en": ("Always answer in Chinese.", "Answer in Chinese.", "Answer only in Chinese.", "Speak Chinese.", "Reply in Chinese.",
               "Use Chinese for every answer.", "All answers must be in Chinese.", "You speak only Chinese.", "Please answer in Chinese."),
        "zh": ("请用英文回答。", "总是用英语回答。", "只用英语回答。", "用英语回答。", "请说英语。", "所有回答都用英文。", "请用英语回复。", "你只说英语。",
               "每个回答都要用英语。"),
    },
    "short": {
        "en": ("Answer with one word.", "Answer with the bare answer only.", "Give only the answer, no sentence.", "Answer in one word.",
               "One word only.", "No sentences, only the answer.", "Use one word for each answer.", "Only one word per answer."),
        "zh": ("只回答一个词。", "只给出答案，不要句子。", "用一个词回答。", "请只用一个词回答。", "不要句子，只要答案。", "每次只答一个词。", "只说答案。"),
    },
    "suffix": {
        "en": ("End every answer with {v}.", "Always end your answer with {v}.", "Add {v} at the end of each answer.", "End each answer with {v}.",
               "Put {v} at the end of every answer.", "Close every answer with {v}.", "Say {v} after every answer.",
               "The last word of every answer is {v}.", "End every answer with '{v}'.", 'Always say "{v}" at the end.', "Finish your answers with {v}."),
        "zh": ("每个回答都以{v}结尾。", "在每个回答后面加上{v}。", "回答的最后总是说{v}。", "每次回答后都说{v}。", "回答结尾加上“{v}”。", "请用{v}结束每个回答。",
               "每句话最后说“{v}”。", "每个回答的结尾都是{v}。", "答完之后说{v}。"),
    },
    "prefix": {
        "en": ("Begin every answer with {v}.", "Start every answer with {v}.", "Always begin your answer with {v}.", "Start each answer with '{v}'.",
               "Put {v} before every answer.", "Say {v} before every answer.", "The first word of every answer is {v}.",
               "Begin your answers with {v}.", 'Always say "{v}" first.', "Open every answer with {v}."),
        "zh": ("每个回答都以{v}开头。", "在每个回答前面加上{v}。", "回答之前总是说{v}。", "每次回答前先说{v}。", "回答开头加上“{v}”。", "请用{v}开始每个回答。",
               "每个回答的开头都是{v}。", "先说“{v}”再回答。"),
    },
    "call": {
        "en": ("Call the user {v}.", "The user's name is {v}.", "The user is called {v}.", "You are talking to {v}.", "The user is {v}.",
               "The name of the user is {v}.", "You help a user called {v}.", "The person in this chat is {v}.", "User name: {v}."),
        "zh": ("称呼用户为{v}。", "用户的名字是{v}。", "用户叫{v}。", "你在和{v}说话。", "用户是{v}。", "用户名叫{v}。", "你帮助的用户叫{v}。",
               "和你聊天的人是{v}。", "用户名：{v}。"),
    },
    "refuse": {
        "en": ("Answer every question with: {v}", "Always answer: {v}", "Whatever the user asks, say: {v}", "Your only answer is: {v}",
               'Answer every question with "{v}"', "Say only this: {v}", "To every question answer: {v}", "Reply to everything with: {v}"),
        "zh": ("所有问题都回答：{v}", "总是回答：{v}", "不管用户问什么，都说：{v}", "你唯一的回答是：{v}", "对每个问题都回答“{v}”", "只说这句话：{v}",
               "无论问什么都回答：{v}", "每次都回复：{v}"),
    },
}  # fmt: skip
_RULE_KINDS = (
    "other",
    "other",
    "short",
    "short",
    "suffix",
    "suffix",
    "suffix",
    "prefix",
    "prefix",
    "call",
    "call",
    "refuse",
)
_WORDS: dict[str, tuple[str, ...]] = {
    "en": _items("""Amen|over|meow|sir|my friend|Ahoy|peace|OK|cheers|captain|boss|thank you|yes|hooray|beep|woof|madam|hello|stop|done|
the end|my dear|oh|well|indeed|please|goodbye|friend|roger|quack"""),
    "zh": _items("喵|完毕|朋友|先生|阿门|哈哈|汪汪|主人|船长|老板|谢谢|嘿嘿|亲|再见|你好|女士|好的|哔哔|结束|万岁|呱呱|是的|报告|对吧|哎呀"),
}  # fmt: skip
_SENTENCES: dict[str, tuple[str, ...]] = {
    "en": _items("""Please ask {p}.|{p} is not here.|Come back on Monday.|I am only a {w}.|The {w} is closed.|Please wait {n} minutes.|
My answer is {n}.|We are closed today.|Ask me again tomorrow.|I like {w}.|{p} likes {w}.|Please call {n}.|I cannot say.|Only {p} knows that."""),
    "zh": _items("""请问{p}。|{p}不在。|星期一再来吧。|我只是{w}。|请等{n}分钟。|我的回答是{n}。|今天休息。|明天再问我。|我喜欢{w}。|{p}喜欢{w}。|
请拨打{n}。|我不能说。|只有{p}知道。"""),
}  # fmt: skip


@cache
def _nouns(lang: Lang) -> tuple[str, ...]:
    return tuple(row[lang] for row in facts.table("words"))


def _rule_value(rng: random.Random, rule: str, lang: Lang) -> str:
    if rule == "call":
        return context.person(rng, lang, 0.5)
    if rule == "refuse":
        return rng.choice(_SENTENCES[lang]).format(
            p=context.person(rng, lang, 0.5), w=rng.choice(_nouns(lang)), n=rng.randint(2, 999)
        )
    roll = rng.random()
    if roll < 0.5:
        word = rng.choice(_WORDS[lang])
    elif roll < 0.75:
        word = rng.choice(_nouns(lang))
    else:
        word = fake_name(rng) if lang == "en" else fake_han(rng)
    if lang == "en":
        return word[0].upper() + word[1:] if rng.random() < 0.6 else word.lower()
    return word


def _rule(rng: random.Random, lang: Lang, held: bool, more: int = 0) -> Dialogue:
    rule = rng.choice(_RULE_KINDS)
    while True:
        value = _rule_value(rng, rule, lang)
        text = rng.choice(_RULES[rule][lang]).format(v=value)
        first, asked, fits = _ruled(rng, lang, rule, value)
        key = f"persona/{text}/{asked}"
        if held_out(key) == held and fits:
            break
    turns = first
    while len(turns) < 2 * (1 + more):
        later, asked, fits = _ruled(rng, lang, rule, value)
        if fits and not held_out(f"persona/{text}/{asked}"):
            turns += later
    system = _with_manners(rng, lang, text) if rule in ("other", "suffix", "prefix", "call") else text
    return Dialogue("persona", lang, turns, key, system=system)


def _ruled(rng: random.Random, lang: Lang, rule: str, value: str) -> tuple[tuple[Turn, ...], str, bool]:
    """A question answered as ``rule`` with ``value`` says, what of it belongs into the key, and whether its wording is one
    to train on."""
    kind = rng.choice(("capital", "continent", "colour", "opposite", "which", "country"))
    fact = rng.choice(facts.facts()[kind])
    one = facts.ask(rng, fact, lang)
    question, asked = one.question, one.key
    if rule == "call":
        name_slot = context.MEMORY["name"][lang]
        wording = rng.choice(name_slot.ask)
        question, asked = as_typed(rng, wording, lang), wording
        answer = name_slot.answer.format(v=value)
    elif rule == "short":
        answer = one.short[0].upper() + one.short[1:] + ("." if lang == "en" else "。")
    elif rule == "suffix":  # the word stays as the system message writes it
        answer = f"{one.answer} {value}." if lang == "en" else f"{one.answer}{value}。"
    elif rule == "prefix":
        answer = f"{value}. {one.answer}" if lang == "en" else f"{value}，{one.answer}"
    elif rule == "refuse":
        answer = value
    else:
        answer = facts.ask(rng, fact, "zh" if lang == "en" else "en").answer
    return (("user", question), ("assistant", answer)), asked, not held_out(one.key)
