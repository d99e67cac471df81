"""Where a training begins, and what its result is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.catalog.cards import ModelCard
from backend.finetune import files, result_names
from backend.finetune.faults import Faults, Way
from backend.finetune.files import Checkpoint
from backend.queue.folder import SPEC
from backend.said import _, joined
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace, read_json

ORDER = (
    "dataset",
    "version",
    "max_length",
    "packing",
    "batch_size",
    "accumulation",
    "gpus",
    "seed",
    "replay",
    "own_replay",
)
"""Fields that decide which rows a step sees."""


def check_name(workspace: Workspace, spec: FinetuneSpec, card: ModelCard | None, faults: Faults) -> str:
    """The name of the result: as asked for, or made of the model's and the dataset's."""
    usual = f"{card.name if card else spec.model} {spec.dataset}"
    return result_names.check(workspace, spec.name, usual, "finetune_name_taken", faults)


def check_start(workspace: Workspace, spec: FinetuneSpec, steps: int, faults: Faults) -> int:
    """The step at which it begins: 0, or that of the checkpoint to continue."""
    if not spec.start_from:
        return 0
    folder = Path(spec.start_from).expanduser()
    marker = files.read(folder / files.COMPLETE, Checkpoint)
    if marker is None:
        gone = not folder.is_dir()
        message = (
            _("The checkpoint {folder} is not there any more.")
            if gone
            else _("There is no whole checkpoint in {folder}.")
        )
        faults.add(
            "finetune_start_gone",
            "start_from",
            message.format(folder=spec.start_from),
            _("Choose another checkpoint, or begin from the base model."),
            ways=(Way(_("Begin from the base model"), {"start_from": ""}),),
        )
        return 0
    _check_like(spec, folder, faults)
    if spec.start_mode == "branch":
        return 0
    if steps and marker.step >= steps:
        more = {"epochs": round(spec.epochs * (marker.step / steps) * 1.5 + 0.5, 2), "max_steps": 0}
        faults.add(
            "finetune_start_done",
            "epochs",
            _("The checkpoint has done {done} steps, and this training would end after {steps}.").format(
                done=f"{marker.step:,}", steps=f"{steps:,}"
            ),
            _("Ask for more epochs, or begin with its weights only."),
            ways=(
                Way(_("Epochs: {epochs}").format(epochs=f"{more['epochs']:g}"), more),
                Way(_("Its weights only"), {"start_mode": "branch"}),
            ),
        )
    return marker.step


def _check_like(spec: FinetuneSpec, folder: Path, faults: Faults) -> None:
    """The run that made the checkpoint in ``folder`` trained the same numbers, and where it is continued, saw the same rows in
    the same order."""
    other = read_json(folder.parent.parent / SPEC)
    if not isinstance(other, dict):
        return
    # Runs from before there was this setting learned from all rows.
    other = {"own_replay": True, **other}
    mine = spec.model_dump(mode="json")
    whole = {spec.method, other.get("method")}
    names: tuple[str, ...] = ("model", "engine")
    if "full" not in whole:
        names += ("lora_rank", "target_modules")  # the same add-on, whatever its base is held in
    elif len(whole) > 1:
        names += ("method",)
    if spec.start_mode == "continue":
        names += ORDER
    fields = {name: other[name] for name in names if name in other and other[name] != mine[name]}
    if not fields.get("version", "-"):
        del fields["version"]  # its spec names none: its plan did
    if mine["engine"] == "peft" and mine["batch_size"] * mine["accumulation"] == _effective(other):
        # Smaller batches and more of them to a step: the same rows in the same order. That is what helps out of memory.
        for name in ("batch_size", "accumulation"):
            fields.pop(name, None)
    if not fields:
        return
    titles = [_(FinetuneSpec.model_fields[name].title or name) for name in fields]
    ways = [Way(_("Take the settings of that run"), fields)]
    if spec.start_mode == "continue" and not fields.keys() - set(ORDER):
        ways.append(Way(_("Its weights only"), {"start_mode": "branch"}))
    faults.add(
        "finetune_start_other",
        "start_from",
        _("The checkpoint to begin from was made with other settings: {names}.").format(names=joined(titles, ", ")),
        _("Take those of its run, or begin from another checkpoint."),
        ways=tuple(ways),
    )


def _effective(spec: dict[str, Any]) -> int:
    """Rows of a step on one GPU."""
    try:
        return int(spec["batch_size"]) * int(spec["accumulation"])
    except (KeyError, TypeError, ValueError):
        return 0
