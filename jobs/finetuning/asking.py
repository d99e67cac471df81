"""Ask two models the same, one after the other in this process: greedy answers in batches, and the loss on rows.

Prompts are rendered and cut into tokens as the training did it (:mod:`backend.data.tokens`), so that both see the same. The tuned
model is the base with the adapter put on in memory, or a model of its own once the base has been let go: there is never more
than one of them.
"""

from __future__ import annotations

import copy
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch

from backend.data.rows import Row
from backend.data.tokens.encoded import Encoded
from backend.data.tokens.model import TokenModel
from backend.data.tokens.template import Renderer, conversation
from backend.errors import PanelError
from backend.finetune.scoring import Question
from jobs.finetuning.devices import Place
from jobs.serving import loading

BATCH, BATCH_TOKENS = 32, 16_384
"""Prompts at once at most, and tokens of them, padding included."""
LEAST_NEW, MOST_NEW = 48, 256
LOGITS = 64 << 20
"""Numbers that a batch of rows may have as logits: 256 MiB in float32."""
Watch = Callable[[int], None]


@dataclass(frozen=True)
class Reply:
    """An answer. ended: by itself, before the limit."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Prompt:
    """A question as tokens. limit: most new tokens of its answer."""

    ids: list[int]
    limit: int


class Asker:
    """A loaded model that answers. batch: prompts at once; halved where the memory does not suffice."""

    def __init__(self, model: Any, tokens: TokenModel) -> None:
        self.model, self.tokens, self.batch = model.eval(), tokens, BATCH
        self.stops = _stops(model, tokens)
        self.vocabulary = int(model.get_input_embeddings().weight.shape[0])

    def answers(self, prompts: Sequence[Prompt], until: float, watch: Watch = lambda done: None) -> list[Reply | None]:
        """The greedy answer to each prompt; None for those that there was no time for. until: of ``time.monotonic()``.
        watch: called with the number of answers so far; what it raises ends the asking."""
        found: list[Reply | None] = [None] * len(prompts)
        done = 0
        # Alike in length within a stretch, so that little is padded; stretches in order, so that an early end is fair.
        for start in range(0, len(prompts), 4 * BATCH):
            stretch = list(range(start, min(len(prompts), start + 4 * BATCH)))
            stretch.sort(key=lambda place: (prompts[place].limit, len(prompts[place].ids)))
            while stretch:
                if time.monotonic() > until:
                    return found
                places = stretch[: self._fitting([len(prompts[place].ids) for place in stretch])]
                replies = self._answered([prompts[place] for place in places])
                if replies is None:
                    continue
                for place, reply in zip(places, replies, strict=True):
                    found[place] = reply
                stretch = stretch[len(places) :]
                done += len(places)
                watch(done)
        return found

    def losses(self, rows: Sequence[Encoded], until: float, watch: Watch = lambda done: None) -> list[float | None]:
        """The summed loss of each row on the tokens that are learned, in nats; None where the time ended before."""
        found: list[float | None] = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
        while order:
            if time.monotonic() > until:
                return found
            longest = len(rows[order[min(len(order), self.batch) - 1]].ids)
            places = order[: max(1, min(self.batch, LOGITS // (longest * self.vocabulary)))]
            sums = self._tried(partial(self._sums, [rows[place] for place in places]))
            if sums is None:
                continue
            for place, total in zip(places, sums, strict=True):
                found[place] = total
            order = order[len(places) :]
            watch(len(rows) - len(order))
        return found

    def _fitting(self, lengths: list[int]) -> int:
        """How many of the next prompts go into one batch."""
        number = 1
        while number < min(self.batch, len(lengths)) and max(lengths[: number + 1]) * (number + 1) <= BATCH_TOKENS:
            number += 1
        return number

    def _answered(self, prompts: list[Prompt]) -> list[Reply] | None:
        return cast("list[Reply] | None", self._tried(partial(self._generated, prompts)))

    def _tried(self, compute: Callable[[], Any]) -> Any:
        """What ``compute`` gives; None where the memory did not suffice, and the next batch is half as large.

        Raises:
            torch.OutOfMemoryError: not even for one.
        """
        try:
            return compute()
        except torch.OutOfMemoryError:
            if self.batch == 1:
                raise
            self.batch //= 2
        torch.cuda.empty_cache()
        return None

    @torch.inference_mode()
    def _generated(self, prompts: list[Prompt]) -> list[Reply]:
        width = max(len(one.ids) for one in prompts)
        pad = self.stops[0] if self.stops else 0
        ids = torch.full((len(prompts), width), pad)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(prompts):
            ids[row, width - len(one.ids) :] = torch.tensor(one.ids)
            mask[row, width - len(one.ids) :] = 1
        config = copy.deepcopy(self.model.generation_config)
        config.do_sample, config.temperature, config.top_p, config.top_k = False, 1.0, 1.0, None
        config.num_beams, config.max_length, config.max_new_tokens = 1, None, max(one.limit for one in prompts)
        config.eos_token_id, config.pad_token_id = self.stops or None, pad
        device = self.model.device
        made = self.model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config
        ).tolist()
        return [self._reply(row[width:], one.limit) for row, one in zip(made, prompts, strict=True)]

    def _reply(self, made: list[int], limit: int) -> Reply:
        end = next((place for place, token in enumerate(made) if token in self.stops), len(made))
        text = self.tokens.tokenizer.decode(made[: min(end, limit)], skip_special_tokens=True)
        return Reply(text.strip(), end < min(len(made), limit))

    @torch.inference_mode()
    def _sums(self, rows: list[Encoded]) -> list[float]:
        width = max(len(one.ids) for one in rows)
        ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width), dtype=torch.long)
        labels = torch.full((len(rows), width), -100)
        for row, one in enumerate(rows):
            ids[row, : len(one.ids)] = torch.tensor(one.ids)
            mask[row, : len(one.ids)] = 1
            labels[row, : len(one.ids)] = torch.tensor(one.labels)
        device = self.model.device
        logits = self.model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
        each = torch.nn.functional.cross_entropy(
            logits[:, :-1].float().transpose(1, 2), labels[:, 1:].to(device), reduction="none"
        )
        sums: list[float] = each.sum(1).tolist()
        return sums


def prompt(tokens: TokenModel, question: Question, context: int) -> Prompt | None:
    """``question`` as the model reads it; None where the template refuses it, or it has no room in ``context`` tokens."""
    row: Row = {"messages": question.messages}
    if question.tools:
        row["tools"] = question.tools
    try:
        text = Renderer(tokens, row).text(conversation(row), prompt=True)
    except PanelError:
        return None
    ids = list(tokens.tokenizer.encode(text, add_special_tokens=False).ids)
    wanted = len(tokens.tokenizer.encode(question.expected, add_special_tokens=False).ids)
    # Twice what is expected: what has to be said has its place, and a model that never ends costs little.
    limit = min(MOST_NEW, max(LEAST_NEW, 2 * wanted))
    return Prompt(ids, limit) if len(ids) + limit <= context else None


def load(folder: str, place: Place, *, four_bit: bool = False) -> Any:
    """The model in ``folder`` as it was trained: in 4 bits for QLoRA. Nothing is fetched; no code from the folder runs unless
    a person allowed it.

    Raises:
        ModelError: ``model_needs_code``.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, logging

    logging.disable_progress_bar()
    settings: dict[str, Any] = {"dtype": place.compute if place.kind == "cuda" else torch.float32}
    if four_bit:
        settings["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=place.compute,
        )
    if place.kind == "cuda":
        settings["device_map"] = {"": torch.cuda.current_device()}
    allowed = loading.may_run_code(folder)
    return AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, trust_remote_code=allowed, **settings
    )


@contextmanager
def threads(model: Any) -> Iterator[None]:
    """As many threads as pay for this model on the machine as it is now; afterwards as many as before. With two of them
    on two cores that others use, too, a small model answers five times slower than with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(loading.choose_threads(model, max(1, (os.cpu_count() or 2) // 2)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def let_go() -> None:
    """Give back the memory of models that nobody refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _stops(model: Any, tokens: TokenModel) -> list[int]:
    """Ids that end an answer: those of the model, and those that end an answer in what was learned."""
    known = model.generation_config.eos_token_id
    found = [one for one in (known if isinstance(known, list) else [known]) if isinstance(one, int)]
    for text in sorted(tokens.ends):
        token = tokens.tokenizer.token_to_id(text)
        if token is not None and token in tokens.specials and token not in found:
            found.append(token)
    return found
