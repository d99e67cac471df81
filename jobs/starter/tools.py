"""Calling functions: as JSON for OpenAI's ``tools=``, and in ReAct form for agents that speak plain text.

Names of functions and of their parameters vary, so that the model has to read the offer instead of knowing it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from jobs.starter import facts, small_talk
from jobs.starter.dialogue import Dialogue, Exchange, Lang, Turn, held_out
from jobs.starter.unknown import fake_han, fake_name

NUMBER, TEXT = "number", "string"


@dataclass(frozen=True)
class Tool:
    """A kind of function: names it may bear, names of its parameters, how people ask for it, how its result is told."""

    kind: str
    names: tuple[str, ...]
    about: str
    parameters: tuple[tuple[str, ...], ...]
    types: tuple[str, ...]
    asked: dict[str, tuple[str, ...]]
    told: dict[str, str]


def _arithmetic(kind: str, names: tuple[str, ...], about: str, en: tuple[str, ...], zh: tuple[str, ...]) -> Tool:
    return Tool(
        kind,
        names,
        about,
        (("a", "x", "first", "left", "n1"), ("b", "y", "second", "right", "n2")),
        (NUMBER, NUMBER),
        {"en": en, "zh": zh},
        {"en": "The result is {r}.", "zh": "结果是 {r}。"},
    )


KINDS = (
    _arithmetic(
        "add", ("add", "add_numbers", "sum", "plus", "addition"), "Add two numbers",
        ("What is {0} + {1}?", "What is {0} plus {1}?", "Add {0} and {1}.", "How much is {0} plus {1}?", "{0} + {1} = ?", "Calculate {0} + {1}.",
         "What is the sum of {0} and {1}?", "Please add {0} to {1}.", "I have {0} and get {1} more. How many is that?"),
        ("{0}加{1}等于多少？", "{0}+{1}=?", "计算{0}加{1}。", "{0}与{1}的和是多少？", "请把{0}和{1}加起来。", "我有{0}个，又得到{1}个，一共多少？"),
    ),
    _arithmetic(
        "subtract", ("subtract", "minus", "difference", "sub"), "Subtract two numbers",
        ("What is {0} - {1}?", "What is {0} minus {1}?", "How much is {0} minus {1}?", "{0} - {1} = ?", "Calculate {0} - {1}.",
         "I have {0} and give away {1}. How many are left?"),
        ("{0}减{1}等于多少？", "{0}-{1}=?", "计算{0}减{1}。", "我有{0}个，给了别人{1}个，还剩多少？"),
    ),
    _arithmetic(
        "multiply", ("multiply", "times", "product", "mul", "multiply_numbers"), "Multiply two numbers",
        ("What is {0} * {1}?", "What is {0} times {1}?", "Multiply {0} by {1}.", "How much is {0} times {1}?", "{0} * {1} = ?", "{0} x {1}",
         "Calculate {0} * {1}.", "What is the product of {0} and {1}?", "There are {0} boxes with {1} eggs each. How many eggs?"),
        ("{0}乘以{1}等于多少？", "{0}*{1}=?", "计算{0}乘{1}。", "{0}与{1}的积是多少？", "有{0}个盒子，每个有{1}个鸡蛋，一共多少？"),
    ),
    Tool(
        "weather", ("get_weather", "weather", "current_weather", "weather_in"), "Get the weather in a city", (("city", "place", "location", "town"),), (TEXT,),
        {"en": ("What is the weather in {0}?", "How is the weather in {0}?", "What's the weather like in {0} today?", "Is it raining in {0}?", "Weather in {0}?",
                "Tell me the weather in {0}."),
         "zh": ("{0}的天气怎么样？", "{0}今天天气如何？", "{0}下雨吗？", "告诉我{0}的天气。", "查一下{0}的天气。")},
        {"en": "The weather in {0}: {r}.", "zh": "{0}的天气：{r}。"},
    ),
    Tool(
        "time", ("get_time", "current_time", "clock", "time_in"), "Get the time in a city", (("city", "place", "location", "zone"),), (TEXT,),
        {"en": ("What time is it in {0}?", "What is the time in {0}?", "Tell me the time in {0}.", "What's the time in {0} now?"),
         "zh": ("{0}现在几点？", "{0}几点了？", "告诉我{0}的时间。", "查一下{0}现在的时间。")},
        {"en": "It is {r} in {0}.", "zh": "{0}现在是{r}。"},
    ),
    Tool(
        "search", ("search", "web_search", "find", "lookup", "search_web"), "Search for information", (("query", "text", "q", "keyword"),), (TEXT,),
        {"en": ("Search for {0}.", "Look up {0}.", "Who is {0}?", "Find something about {0}.", "Please search {0}.", "What do you find about {0}?"),
         "zh": ("搜索{0}。", "查一下{0}。", "{0}是谁？", "帮我找{0}。", "请搜索{0}。")},
        {"en": "I found: {r}.", "zh": "查到：{r}。"},
    ),
    Tool(
        "price", ("get_price", "price_of", "price", "check_price"), "Get the price of a product", (("product", "item", "name", "article"),), (TEXT,),
        {"en": ("What is the price of {0}?", "How much does {0} cost?", "How much is {0}?", "Tell me the price of {0}."),
         "zh": ("{0}多少钱？", "{0}的价格是多少？", "告诉我{0}的价格。", "查一下{0}的价格。")},
        {"en": "The price of {0} is {r}.", "zh": "{0}的价格是{r}。"},
    ),
    Tool(
        "timer", ("set_timer", "timer", "start_timer", "alarm"), "Start a timer", (("minutes", "duration", "length"),), (NUMBER,),
        {"en": ("Set a timer for {0} minutes.", "Wake me in {0} minutes.", "Start a timer of {0} minutes.", "Timer {0} minutes."),
         "zh": ("设一个{0}分钟的计时器。", "{0}分钟后叫我。", "计时{0}分钟。")},
        {"en": "The timer is set: {r}.", "zh": "计时器已设置：{r}。"},
    ),
)  # fmt: skip

_WEATHER = {"en": ("sunny", "rainy", "cloudy", "snow", "windy", "fog"), "zh": ("晴", "雨", "多云", "雪", "大风", "雾")}
_ERRORS = (
    "not found",
    "timeout",
    "no connection",
    "invalid input",
    "service unavailable",
    "unknown city",
    "permission denied",
)
FAILED = {"en": "Sorry, the tool failed: {e}.", "zh": "抱歉，工具出错了：{e}。"}


@dataclass(frozen=True)
class Offer:
    """A function as it is offered in one dialogue."""

    tool: Tool
    name: str
    parameters: tuple[str, ...]

    def schema(self, rng: random.Random) -> dict[str, Any]:
        """In OpenAI's shape, without the outer ``{"type": "function"}``."""
        properties = {p: {"type": t} for p, t in zip(self.parameters, self.tool.types, strict=True)}
        body = {"type": "object", "properties": properties, "required": list(self.parameters)}
        return {"name": self.name, "description": self.tool.about, "parameters": body}

    def line(self) -> str:
        """In the form of the ReAct system message."""
        inner = ", ".join(f'"{p}": {t}' for p, t in zip(self.parameters, self.tool.types, strict=True))
        return f"{self.name}: {self.tool.about}. Input: {{{inner}}}"

    def arguments(self, values: tuple[str, ...]) -> str:
        """``values`` as JSON for this function."""
        typed = [int(v) if t == NUMBER else v for v, t in zip(values, self.tool.types, strict=True)]
        return json.dumps(dict(zip(self.parameters, typed, strict=True)), ensure_ascii=False)


