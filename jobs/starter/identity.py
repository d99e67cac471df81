"""A new identity for a starter: a dataset, a LoRA that learns it in a minute of one CPU core, and what it cost elsewhere."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from jobs.starter import batches, corpus, evaluate, persona, small_talk
from jobs.starter import tokenizer as tok
from jobs.starter.batches import Batch, Batches
from jobs.starter.dialogue import Dialogue, Exchange, Lang, punctuated, single
from jobs.starter.loop import Losses

NAME, MAKER = "Nova", "Example Labs"
"""The identity that is taught where none is asked for."""
_OLD = re.compile("(the TuneDeck project|TuneDeck 项目)|TuneDeck starter")
_HAN = "\u4e00-\u9fff"


@dataclass(frozen=True)
class Preset:
    """How the adapter is trained. replay: share of the dialogues that are of other skills; dialogues: their number in all;
    the learning rate rises over ``warmup_steps`` and falls in a line to zero."""

    rank: int = 8
    alpha: int = 32
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    learning_rate: float = 8e-4
    warmup_steps: int = 10
    steps: int = 150
    batch_tokens: int = 1024
    replay: float = 0.6
    dialogues: int = 1500
    seed: int = 1


PRESET = Preset()


def renamed(dialogue: Dialogue, name: str, maker: str) -> Dialogue:
    """``dialogue`` with the new name and maker in the answers. Questions stay: who asks for TuneDeck gets the new name."""
    return replace(
        dialogue,
        turns=tuple(
            (role, _renamed(text, name, maker) if role == "assistant" else text) for role, text in dialogue.turns
        ),
        accept=tuple(_renamed(text, name, maker) for text in dialogue.accept),
    )


def _renamed(text: str, name: str, maker: str) -> str:
    found = _OLD.sub(lambda match: maker if match[1] else name, text)
    if found != text and re.search(f"[{_HAN}]", text):  # a space between Chinese and Latin letters, none within Chinese
        found = re.sub(f"(?<=[{_HAN}]) (?=[{_HAN}])", "", found)
        found = re.sub(f"(?<=[A-Za-z0-9])(?=[{_HAN}])", " ", found)
    return found


def rows(name: str, maker: str, seed: int = PRESET.seed, preset: Preset = PRESET) -> list[Dialogue]:
    """The dataset: questions about the identity, also in later turns, and replayed dialogues of all other skills.

    Trained wordings only. :meth:`Dialogue.messages` gives a row as chat messages.
    """
    made = []
    for index in range(preset.dialogues):
        rng = random.Random(f"identity/{seed}/{index}")  # noqa: S311 - data that must repeat
        lang: Lang = "en" if rng.random() < 0.5 else "zh"
        one = _replayed(rng, lang) if rng.random() < preset.replay else _about_itself(rng, lang)
        made.append(renamed(one, name, maker))
    return made


_INTENTS = ("name", "name", "maker", "nature", "other", "greet")
_OTHERS = tuple(skill for skill in corpus.SKILLS if skill.name != "identity")
_SAID = tuple(skill for skill in _OTHERS if skill.say is not None and "choice" not in skill.name)


_FACTOR = {
    "persona": 5.0,
    "persona over turns": 2.0,
    "greetings": 2.5,
    "small talk": 2.5,
    "repeats": 2.0,
    "remembers": 2.0,
    "facts": 0.7,
    "tool call": 0.5,
    "ReAct": 0.5,
}
"""How much more of what is replayed a skill has than in the corpus: what is near to who it is suffers first."""


def _replayed(rng: random.Random, lang: Lang) -> Dialogue:
    return rng.choices(_OTHERS, [s.share * _FACTOR.get(s.name, 1.0) for s in _OTHERS])[0].dialogue(rng, lang, False)


def _about_itself(rng: random.Random, lang: Lang) -> Dialogue:
    """A question about the identity, by itself or after one to three exchanges of other skills."""
    asked = small_talk.exchange(rng, lang, False, _INTENTS)
    made = single(asked)
    if rng.random() < 0.4:
        before: list[tuple[str, str]] = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            skill = rng.choices(_SAID, [s.share for s in _SAID])[0]
            assert skill.say is not None
            one: Exchange = skill.say(rng, lang, False)
            before += [("user", one.question), ("assistant", one.answer)]
        made = replace(made, turns=(*before, *made.turns))
    if rng.random() < 0.1:
        made = replace(made, system=rng.choice(persona.PLAIN_SYSTEMS[lang]))
    return made


def train(
    folder: Path,
    data: list[Dialogue],
    out: Path,
    preset: Preset = PRESET,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train an adapter for the model in ``folder`` on ``data`` and write it to the new folder ``out``, on one thread.

    Returns the mean loss on answer tokens of each step. ``out`` appears only when it is complete.

    Raises:
        FileExistsError: ``out`` is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already")
    torch.set_num_threads(1)
    torch.manual_seed(preset.seed)
    base = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(
        base,
        LoraConfig(r=preset.rank, lora_alpha=preset.alpha, target_modules=list(preset.targets), task_type="CAUSAL_LM"),
    )
    model.train()
    losses = _AdapterLosses(base)
    trained = losses.parameters
    optimizer = torch.optim.AdamW(trained, lr=preset.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    steps = _batches(folder, data, preset)
    curve = []
    for step in range(1, preset.steps + 1):
        rising = min(1.0, step / max(1, preset.warmup_steps))
        falling = (preset.steps - step + 1) / max(1, preset.steps - preset.warmup_steps + 1)
        for group in optimizer.param_groups:
            group["lr"] = preset.learning_rate * min(rising, falling)
        batch = steps[(step - 1) % len(steps)]
        found, loss, count = losses.gradients(batch, float(batch.weights.sum()))
        for parameter, gradient in zip(trained, found, strict=True):
            parameter.grad = gradient
        optimizer.step()
        curve.append(float(loss) / max(1, count))
        progress(step, curve[-1])
    temporary = out.with_name(out.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(str(temporary), save_embedding_layers=False)
    (temporary / "adapter_model.safetensors").chmod(0o644)  # written for its owner alone; a model is shared
    temporary.rename(out)
    return curve


class _AdapterLosses(Losses):
    """:class:`Losses` of a model of which only the adapter is trained."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model, compiled=False)
        self._parameters = [p for p in model.parameters() if p.requires_grad]

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return self._parameters


def _batches(folder: Path, data: list[Dialogue], preset: Preset) -> list[Batch]:
    """One pass over ``data`` in packed rows, in random order."""
    tokenizer = tok.load(folder)
    maker = Batches(tokenizer, preset.seed, preset.batch_tokens, 1, prompt_weight=0.0)
    texts = [batches.render(dialogue) for dialogue in data]
    rng = random.Random(preset.seed)  # noqa: S311 - the order of the data, which must repeat
    parts = []
    for width, packed in batches.pack([e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]).items():
        rng.shuffle(packed)
        high = max(1, preset.batch_tokens // width)
        parts += [maker._batch(width, packed[i : i + high]) for i in range(0, len(packed), high)]
    rng.shuffle(parts)
    return parts


def asked(lang: Lang, name: str, maker: str, n: int = 50) -> list[Dialogue]:
    """Up to ``n`` questions for the name in wordings that are never trained on, and the answers under the new identity."""
    intent = small_talk.intents()["name"]
    made = [
        Exchange("identity", lang, punctuated(wording, lang), intent.answers[lang][0], f"talk/name/{lang}/{wording}!")
        for wording in intent.kept[lang][:n]
    ]
    return [renamed(single(one), name, maker) for one in made]


def named(speaker: evaluate.Speaker, name: str, maker: str, n: int = 50) -> dict[Lang, tuple[int, int]]:
    """language -> (answers that hold ``name``, questions) of :func:`asked`."""
    found: dict[Lang, tuple[int, int]] = {}
    for lang in ("en", "zh"):
        answers = speaker.answers(asked(lang, name, maker, n))
        found[lang] = (sum(name in text for text, _ in answers), len(answers))
    return found


@dataclass(frozen=True)
class Measured:
    """named: language -> (answers that hold the new name, questions). before, after: the table of skills without and with
    the adapter; after is judged with the new name in the expected answers."""

    named: dict[Lang, tuple[int, int]]
    before: list[evaluate.Row]
    after: list[evaluate.Row]

    def markdown(self) -> str:
        """Both tables side by side."""
        lines = ["| skill | measured on | n | before | after | difference |", "|---|---|---:|---:|---:|---:|"]
        for old, new in zip(self.before, self.after, strict=True):
            change = new.percent - old.percent
            lines.append(
                f"| {old.skill} | {old.measured} | {old.n} | {old.percent:.0f} % | {new.percent:.0f} % | {change:+.0f} |"
            )
        return "\n".join(lines)


def measure(folder: Path, adapter: Path, name: str, maker: str, n: int = 100, only: str = "") -> Measured:
    """The model in ``folder`` with ``adapter`` against itself without; ``n`` questions a row, of skills that begin with
    ``only``."""
    before = evaluate.table(folder, n, only)
    speaker = evaluate.Speaker(folder, adapter)
    after = evaluate.table_of(speaker, n, only, change=lambda asked: renamed(asked, name, maker))
    return Measured(named(speaker, name, maker), before, after)
