"""OpenCompass as it is, one set of questions at a time: ``python opencompass_run.py CONFIG --work-dir DIR --debug …``, its own arguments.

Three things differ from ``python -m opencompass.cli.main``. A set is scored as soon as it is asked, not when all are: by its own task, from its own files,
so that the numbers are its numbers. A set that cannot be read is told and left out, and the others go on; it would end with all of them. And the configs
that it writes while it starts are not made pretty, which takes seconds. Whatever concerns the whole run (no server, no memory, no module) ends it as before.

What happens goes to the file ``OPENCOMPASS_WATCH``, a line each:

    {"what": "sets", "model", "names"}                   what is to be asked, before the first question
    {"what": "begin", "name"}                            a set is being asked
    {"what": "scored", "name", "version", "mode"}        its score lies in results/
    {"what": "failed", "name", "error", "lines"}         why not, with the end of the traceback

``OPENCOMPASS_SCORE`` empty: scores wait for the end, for configs whose scores need all answers.
"""

from __future__ import annotations

import copy
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from mmengine.config import Config  # type: ignore[import-not-found]
from mmengine.config import config as mmengine_config
from opencompass.cli.main import main as opencompass  # type: ignore[import-not-found]  # in its environment
from opencompass.tasks import OpenICLEvalTask, OpenICLInferTask  # type: ignore[import-not-found]
from opencompass.utils import dataset_abbr_from_cfg, get_prompt_hash, model_abbr_from_cfg  # type: ignore[import-not-found]

mmengine_config.FormatCode = lambda text, **_options: (text, False)

WHOLE = ("Calling OpenAI", "out of memory", "not enough memory", "No space left")
"""Words of an error that the next set would meet as well."""
TOO_LONG = ("context_length", "context length", "exceeds max_seq_len", "is less than or equal to 0")
LINES = 12

ask_all: Callable[..., None] = OpenICLInferTask.run
score_all: Callable[..., None] = OpenICLEvalTask.run
failed: set[str] = set()


def tell(what: str, **values: Any) -> None:
    """A line for who watches."""
    with open(os.environ["OPENCOMPASS_WATCH"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "t": time.time(), **values}, ensure_ascii=False) + "\n")


def each(task: Any) -> Iterator[tuple[Any, Any, str]]:
    """The model, the set and its name, one after the other; ``task`` has only these meanwhile."""
    models, sets = task.model_cfgs, task.dataset_cfgs
    try:
        for model, some in zip(models, sets, strict=True):
            for one in some:
                task.model_cfgs, task.dataset_cfgs = [model], [[one]]
                yield model, one, dataset_abbr_from_cfg(one)
    finally:
        task.model_cfgs, task.dataset_cfgs = models, sets


def ask(task: Any, cur_model: Any = None, cur_model_abbr: str | None = None) -> None:
    """In the place of ``OpenICLInferTask.run``."""
    for model, some in zip(task.model_cfgs, task.dataset_cfgs, strict=True):
        tell("sets", model=model_abbr_from_cfg(model), names=[dataset_abbr_from_cfg(one) for one in some])
    for model, one, name in each(task):
        # Asking puts the model into it.
        untouched = copy.deepcopy(one)
        tell("begin", name=name)
        try:
            ask_all(task, cur_model, cur_model_abbr)
            cur_model, cur_model_abbr = task.model, model_abbr_from_cfg(model)
        except Exception as error:
            tell_failed(name, error)
            if of_all(task, error):
                raise
            cur_model, cur_model_abbr = task.model, model_abbr_from_cfg(model)
            continue
        if os.environ.get("OPENCOMPASS_SCORE"):
            cell = {"models": [model], "datasets": [[untouched]], "work_dir": task.work_dir}
            score(OpenICLEvalTask(Config({**cell, "eval": {"runner": {"task": {"dump_details": True}}}})))


def score(task: Any) -> None:
    """In the place of ``OpenICLEvalTask.run``."""
    for _model, one, name in each(task):
        if name in failed:
            continue
        untouched = copy.deepcopy(one)
        try:
            score_all(task)
        except Exception as error:
            tell_failed(name, error)
            if of_all(task, error):
                raise
            continue
        version = mode = ""
        with suppress(Exception):
            mode = "ppl" if "PPL" in str(untouched["infer_cfg"]["inferencer"]["type"]) else "gen"
        with suppress(Exception):
            version = get_prompt_hash(untouched)[:6]
        tell("scored", name=name, version=version, mode=mode)


def of_all(task: Any, error: Exception) -> bool:
    """Whether the next set would fail in the same way."""
    text = f"{type(error).__name__}: {error}"
    # What the server answered stands in the log alone.
    if any(word in text for word in TOO_LONG):
        return False
    no_model = isinstance(task, OpenICLInferTask) and not hasattr(task, "model")
    return no_model or isinstance(error, ImportError | MemoryError) or any(word in text for word in WHOLE)


def tell_failed(name: str, error: Exception) -> None:
    """Why ``name`` has no score."""
    failed.add(name)
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    tell("failed", name=name, error=f"{type(error).__name__}: {error}", lines=lines[-LINES:])
    print("\n".join(lines), flush=True)  # noqa: T201 - standard output is the log


if __name__ == "__main__":
    OpenICLInferTask.run = ask
    OpenICLEvalTask.run = score
    opencompass()
