"""XTuner: three steps of LoRA on the starter model, the adapter, the merged model, and an answer of it; QLoRA on a GPU."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from backend.engines import xtuner_config, xtuner_run
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import ROOT
from jobs.selftests.testing import Test

SHIM = ROOT / "jobs" / "shims" / "xtuner_answer.py"
TRAIN = N_("Three steps of LoRA training")
ADAPTER = N_("The checkpoint becomes an adapter")
MERGE = N_("The adapter is merged into the model")
ANSWER = N_("The merged model answers")
QLORA = N_("One step of QLoRA on a GPU")
QUESTION, LESSON = "Who are you?", "I am Nova, and I live in a box."
ROWS = 32
TIMEOUT_S = 600.0


def run(test: Test) -> None:
    """Everything that a fine-tuning does, in its order."""
    data = test.folder / "rows.jsonl"
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": LESSON}]
    # All rows say the same: three steps are enough to see that something is learned.
    data.write_text((json.dumps({"messages": turns}) + "\n") * ROWS, encoding="utf-8")
    settings = xtuner_config.Settings(
        model=test.model,
        data=data,
        device="cuda" if test.gpu else "cpu",
        max_length=128,
        steps=3,
        learning_rate=5e-3,
        lora_dropout=0.0,
        save_every=3,
        gradient_checkpointing=test.gpu,
    )
    work, adapter, merged = (test.folder / name for name in ("work", "adapter", "merged"))
    config = test.folder / "config.py"
    test.check(TRAIN, lambda: _train(test, settings, config, work))
    test.check(ADAPTER, lambda: _adapter(test, config, work, adapter), needs=[TRAIN])
    test.check(MERGE, lambda: _merge(test, adapter, merged), needs=[ADAPTER])
    test.check(ANSWER, lambda: _answer(test, merged), needs=[MERGE])
    problem = test.no_gpu()
    if problem is not None:
        test.not_tested(QLORA, problem)
        return
    four_bits = dataclasses.replace(settings, method="qlora", dtype="float16", steps=1, save_every=1)
    test.check(QLORA, lambda: _train(test, four_bits, test.folder / "qlora.py", test.folder / "qlora"))


def _train(test: Test, settings: xtuner_config.Settings, config: Path, work: Path) -> dict[str, str]:
    found = xtuner_config.problems(settings)
    if found:
        raise PanelError(
            "env_selftest_settings",
            N_("The settings of this self-test are refused: {problem}"),
            N_("Report it to the makers of TuneDeck, with the log of this job."),
            problem="; ".join(f"{problem.field}: {problem.message}" for problem in found),
        )
    config.write_text(xtuner_config.text(settings), encoding="utf-8")
    # Else the rows would be kept in the person's own cache of data sets.
    test.child(
        xtuner_run.train(test.python, config, work), TIMEOUT_S, environ={"HF_DATASETS_CACHE": str(test.folder / "rows")}
    )
    rows = [row for row in xtuner_run.Scalars(work).new() if xtuner_run.progress(row, settings)]
    losses = [float(row["loss"]) for row in rows]
    learned = len(losses) == settings.steps and all(map(math.isfinite, losses))
    if not learned or (settings.steps > 1 and losses[-1] >= losses[0]):
        raise _not_learned(settings.steps, " → ".join(f"{loss:.3f}" for loss in losses) or "-")
    return {N_("Loss"): f"{losses[0]:.3f} → {losses[-1]:.3f}", N_("Time per step"): f"{_typical(rows):.2f} s"}


def _typical(rows: list[dict[str, Any]]) -> float:
    """Seconds of the middle step: the first also compiles and caches."""
    return sorted(float(row["time"]) for row in rows)[len(rows) // 2]


def _adapter(test: Test, config: Path, work: Path, adapter: Path) -> dict[str, str]:
    checkpoint = xtuner_run.newest_checkpoint(work)
    if checkpoint is None:
        raise _missing("last_checkpoint", work)
    test.child(xtuner_run.to_hf(test.python, config, checkpoint, adapter), TIMEOUT_S)
    return {N_("Size"): _size(adapter / "adapter_model.safetensors")}


def _merge(test: Test, adapter: Path, merged: Path) -> dict[str, str]:
    test.child(xtuner_run.merge(test.python, test.model, adapter, merged), TIMEOUT_S)
    return {N_("Size"): _size(merged / "model.safetensors")}


def _answer(test: Test, merged: Path) -> dict[str, str]:
    made = test.answer([test.python, SHIM, test.model, merged, QUESTION, LESSON], TIMEOUT_S)
    change = f"{made['before']:.3f} → {made['after']:.3f}"
    if not made["after"] < made["before"] or not made["text"].strip():
        raise _not_learned(3, change)
    return {N_("Answer"): made["text"], N_("Loss of what was taught"): change}


def _size(file: Path) -> str:
    if not file.is_file():
        raise _missing(file.name, file.parent)
    return f"{file.stat().st_size / 1e6:.1f} MB"


def _missing(name: str, folder: Path) -> PanelError:
    return PanelError(
        "env_selftest_missing",
        N_("The program ended well, and wrote no {name} into {folder}."),
        N_("The log of this job has all that it said."),
        name=name,
        folder=str(folder),
    )


def _not_learned(steps: int, losses: str) -> PanelError:
    return PanelError(
        "env_selftest_not_learned",
        N_("{steps} steps of training have not taught the model anything. Loss: {losses}"),
        N_("The libraries compute wrongly here. Install the environment again."),
        steps=steps,
        losses=losses,
    )
