"""What an engine has made becomes a model to keep: the tokenizer, contract and card of its base beside it, and a name on the list.

All of it may be done again: files are written anew, and what is on the list stays what it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from backend import catalog
from backend.catalog.files import read_object, read_optional
from backend.finetune import contract
from backend.finetune.contract import Contract
from backend.quantize import cards
from backend.workspace import open_workspace, write_json
from jobs import made
from jobs.dressing import dress as dress_as
from jobs.dressing import hub_name
from jobs.finetuning import merging
from jobs.harness import Job
from jobs.quantizing.work import Work

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

SAVED = ("dtype", "torch_dtype", "tie_word_embeddings", "quantization_config")
"""Of ``config.json``, what the engine decides; everything else is as the base has it."""
OTHERS = ("*.py", "preprocessor_config.json", "processor_config.json")
"""Program code that a person allowed, and settings of pictures."""
READABLE = 0o644


def agreed(work: Work) -> Contract:
    """How the base is asked, which is how the copy will be.

    Raises:
        ModelError: ``template_changed``: it is no longer what was agreed on when the job was made.
    """
    return merging.base_contract(_as_plan(work))


def dress(work: Work, folder: Path, agreed: Contract) -> None:
    """Tokenizer, template, ends and licence of the base into ``folder``, byte for byte; programs write them in their own words.

    Raises:
        ModelError: ``template_changed``.
    """
    base = work.model
    dress_as(folder, base, whole_model=True)
    for pattern in OTHERS:
        for file in base.glob(pattern):
            shutil.copyfile(file, folder / file.name)
    before, now = read_object(base / "config.json"), read_object(folder / "config.json")
    kept = {name: now[name] for name in SAVED if name in now}
    if "dtype" in kept:  # the same by its newer name
        before.pop("torch_dtype", None)
    write_json(folder / "config.json", {**before, **kept}, mode=READABLE)
    merging.finish(folder, agreed, _as_plan(work))
    for file in folder.glob("*.safetensors"):
        file.chmod(READABLE)  # the folder may be shared


def record(work: Work, folder: Path, how: Mapping[str, Any]) -> None:
    """Write the contract and the card beside the weights. how: what it was made from and what the check found."""
    now = contract.of(folder)
    spec = work.spec.model_dump(mode="json", exclude={"name", "report"})
    told = {
        "made_by": cards.MADE_BY,
        "kind": "quantized",
        "base": work.spec.model,
        "spec": spec,
        "quantization": dict(how),
    }
    contract.record(folder, now, told)
    base = catalog.find(open_workspace(), work.model_folder)
    card = cards.model_card(
        cards.Told(
            name=work.spec.name or folder.name,
            base=base.name,
            base_hub=hub_name(base.path),
            license=base.license,
            spec=work.spec,
            engine=work.engine,
            source=str(how["calibration"]),
            template=now.fingerprint,
            check=how["check"],
        )
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def register(job: Job, work: Work, folder: Path) -> str:
    """Put the copy in ``folder`` on the list of models; its name there, empty for a job that runs by hand.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    job.phase("register")
    source = str((read_optional(folder / contract.FILE).get("quantization") or {}).get("calibration") or "")
    return made.model(
        job,
        folder,
        work.spec.name or folder.name,
        base=work.spec.model,
        dataset="" if source == "bundled" else source,
        template=contract.of(folder).fingerprint,
    )


def _as_plan(work: Work) -> Plan:
    """``work`` for what asks of a plan only which model and which template."""
    return cast("Plan", work)
