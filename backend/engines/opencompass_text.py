"""The text of OpenCompass's config file: what is asked of which model, as a Python file that mmengine reads.

A config names at its head what is known only when it starts (:data:`backend.engines.opencompass_edit.FILLED`): so the same text is shown on the page,
changed there by who knows how, and run.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

KEY_VARIABLE = "OPENAI_API_KEY"
"""Where its client looks for the server's key when a config says ``key="ENV"``."""
ABBR = "model"
"""What the model is called in the results: one fixed word, since it becomes a folder's name."""
HF_LENGTH, HF_ANSWER, HF_BATCH = 2048, 16, 4
"""Of models that it loads itself: as in the course that many people know it from."""
LATER = "filled in when it starts"


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
class Own:
    """One subject of a set in no layout that OpenCompass knows: a file of its custom data sets. abbr: its name in the results. file: its name in the
    folder of the data. kind: ``mcq``, multiple choice, or ``qa``, the whole answer is compared. system: each question has a system prompt."""

    abbr: str
    file: str
    kind: str
    system: bool = False


@dataclass(frozen=True)
class Asked:
    """What a config says. kind: a key of :data:`BENCHMARKS`, or ``own``. subjects: as files are named; own: instead of them. by: ``server`` or ``hf``.
    answer_tokens: longest answer. workers: questions at once. batch: questions that are prepared together. timeout_s: of one answer. gpus: for ``hf``."""

    kind: str
    subjects: tuple[str, ...] = ()
    own: tuple[Own, ...] = ()
    by: str = "server"
    answer_tokens: int = 16
    workers: int = 4
    batch: int = 16
    timeout_s: float = 120
    gpus: int = 0


def server_values(base_url: str, model: str, tokenizer: str, context_length: int) -> dict[str, str | int]:
    """What a config of the route by a server is filled with, but for its data."""
    return {
        "api_base": base_url,
        "served_model": model,
        "tokenizer_folder": tokenizer,
        "context_length": context_length,
    }


def text(asked: Asked, known: Mapping[str, str | int] | None = None) -> str:
    """A config of ``asked``. known: what can be filled in already."""
    # repr() is the text of a Python file, whatever is in a name.
    parts = [_HEAD, _filled(asked, known or {}), _data(asked), _MODELS[asked.by], _TASKS]
    values = {
        "abbr": repr(ABBR),
        "answer": asked.answer_tokens,
        "batch": asked.batch,
        "workers": asked.workers,
        "rate": max(1000, asked.workers),
        "timeout": int(max(1, asked.timeout_s)),
        "gpus": asked.gpus,
        "weights": repr("auto" if asked.gpus else "float32"),
    }
    model = "OpenAISDK" if asked.by == "server" else "HuggingFacewithChatTemplate"
    return parts[0].format(model=model) + parts[1] + parts[2] + parts[3].format(**values) + parts[4]


def _filled(asked: Asked, known: Mapping[str, str | int]) -> str:
    names = {"server": ("api_base", "served_model", "tokenizer_folder", "context_length"), "hf": ("model_folder",)}
    lines = [f"{name} = {known.get(name, LATER)!r}\n" for name in (*names[asked.by], "data_folder")]
    return "# TuneDeck fills these in when it starts; what is written here does not count.\n" + "".join(lines) + "\n"


def _data(asked: Asked) -> str:
    kind = BENCHMARKS.get(asked.kind)
    if kind is None:
        rows = [
            f"    dict(abbr={own.abbr!r}, path=data_folder + {'/' + own.file!r}, data_type={own.kind!r}, infer_method='gen', "
            f"{_WITH_SYSTEM if own.system else _WITHOUT}),\n"
            for own in asked.own
        ]
        return "datasets = [\n" + "".join(rows) + "]\n"
    return f"""with read_base():
    from {kind.config} import {kind.variable}

wanted = {[kind.prefix + subject for subject in asked.subjects]!r}
datasets = [dataset for dataset in {kind.variable} if dataset["abbr"] in wanted]
for dataset in datasets:
    dataset["path"] = data_folder
"""


_WITHOUT = "human_prompt='{prompt}'"
_WITH_SYSTEM = """template=dict(
        begin=[dict(role='SYSTEM', fallback_role='HUMAN', prompt='{system}')],
        round=[dict(role='HUMAN', prompt='{prompt}'), dict(role='BOT', prompt='{answer}')],
    )"""
_HEAD = f"""# Written by TuneDeck. {KEY_VARIABLE} must hold the server's key.
from mmengine.config import read_base
from opencompass.models import {{model}}
from opencompass.partitioners import NaivePartitioner
from opencompass.runners import LocalRunner
from opencompass.tasks import OpenICLEvalTask, OpenICLInferTask

"""
_MODELS = {
    "server": """models = [
    dict(
        type=OpenAISDK,
        abbr={abbr},
        path=served_model,
        openai_api_base=api_base,
        key="ENV",
        tokenizer_path=tokenizer_folder,
        temperature=0,
        max_seq_len=context_length,
        max_out_len={answer},
        batch_size={batch},
        max_workers={workers},
        query_per_second={rate},  # the server itself is the limit
        retry=2,
        timeout={timeout},
        meta_template=dict(
            round=[dict(role="HUMAN", api_role="HUMAN"), dict(role="BOT", api_role="BOT", generate=True)],
            reserved_roles=[dict(role="SYSTEM", api_role="SYSTEM")],
        ),
    )
]
""",
    "hf": f"""models = [
    dict(
        type=HuggingFacewithChatTemplate,
        abbr={{abbr}},
        path=model_folder,
        model_kwargs=dict(torch_dtype={{weights}}),
        max_seq_len={HF_LENGTH},
        max_out_len={{answer}},
        batch_size={{batch}},
        run_cfg=dict(num_gpus={{gpus}}),
    )
]
""",
}
_TASKS = """# One task with all subjects: starting takes longer than many questions.
infer = dict(
    partitioner=dict(type=NaivePartitioner, n=1000),
    runner=dict(type=LocalRunner, task=dict(type=OpenICLInferTask)),
)
eval = dict(
    partitioner=dict(type=NaivePartitioner, n=1000),
    runner=dict(type=LocalRunner, task=dict(type=OpenICLEvalTask)),
)
"""


def subject_of(name: str) -> str:
    """The subject that OpenCompass calls ``name`` (``ceval-logic``: logic); a name of no known benchmark is the subject itself."""
    return next((name.removeprefix(each.prefix) for each in BENCHMARKS.values() if name.startswith(each.prefix)), name)


def safe_name(subject: str, taken: Container[str] = ()) -> str:
    """``subject`` as the name of a file, unlike those that are ``taken``."""
    name = re.sub(r"[^\w.-]+", "_", subject).strip("._")[:80] or "subject"
    number = 2
    plain = name
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
