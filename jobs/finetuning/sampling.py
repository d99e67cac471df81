"""Answers to the same questions while a model learns, so that a person sees what the curves mean."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from backend.data.rows import Row
from backend.data.tokens.model import TokenModel
from backend.data.tokens.template import Renderer, conversation
from backend.errors import PanelError
from backend.finetune import files
from backend.finetune.files import Sample
from jobs.finetuning.rows import Question
from jobs.serving import loading

MOST_TOKENS = 96
"""Of an answer: enough to see what it became."""


class Sampler:
    """Asks the questions of one run and appends the answers to ``samples.jsonl``."""

    def __init__(self, job_dir: Path, tokens: TokenModel, questions: Sequence[Question], limit: int, pad: int) -> None:
        """limit: tokens of the longest question that is asked; pad: a token that fills."""
        self._file = job_dir / files.SAMPLES
        self._tokens, self._pad = tokens, pad
        self.base_asked = False
        self._threads = 0
        self._asked = [(question, ids) for question in questions if (ids := self._prompt(question, limit))]

    def _prompt(self, question: Question, limit: int) -> list[int]:
        row: Row = {"messages": question.messages}  # type: ignore[typeddict-item]
        if question.tools:
            row["tools"] = question.tools
        try:
            text = Renderer(self._tokens, row).text(conversation(row), prompt=True)
        except PanelError:
            return []
        ids: list[int] = self._tokens.tokenizer.encode(text, add_special_tokens=False).ids
        return ids if len(ids) <= limit else []

    def done(self, step: int) -> bool:
        """Whether the answers after ``step`` steps are there already."""
        return any(one.step == step for one in files.samples(self._file.parent))

    def ask(self, model: Any, step: int) -> list[Sample]:
        """Answers of ``model`` after ``step`` steps; greedy, so that the same model says the same."""
        if not self._asked:
            return []
        answers = self._answers(model)
        found = [
            Sample(step, number, question.question, answer, question.expected)
            for number, ((question, _), answer) in enumerate(zip(self._asked, answers, strict=True))
        ]
        lines = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
        fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, lines.encode("utf-8", "backslashreplace"))
        finally:
            os.close(fd)
        return found

    def forget_after(self, step: int) -> None:
        """Take back answers of steps that are gone over once more."""
        kept = [one for one in files.samples(self._file.parent) if one.step <= step]
        if self._file.exists():
            text = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in kept)
            self._file.write_text(text, encoding="utf-8", errors="backslashreplace")

    def _answers(self, model: Any) -> list[str]:
        width = max(len(ids) for _, ids in self._asked)
        device = next(model.parameters()).device
        rows = [[self._pad] * (width - len(ids)) + ids for _, ids in self._asked]
        mask = [[0] * (width - len(ids)) + [1] * len(ids) for _, ids in self._asked]
        with answering(model), self._decoding(model):
            made = model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(mask, device=device),
                max_new_tokens=MOST_TOKENS,
                do_sample=False,
                pad_token_id=self._pad,
                eos_token_id=self._ends() or None,
                use_cache=True,
                # What a folder says about sampling does not count for greedy answers, and would only warn.
                temperature=None,
                top_p=None,
                top_k=None,
            )
        return [self._text(each[width:].tolist()) for each in made]

    @contextlib.contextmanager
    def _decoding(self, model: Any) -> Iterator[None]:
        """As many threads as pay for a token, which are fewer than for a step; tried once."""
        before = torch.get_num_threads()
        if not self._threads:
            self._threads = loading.choose_threads(model, max(1, before // 2))
        torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _ends(self) -> list[int]:
        found = (self._tokens.tokenizer.token_to_id(text) for text in self._tokens.ends)
        return sorted(token for token in found if token is not None)

    def _text(self, ids: list[int]) -> str:
        ends = set(self._ends())
        end = next((place for place, token in enumerate(ids) if token in ends), len(ids))
        text: str = self._tokens.tokenizer.decode(ids[:end], skip_special_tokens=True)
        return text.strip()


@contextlib.contextmanager
def answering(model: Any) -> Iterator[None]:
    """``model`` as it answers, with nothing of it changed afterwards: neither its mode nor the random numbers to come."""
    was, cached = model.training, model.config.use_cache
    state = torch.get_rng_state()
    model.eval()
    model.config.use_cache = True
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was)
        model.config.use_cache = cached
        torch.set_rng_state(state)
