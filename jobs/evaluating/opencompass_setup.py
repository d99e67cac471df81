"""What a run of OpenCompass needs before it starts, in a folder of its own in the job's:

config.py      what is asked; filled in anew at each start, since a server may have moved
data/          the questions, where they are not asked from their own folder
tokenizer/     the vocabulary alone, to count prompts with; model/: links to a model that OpenCompass loads itself
out/<time>/    OpenCompass's own output: predictions/, results/, summary/; a second attempt goes on in the newest
output.log     all that it printed
watch.jsonl    what it does, see jobs/shims/opencompass_run.py
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backend.catalog import ModelCard
from backend.engines import opencompass_config as oc
from backend.engines import opencompass_edit, opencompass_folder, opencompass_text
from backend.envs.status import Status
from backend.errors import ModelError, PanelError
from backend.evaluate import opencompass_sets, sets
from backend.evaluate.opencompass_sets import Prepared, Questions
from backend.evaluate.questions import Question
from backend.i18n import N_
from backend.workspace import ROOT
from jobs.evaluating import opencompass_child
from jobs.evaluating.work import Served, Work

HOME = "opencompass"
CONFIG, OUT, DATA, ASKED = "config.py", "out", "data", "asked.txt"
CONTEXT = 4096
"""Of a server that does not say how much it reads."""
SPARE = ROOT / "models" / "starter"
"""Its tokenizer counts where the model's own is not on this machine: too many tokens rather than too few."""


@dataclass(frozen=True)
class Setup:
    """home: the folder. found: the environment. prepared: what is asked. questions: by subject. text: the config with its places open. values: for
    them, but for the server's. edited: a person has changed the config."""

    home: Path
    found: Status
    prepared: Prepared
    questions: Mapping[str, list[Question]]
    text: str
    values: Mapping[str, str | int]
    edited: bool

    @property
    def out(self) -> Path:
        """Where OpenCompass writes to."""
        return self.home / OUT


def set_up(work: Work) -> Setup:
    """Write what can be written before the start.

    Raises:
        PanelError: OpenCompass cannot do this, and what to do.
    """
    spec = work.spec
    found = opencompass_child.environment(work.workspace)
    questions = work.subjects()
    chosen = sets.get(work.workspace, spec.questions)
    gpus = 1 if found.flavour == "cuda" and work.job.gpus else 0
    prepared = opencompass_sets.prepare(spec, chosen.kind, questions, gpus)
    if prepared.refused and not prepared.names:
        raise next(iter(prepared.refused.values()))
    if not spec.subjects:
        bad = {one.name: PanelError.from_dict(one.problem) for one in chosen.subjects if one.problem}
        prepared = replace(prepared, refused={**prepared.refused, **bad})
    if spec.config:
        opencompass_edit.check(spec.config)
    home = work.folder / HOME
    home.mkdir(parents=True, exist_ok=True)
    _forget_others(home, questions)
    text = spec.config or opencompass_text.text(prepared.asked)
    values = {"data_folder": str(_data(work, home, prepared, questions)), **_model(work, home)}
    return Setup(home, found, prepared, questions, text, values, bool(spec.config))


def write_config(setup: Setup, served: Served | None) -> Path:
    """The config of the next start, by the route of ``served`` where there is one."""
    values = dict(setup.values)
    if served is not None:
        tokenizer = str(setup.home / "tokenizer")
        length = served.context_length or CONTEXT
        values |= opencompass_text.server_values(served.base_url, served.model, tokenizer, length)
    path = setup.home / CONFIG
    path.write_text(opencompass_edit.fill(setup.text, values), encoding="utf-8")
    return path


def _forget_others(home: Path, questions: Questions) -> None:
    """Answers to other questions than those that are asked now are no part of it."""
    keys = "\n".join(question.key for some in questions.values() for question in some)
    digest = hashlib.sha256(keys.encode()).hexdigest()
    if (home / ASKED).is_file() and (home / ASKED).read_text() != digest:
        shutil.rmtree(home / OUT, ignore_errors=True)
        shutil.rmtree(home / DATA, ignore_errors=True)
    (home / ASKED).write_text(digest)


def _data(work: Work, home: Path, prepared: Prepared, questions: Questions) -> Path:
    name, examples, source = work.spec.questions, {}, None
    if prepared.asked.kind in oc.BENCHMARKS:
        examples = {subject: sets.examples(work.workspace, name, subject) for subject in questions}
        source = sets.folder(work.workspace, name)
    return opencompass_sets.write(home / DATA, prepared, questions, examples, source)


def _model(work: Work, home: Path) -> dict[str, str | int]:
    """What the config is filled with about the model itself."""
    if work.served is not None:
        tokenizer = work.tokenizer_path
        known = tokenizer if tokenizer is not None and (tokenizer / "tokenizer.json").is_file() else SPARE
        oc.write_tokenizer(known, home / "tokenizer")
        return {}
    path = work.model_path
    if _is_adapter(work.card):
        raise ModelError(
            "opencompass_adapter",
            N_("'{model}' is an adapter, and OpenCompass loads whole models."),
            N_("Evaluate it through a server, or merge it into its base first."),
            model=work.spec.model,
        )
    return {"model_folder": str(opencompass_folder.loadable(path or Path(work.spec.model), home / "model"))}


def _is_adapter(card: ModelCard | None) -> bool:
    return card is not None and bool(card.adapter_of)