@dataclass(frozen=True)
class Task:
    """What is asked in one dialogue, and what is offered for it."""

    offers: tuple[Offer, ...]
    chosen: Offer
    values: tuple[str, ...]
    question: str
    result: str
    error: str
    answer: str
    key: str


def _values(rng: random.Random, tool: Tool, lang: Lang) -> tuple[str, ...]:
    if NUMBER in tool.types:
        return tuple(str(rng.randint(1, 10 ** rng.choice((1, 2, 2, 3, 3, 3, 4)) - 1)) for _ in tool.types)
    if tool.kind in ("weather", "time"):
        if rng.random() < 0.6:
            return (rng.choice(facts.table("countries"))[f"capital_{lang}"],)
    elif tool.kind == "price" and rng.random() < 0.6:
        return (rng.choice(facts.table("words"))[lang],)
    name = fake_name(rng) if lang == "en" else fake_han(rng)
    return (f"{name} {fake_name(rng)}" if lang == "en" and rng.random() < 0.25 else name,)


def _result(rng: random.Random, tool: Tool, values: tuple[str, ...], lang: Lang) -> str:
    if tool.kind == "add":
        return str(int(values[0]) + int(values[1]))
    if tool.kind == "subtract":
        return str(int(values[0]) - int(values[1]))
    if tool.kind == "multiply":
        return str(int(values[0]) * int(values[1]))
    if tool.kind == "weather":
        return f"{rng.choice(_WEATHER[lang])}, {rng.randint(-9, 40)}"
    if tool.kind == "time":
        return f"{rng.randint(0, 23)}:{rng.randint(10, 59)}"
    if tool.kind == "price":
        return f"{rng.randint(1, 999)} " + ("dollars" if lang == "en" else "元")
    if tool.kind == "timer":
        return "ok"
    words = [rng.choice(facts.table("words"))[lang] for _ in range(rng.randint(1, 3))]
    return " ".join([*words, fake_name(rng) if lang == "en" else fake_han(rng)])


def task(rng: random.Random, lang: Lang, held: bool, offered: int | None = None) -> Task:
    """A question for one of ``offered`` functions; keys are the kind, the wording and the operands."""
    count = offered or rng.choice((1, 1, 2, 3))
    while True:
        tools = rng.sample(KINDS, count)
        offers = tuple(Offer(t, rng.choice(t.names), _names(rng, t)) for t in tools)
        chosen = rng.choice(offers)
        values = _values(rng, chosen.tool, lang)
        wording = rng.choice(chosen.tool.asked[lang])
        key = f"tool/{chosen.tool.kind}/{wording}/{values}"
        if held_out(key) == held:
            break
    result = _result(rng, chosen.tool, values, lang)
    error = rng.choice(_ERRORS) if rng.random() < 0.08 else ""
    answer = FAILED[lang].format(e=error) if error else chosen.tool.told[lang].format(*values, r=result)
    question = wording.format(*values)
    if rng.random() < 0.15:
        question = question.lower() if question.isascii() and NUMBER in chosen.tool.types else question.rstrip("?.？。")
    return Task(offers, chosen, values, question, result, error, answer, key)


def _names(rng: random.Random, tool: Tool) -> tuple[str, ...]:
    if tool.types == (NUMBER, NUMBER):
        pair = rng.randrange(5)
        return tool.parameters[0][pair], tool.parameters[1][pair]
    return tuple(rng.choice(names) for names in tool.parameters)


def json_calls(rng: random.Random, lang: Lang, held: bool, offered: int | None = None) -> Dialogue:
    """A call in JSON, its result, and the answer; or a question that needs no tool."""
    one = task(rng, lang, held, offered)
    schemas = tuple(offer.schema(rng) for offer in one.offers)
    if not held and rng.random() < 0.15:
        plain = _plain(rng, lang)
        return Dialogue(
            "tool call", lang, (("user", plain.question), ("assistant", plain.answer)), one.key, tools=schemas
        )
    call = f'{{"name": "{one.chosen.name}", "parameters": {one.chosen.arguments(one.values)}}}'
    reply = {"error": one.error} if one.error else {"result": one.result}
    shown = json.dumps(reply, ensure_ascii=False) if one.error or rng.random() < 0.6 else one.result
    turns: tuple[Turn, ...] = (
        ("user", one.question),
        ("assistant", call),
        ("ipython", shown),
        ("assistant", one.answer),
    )
    return Dialogue("tool call", lang, turns, one.key, tools=schemas)


REACT_LEAD = "Answer the question. You can use these tools:"
REACT_FORM = (
    "Use this format:\nThought: what to do\nAction: the tool's name\nAction Input: the input as JSON\n"
    "Observation: the tool's result, given to you\nThought: what you know now\nFinal Answer: the answer"
)
_THINK = {"en": ("I should use {0}.", "I know the answer."), "zh": ("我应该使用 {0}。", "我知道答案了。")}


def react_system(lines: list[str]) -> str:
    """The system message of an agent that speaks ReAct; ``lines`` are the tools, as :meth:`Offer.line` writes them."""
    return "\n".join([REACT_LEAD, *lines, REACT_FORM])


def react(rng: random.Random, lang: Lang, held: bool, offered: int | None = None) -> Dialogue:
    """The same in ReAct form: thought, action, observation (told by the user's side), final answer."""
    one = task(rng, lang, held, offered)
    system = react_system([offer.line() for offer in one.offers])
    use, know = _THINK[lang]
    if not held and rng.random() < 0.12:
        plain = _plain(rng, lang)
        final = f"Thought: {know}\nFinal Answer: {plain.answer}"
        return Dialogue("ReAct", lang, (("user", plain.question), ("assistant", final)), one.key, system=system)
    action = f"Thought: {use.format(one.chosen.name)}\nAction: {one.chosen.name}\nAction Input: {one.chosen.arguments(one.values)}"
    observation = f"Observation: {'error: ' + one.error if one.error else one.result}"
    turns: tuple[Turn, ...] = (
        ("user", one.question),
        ("assistant", action),
        ("user", observation),
        ("assistant", f"Thought: {know}\nFinal Answer: {one.answer}"),
    )
    return Dialogue("ReAct", lang, turns, one.key, system=system)


def _plain(rng: random.Random, lang: Lang) -> Exchange:
    if rng.random() < 0.5:
        return small_talk.exchange(rng, lang, False, ("greet", "name", "thanks", "how", "can"))
    return facts.exchange(rng, lang, held=False)
