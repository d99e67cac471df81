"""How OpenCompass is told what to ask of which model: its config file, its command line, and what both need."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from backend.engines.opencompass_edit import fill
from backend.engines.opencompass_text import (
    ABBR,
    BENCHMARKS,
    HF_ANSWER,
    HF_BATCH,
    HF_LENGTH,
    KEY_VARIABLE,
    Asked,
    server_values,
    subject_of,
    text,
)
from backend.errors import ModelError
from backend.evaluate import opencompass_sets, sets
from backend.evaluate.questions import Question
from backend.i18n import N_
from backend.specs.base import gpus_here
from backend.specs.evaluate import EvaluateSpec
from backend.workspace import Workspace

__all__ = ["ABBR", "BENCHMARKS", "KEY_VARIABLE", "subject_of"]


@dataclass(frozen=True)
class Evaluation:
    """What is asked of which model.

    model: as its server calls it. base_url: ends in ``/v1``. tokenizer: folder, see :func:`write_tokenizer`; prompts are
    counted with it. benchmark: a key of :data:`BENCHMARKS`. data: its folder, with the splits as folders in it. subjects:
    as its files are named. context_length, answer_tokens: in tokens. workers: questions at once. batch: questions that are
    prepared together.
    """

    model: str
    base_url: str
    tokenizer: Path
    benchmark: str
    data: Path
    subjects: tuple[str, ...]
    context_length: int = 4096
    answer_tokens: int = 16
    workers: int = 4
    batch: int = 16

    def abbr(self, subject: str) -> str:
        """The name of ``subject`` in the results."""
        return BENCHMARKS[self.benchmark].prefix + subject


def config(what: Evaluation) -> str:
    """The config file of ``what``. No key is in it: that comes by the environment, see :func:`environ`."""
    asked = Asked(
        what.benchmark,
        what.subjects,
        answer_tokens=what.answer_tokens,
        workers=what.workers,
        batch=what.batch,
        timeout_s=600,
    )
    values = server_values(what.base_url, what.model, str(what.tokenizer), what.context_length)
    return fill(text(asked), {**values, "data_folder": str(what.data)})


def text_for(workspace: Workspace, spec: EvaluateSpec) -> str:
    """The config that ``spec`` is run by, for who wants to see or change it. What only the start knows stands at its head, and is filled in then.

    Raises:
        DataError: the set of questions cannot be read, or OpenCompass cannot ask any of it.
    """
    asked: dict[str, list[Question]] = {}
    for question in sets.questions(workspace, spec.questions, spec.subjects, spec.limit, spec.seed):
        asked.setdefault(question.subject, []).append(question)
    prepared = opencompass_sets.prepare(spec, sets.get(workspace, spec.questions).kind, asked, int(bool(gpus_here())))
    if prepared.refused and not prepared.names:
        raise next(iter(prepared.refused.values()))
    return text(prepared.asked)


def command(
    python: Path, config_file: Path, work_dir: Path, *, program: Path | None = None, reuse: str = ""
) -> list[str]:
    """What runs the config; the current folder takes its caches. program: our own start of it instead of its own. reuse: the name of an earlier
    attempt's folder in ``work_dir``, of which only what is missing is done.

    ``--debug`` keeps it in one process: its own way starts others through a shell that breaks at a blank in a path, hides
    what they say in files, and ends with exit code 0 whatever became of them.
    """
    start = [str(program)] if program else ["-m", "opencompass.cli.main"]
    again = ["--reuse", reuse] if reuse else []
    return [str(python), *start, str(config_file), "--work-dir", str(work_dir), "--debug", *again]


def quick_command(model: str, datasets: str = "ceval_gen", python: Path | None = None) -> str:
    """The one line with which many know it, to be copied: OpenCompass loads ``model``, a folder or the name on a hub, itself. It expects the questions
    below ``data/`` of the current folder. 0.5.4 refuses ``--num-gpus`` of the older guides; the same is called ``--hf-num-gpus``."""
    words = [str(python) if python else "python", "-m", "opencompass.cli.main", "--datasets", datasets]
    words += ["--hf-path", model, "--max-seq-len", str(HF_LENGTH), "--max-out-len", str(HF_ANSWER)]
    words += ["--batch-size", str(HF_BATCH), "--hf-num-gpus", "1", "--debug"]
    return shlex.join(words)


def environ(key: str) -> dict[str, str]:
    """Variables of one run, on top of those of the environment. ``key``: of the server."""
    loopback = "127.0.0.1,localhost"
    return {KEY_VARIABLE: key, "NO_PROXY": loopback, "no_proxy": loopback}


def write_tokenizer(model: Path, folder: Path) -> Path:
    """A tokenizer of ``model`` that this OpenCompass loads, for :attr:`Evaluation.tokenizer`; made in ``folder``.

    It loads tokenizers with ``trust_remote_code``, and the transformers in its environment does not know the classes of
    those that transformers 5 has saved. So it is given the vocabulary alone, which is enough for counting.

    Raises:
        ModelError: ``opencompass_no_tokenizer``.
    """
    try:
        text = (model / "tokenizer.json").read_bytes()
    except OSError as error:
        raise ModelError(
            "opencompass_no_tokenizer",
            N_("OpenCompass counts the prompts with tokenizer.json, and '{model}' has none: {problem}."),
            N_("Save the tokenizer again with a recent transformers (save_pretrained), or get the model again."),
            model=model.name,
            problem=error.strerror or str(error),
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(text)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder
