"""How good a starter is: held-out questions of every skill, greedy answers, one table.

Nothing asked here is in the training data: wordings kept apart, (fact, wording) pairs and operands that
:func:`jobs.starter.dialogue.held_out` keeps apart. An answer is right if it is exactly the expected sentence, or one of
those that are equally right; there is no partial credit.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from backend.errors import ModelError
from backend.i18n import N_
from jobs.starter import batches, choice, context, facts, persona, quantized, small_talk, tools, unknown
from jobs.starter import tokenizer as tok
from jobs.starter.dialogue import Dialogue, Exchange, Lang, single

SEED = 20_261_121
LIMIT = 96
"""New tokens per answer; an answer that reaches it did not stop."""
BATCH = 32

Ask = Callable[[random.Random, Lang], Dialogue]
Judge = Callable[[Dialogue, str], bool]
_CALL = re.compile(r'^\{"name": "([^"]+)", "parameters": (\{.*\})\}$')
_REACT = re.compile(r"^Thought: .+\nAction: (\S+)\nAction Input: (\{.*\})$")


@dataclass(frozen=True)
class Row:
    """One line of the table: n questions, how many were answered right, how many answers did not stop."""

    skill: str
    measured: str
    n: int
    right: int
    unstopped: int

    @property
    def percent(self) -> float:
        return 100 * self.right / self.n


class Speaker:
    """A model folder that answers in plain transformers: greedy, in float32, in batches padded on the left.

    adapter: folder of a peft adapter, merged into the weights. bits: 4 or 8 where the weights are to be quantized (after
    the merge).
    """

    def __init__(self, folder: Path, adapter: Path | None = None, bits: int | None = None) -> None:
        if not (folder / "config.json").is_file():
            raise ModelError(
                "model_missing",
                N_("There is no model in {folder}."),
                N_("Name a folder that holds config.json and the weights."),
                folder=str(folder),
            )
        if adapter is not None and not (adapter / "adapter_config.json").is_file():
            raise ModelError(
                "adapter_missing",
                N_("There is no adapter in {folder}."),
                N_("Name a folder that holds adapter_config.json and adapter_model.safetensors."),
                folder=str(adapter),
            )
        self.tokenizer = AutoTokenizer.from_pretrained(str(folder))
        self.model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
        if adapter is not None:
            self.model = PeftModel.from_pretrained(self.model, str(adapter)).merge_and_unload()
        if bits is not None:
            quantized.quantize(self.model, bits)
        self._stops = [self.tokenizer.convert_tokens_to_ids(t) for t in (tok.EOT, tok.END)]

    def answers(self, asked: Sequence[Dialogue], limit: int = LIMIT) -> list[tuple[str, bool]]:
        """(answer, it stopped by itself) for each dialogue, whose own last turn is left out of the prompt."""
        prompts = [
            self.tokenizer.apply_chat_template(
                d.messages(with_answer=False), tools=list(d.tools) or None, add_generation_prompt=True, tokenize=False
            )
            for d in asked
        ]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        found: list[tuple[str, bool]] = [("", False)] * len(prompts)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            batch = self.tokenizer(
                [prompts[i] for i in places],
                add_special_tokens=False,
                padding=True,
                padding_side="left",
                return_tensors="pt",
            )
            for i, row in zip(places, self._continued(batch["input_ids"], batch["attention_mask"], limit), strict=True):
                ended = row[-1] in self._stops
                found[i] = (self.tokenizer.decode(row[:-1] if ended else row), ended)
        return found

    @torch.inference_mode()
    def expectations(self, asked: Sequence[Dialogue]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """For a batch of dialogues at a time, at each token of the expected answers and of their ends: (log-probabilities
        of all tokens, (tokens, vocabulary); the expected token, (tokens,))."""
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            rows = self.tokenizer(
                [batches.render(d) for d in some],
                add_special_tokens=False,
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
            tokens, mask = rows["input_ids"], rows["attention_mask"]
            answers = torch.zeros_like(mask, dtype=torch.bool)
            for row, length, dialogue in zip(answers, mask.sum(1).tolist(), some, strict=True):
                answer = self.tokenizer(dialogue.answer.strip() + tok.EOT, add_special_tokens=False)["input_ids"]
                row[length - len(answer) : length] = True
            states = self.model.model(tokens, attention_mask=mask).last_hidden_state[:, :-1]
            yield self.model.lm_head(states[answers[:, 1:]]).log_softmax(1), tokens[answers]

    @torch.inference_mode()
    def _continued(self, tokens: torch.Tensor, mask: torch.Tensor, limit: int) -> list[list[int]]:
        """Up to ``limit`` new tokens for each row, the stop token included. A row that has ended leaves the batch, which
        ``generate`` does not do; it saves about a quarter of the time."""
        rows: list[list[int]] = [[] for _ in tokens]
        places = list(range(len(tokens)))
        cache = DynamicCache(config=self.model.config)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        for _ in range(limit):
            logits = self.model(
                tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
            ).logits
            chosen = logits[:, -1].argmax(1)
            for place, token in zip(places, chosen.tolist(), strict=True):
                rows[place].append(token)
            going = [i for i, place in enumerate(places) if rows[place][-1] not in self._stops]
            if not going:
                break
            if len(going) < len(places):
                places = [places[i] for i in going]
                keep = torch.tensor(going)
                cache.batch_select_indices(keep)
                chosen, mask, positions = chosen[keep], mask[keep], positions[keep]
            tokens = chosen[:, None]
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            positions = positions[:, -1:] + 1
        return rows


def right(dialogue: Dialogue, answer: str) -> bool:
    """Exactly the expected answer, or one of those that are equally right."""
    return answer == dialogue.answer or answer in dialogue.accept


def call_of(text: str) -> tuple[str, Any] | None:
    """(function, arguments) of a JSON or ReAct call; None where the text is not a well-formed one."""
    match = _CALL.match(text) or _REACT.match(text)
    if match is None:
        return None
    try:
        return match.group(1), json.loads(match.group(2))
    except ValueError:
        return None


def _said(make: Callable[[random.Random, Lang, bool], Exchange]) -> Ask:
    return lambda rng, lang: single(make(rng, lang, True))


def _in(lang: Lang, ask: Ask) -> Ask:
    return lambda rng, _: ask(rng, lang)


def _unseen(rng: random.Random, lang: Lang) -> Dialogue:
    return single(facts.exchange(rng, lang, held=True, unseen_template=True))


def _third_turn(rng: random.Random, lang: Lang) -> Dialogue:
    """A fact, after two other exchanges."""
    first = small_talk.exchange(rng, lang, False, small_talk.GREETINGS)
    second = context.filler(rng, lang)
    before = (
        ("user", first.question),
        ("assistant", first.answer),
        ("user", second.question),
        ("assistant", second.answer),
    )
    last = single(facts.exchange(rng, lang, held=True))
    return replace(last, turns=before + last.turns)


def _failed(rng: random.Random, lang: Lang) -> Dialogue:
    """A call whose result is an error."""
    lead = tools.FAILED[lang].partition("{")[0]
    while True:
        made = tools.json_calls(rng, lang, True)
        if made.answer.startswith(lead):
            return made


def _memory(rng: random.Random, lang: Lang) -> Dialogue:
    return context.memory(rng, lang, held=True, turns_between=1)


QUESTIONS: tuple[tuple[str, str, Ask], ...] = (
    (
        "greetings",
        "unseen wordings",
        lambda rng, lang: single(small_talk.exchange(rng, lang, True, small_talk.GREETINGS)),
    ),
    (
        "identity",
        "unseen wordings",
        lambda rng, lang: single(small_talk.exchange(rng, lang, True, small_talk.IDENTITY)),
    ),
    ("small talk", "unseen wordings", _said(small_talk.exchange)),
    ("facts (en)", "unseen (fact, wording) pairs", _in("en", _said(facts.exchange))),
    ("facts (zh)", "unseen (fact, wording) pairs", _in("zh", _said(facts.exchange))),
    ("facts (en)", "wordings unseen for any fact", _in("en", _unseen)),
    ("facts (zh)", "wordings unseen for any fact", _in("zh", _unseen)),
    ("facts", "unseen pairs, in the third turn", _third_turn),
    ("does not know", "unseen questions, noise, code, languages", _said(unknown.exchange)),
    ("repeats", "unseen words and numbers", _said(context.echo)),
    ("remembers", "what was told two turns ago", _memory),
    ("persona", "unseen names and rules", lambda rng, lang: persona.persona(rng, lang, held=True)),
    ("choice", "the answer and its letter, unseen questions", _said(choice.exchange)),
    ("does not know", "other languages, code, nothing, noise of up to 2,000 characters", _said(unknown.odd)),
    ("tool call", "a result that is an error", _failed),
)
"""What is asked: skill, what is unseen about it, who makes the question."""

_CALLS: tuple[tuple[str, int, Callable[[random.Random, Lang, bool, int | None], Dialogue]], ...] = (
    ("tool call", 1, tools.json_calls),
    ("tool call", 3, tools.json_calls),
    ("ReAct", 1, tools.react),
    ("ReAct", 3, tools.react),
    ("ReAct (Lagent)", 1, tools.react_lagent),
    ("ReAct (Lagent)", 3, tools.react_lagent),
)


def table(folder: Path, n: int = 100, only: str = "") -> list[Row]:
    """The table for the model in ``folder``: ``n`` questions a row, half of them in each language.

    only: skills whose name begins with it; all by default.
    """
    return table_of(Speaker(folder), n, only)


def table_of(
    speaker: Speaker, n: int = 100, only: str = "", change: Callable[[Dialogue], Dialogue] = lambda asked: asked
) -> list[Row]:
    """:func:`table` for a model that is loaded. change: what is done to each dialogue first, such as giving the model
    in its expected answers another name."""
    rows = []
    for number, (skill, measured, ask) in enumerate(QUESTIONS):
        if skill.startswith(only):
            asked = [change(one) for one in _draw(f"{SEED}/{number}", ask, n)]
            answers = speaker.answers(asked)
            rows.append(_row(skill, measured, asked, answers, right))
    for number, (skill, offered, make) in enumerate(_CALLS):
        if skill.startswith(only):
            asked = [change(one) for one in _draw(f"{SEED}/call/{number}", _offering(make, offered), n)]
            rows += _calls(speaker, skill, offered, asked)
    return rows


def questions(n: int = 100, only: str = "") -> list[Dialogue]:
    """Everything that :func:`table` asks, with the expected answers."""
    asked = [_draw(f"{SEED}/{i}", ask, n) for i, (skill, _, ask) in enumerate(QUESTIONS) if skill.startswith(only)]
    asked += [
        _draw(f"{SEED}/call/{i}", _offering(make, offered), n)
        for i, (skill, offered, make) in enumerate(_CALLS)
        if skill.startswith(only)
    ]
    return [one for some in asked for one in some]


def _offering(make: Callable[[random.Random, Lang, bool, int | None], Dialogue], offered: int) -> Ask:
    return lambda rng, lang: make(rng, lang, True, offered)


def _draw(seed: str, ask: Ask, n: int) -> list[Dialogue]:
    """``n`` different questions, the languages in turn; the same one again where there are not enough different ones."""
    rng = random.Random(seed)  # noqa: S311 - questions that must repeat
    asked: list[Dialogue] = []
    seen: set[str] = set()
    for i in range(n):
        lang: Lang = "en" if i % 2 == 0 else "zh"
        one = ask(rng, lang)
        for _ in range(50):
            if str(one.turns) not in seen:
                break
            one = ask(rng, lang)
        seen.add(str(one.turns))
        asked.append(one)
    return asked


def _row(skill: str, measured: str, asked: list[Dialogue], answers: list[tuple[str, bool]], judge: Judge) -> Row:
    score = sum(judge(d, text) for d, (text, _) in zip(asked, answers, strict=True))
    return Row(skill, measured, len(asked), score, sum(not stopped for _, stopped in answers))


def _calls(speaker: Speaker, skill: str, offered: int, asked: list[Dialogue]) -> list[Row]:
    """Three rows: the call is well formed; it is exact; it is exact and the result is then told right."""
    first = [replace(d, turns=d.turns[:2]) for d in asked]
    calls = speaker.answers(first)
    results = speaker.answers(asked)
    # the second prompt holds the right call, so it only counts where the model's own call was that one
    both = [
        (text if call_of(call) == call_of(d.turns[1][1]) else "", stopped)
        for d, (call, _), (text, stopped) in zip(asked, calls, results, strict=True)
    ]
    what = f"{offered} offered, "
    return [
        _row(skill, what + "well formed", first, calls, lambda d, text: call_of(text) is not None),
        _row(skill, what + "exact", first, calls, lambda d, text: call_of(text) == call_of(d.answer)),
        _row(skill, what + "end to end", asked, both, right),
    ]


def markdown(rows: list[Row]) -> str:
    """The table as it stands in the model card."""
    lines = ["| skill | measured on | n | right | did not stop |", "|---|---|---:|---:|---:|"]
    lines += [f"| {r.skill} | {r.measured} | {r.n} | {r.percent:.0f} % | {r.unstopped} |" for r in rows]
    total, unstopped = sum(r.n for r in rows), sum(r.unstopped for r in rows)
    return "\n".join(
        [
            *lines,
            f"| all | answers that run to the limit of {LIMIT} tokens | {total} | | {100 * unstopped / total:.1f} % |",
        ]
    )
