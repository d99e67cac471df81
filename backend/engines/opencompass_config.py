"""How OpenCompass is told what to ask of which model: its config file, its command line, and what both need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from backend.errors import ModelError
from backend.i18n import N_

KEY_VARIABLE = "OPENAI_API_KEY"
"""Where its client looks for the server's key when a config says ``key="ENV"``."""
ABBR = "model"
"""What the model is called in the results: one fixed word, since it becomes a folder's name."""


@dataclass(frozen=True)
class Benchmark:
    """One collection of multiple-choice questions, a file per subject and split. config: the module in the wheel that says
    how it is asked; variable: the list in it; prefix: before the subject's name in ``abbr``; splits: of the folder."""

    config: str
    variable: str
    prefix: str
    splits: tuple[str, ...]


BENCHMARKS = {
    "ceval": Benchmark(
        "opencompass.configs.datasets.ceval.ceval_gen_5f30c7", "ceval_datasets", "ceval-", ("dev", "val", "test")
    ),
    "mmlu": Benchmark(
        "opencompass.configs.datasets.mmlu.mmlu_gen_4d595a", "mmlu_datasets", "lukaemon_mmlu_", ("dev", "test")
    ),
}


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
    kind = BENCHMARKS[what.benchmark]
    # repr() is the text of a Python file, whatever is in a name.
    return f"""# Written by TuneDeck. {KEY_VARIABLE} must hold the server's key.
from mmengine.config import read_base
from opencompass.models import OpenAISDK
from opencompass.partitioners import NaivePartitioner, NumWorkerPartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLEvalTask, OpenICLInferTask

with read_base():
    from {kind.config} import {kind.variable}

wanted = {[what.abbr(subject) for subject in what.subjects]!r}
datasets = [dataset for dataset in {kind.variable} if dataset["abbr"] in wanted]
for dataset in datasets:
    dataset["path"] = {str(what.data)!r}
models = [
    dict(
        type=OpenAISDK,
        abbr={ABBR!r},
        path={what.model!r},
        openai_api_base={what.base_url!r},
        key="ENV",
        tokenizer_path={str(what.tokenizer)!r},
        temperature=0,
        max_seq_len={what.context_length},
        max_out_len={what.answer_tokens},
        batch_size={what.batch},
        max_workers={what.workers},
        query_per_second={max(1000, what.workers)},  # the server itself is the limit
        retry=2,
        meta_template=dict(
            round=[dict(role="HUMAN", api_role="HUMAN"), dict(role="BOT", api_role="BOT", generate=True)]
        ),
    )
]
# One worker: starting takes longer than many questions.
infer = dict(
    partitioner=dict(type=NumWorkerPartitioner, num_worker=1),
    runner=dict(type=LocalRunner, task=dict(type=OpenICLInferTask)),
)
eval = dict(
    partitioner=dict(type=NaivePartitioner, n=1000),
    runner=dict(type=LocalRunner, task=dict(type=OpenICLEvalTask)),
)
"""


def missing(what: Evaluation) -> list[Path]:
    """Files of questions that are not there; without one of them nothing at all is counted."""
    files = [
        what.data / split / f"{subject}_{split}.csv"
        for subject in what.subjects
        for split in BENCHMARKS[what.benchmark].splits
    ]
    return [file for file in files if not file.is_file()]


def command(python: Path, config_file: Path, work_dir: Path) -> list[str]:
    """What runs the config; the current folder takes its caches.

    ``--debug`` keeps it in one process: its own way starts others through a shell that breaks at a blank in a path, hides
    what they say in files, and ends with exit code 0 whatever became of them.
    """
    return [str(python), "-m", "opencompass.cli.main", str(config_file), "--work-dir", str(work_dir), "--debug"]


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


def configs(packages: Path) -> dict[str, list[str]]:
    """The names of all configs that the version in the folder ``packages`` (``site-packages``) brings, by kind: ``models``
    and ``datasets``. It has no command for that."""
    root = packages / "opencompass" / "configs"
    return {kind: sorted(file.stem for file in (root / kind).rglob("*.py")) for kind in ("models", "datasets")}
