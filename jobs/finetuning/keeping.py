"""What a training made becomes something to keep: its tokenizer, its contract and its card beside it, and a name on the list.

``register`` and ``capsule`` may be called again: what is on the list stays what it is, files are written anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend import catalog
from backend.catalog.files import read_optional
from backend.errors import WorkspaceError
from backend.finetune import capsule as capsules
from backend.finetune import cards, contract, files, xtuner
from backend.finetune.contract import Contract
from backend.finetune.proof import Proof
from backend.workspace import open_workspace, read_json, write_json
from jobs import made
from jobs.dressing import TOKENIZER, dress, hub_name
from jobs.finetuning import merging, recipes
from jobs.finetuning.types import Trained
from jobs.harness import Job

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

HERE = Path(__file__).parent
ROWS = ".rows.npz"
MOST_ROWS, MOST_HASHED = 256 << 20, 4 << 30
"""Bytes: of rows that still go into the capsule (before they are packed), and of a file whose digest is still taken."""
NOT_TOLD = {"sample_prompts", "config_text", "start_from"}
"""Fields of the spec that stay with the job: long, or of this machine only."""


def register(job: Job, plan: Plan, trained: Trained, merged: Path | None, proof: Proof | None) -> dict[str, str]:
    """Complete what was made and put it on the list of models; returns ``model`` and ``adapter``, their names there (empty for a
    job that runs by hand, outside the queue).

    A merged model has the name of the run, and its adapter that name with ``-adapter``.

    Raises:
        ModelError: ``template_changed``: the base is no longer what the run was planned with.
        WorkspaceError: the disk is full or read-only.
    """
    agreed = merging.base_contract(plan)
    whole = merged or trained.model
    found: dict[str, str] = {}
    if whole is not None:
        if merged is None:
            dress(whole, Path(plan.model_folder), whole_model=True)
            merging.finish(whole, agreed, plan)
        kind: cards.Kind = "merged" if merged is not None else "full"
        found["model"] = _list(job, plan, trained, whole, kind, plan.spec.name, contract.of(whole), proof)
    if trained.adapter is not None:
        base = Path(plan.model_folder)
        _dress_adapter(trained.adapter, base)
        own = contract.of(trained.adapter, base)
        # Without a tokenizer it has that of its base, with the template that was chosen there.
        now = own if own.template else agreed
        contract.check(plan.spec.model, agreed.fingerprint, now, agreed)
        name = f"{plan.spec.name}-adapter" if whole is not None else plan.spec.name
        found["adapter"] = _list(job, plan, trained, trained.adapter, "adapter", name, now, proof)
    return found


def _list(
    job: Job,
    plan: Plan,
    trained: Trained,
    folder: Path,
    kind: cards.Kind,
    name: str,
    now: Contract,
    proof: Proof | None,
) -> str:
    spec = plan.spec
    record = read_optional(folder / contract.FILE)
    told = {
        "made_by": cards.MADE_BY,
        "kind": kind,
        "base": spec.model,
        "dataset": spec.dataset,
        "version": spec.version,
        "step": trained.step,
        "steps": trained.steps,
        "loss": trained.loss,
        "eval_loss": trained.eval_loss,
        "ended": trained.ended,
        "spec": spec.model_dump(mode="json", exclude=NOT_TOLD),
        **({"merge": record["merge"]} if "merge" in record else {}),
    }
    contract.record(folder, now, told)
    card = cards.model_card(_told(job, plan, trained, folder, kind, name or folder.name, now, proof))
    (folder / "README.md").write_text(card, encoding="utf-8")
    return made.model(
        job,
        folder,
        name or folder.name,
        kind="adapter" if kind == "adapter" else "model",
        base=spec.model,
        dataset=f"{spec.dataset}@{spec.version}" if spec.version else spec.dataset,
        template=now.fingerprint,
    )


def _told(
    job: Job,
    plan: Plan,
    trained: Trained,
    folder: Path,
    kind: cards.Kind,
    name: str,
    now: Contract,
    proof: Proof | None,
) -> cards.Told:
    base = catalog.find(open_workspace(), plan.model_folder)
    rows = rows_record(job.dir)
    asked = files.samples(job.dir)
    merge = read_optional(folder / contract.FILE).get("merge")
    return cards.Told(
        name=name,
        kind=kind,
        base=base.name,
        base_hub=hub_name(base.path),
        license=base.license,
        dataset=plan.spec.dataset,
        version=plan.spec.version,
        data_hash=str(rows.get("fingerprint") or ""),
        rows=int(rows.get("train_rows") or plan.rows),
        spec=plan.spec,
        step=trained.step,
        steps=trained.steps,
        loss=trained.loss,
        eval_loss=trained.eval_loss,
        ended=trained.ended,
        template=now.fingerprint,
        proof=proof,
        check=dict(merge["check"]) if isinstance(merge, dict) and isinstance(merge.get("check"), dict) else {},
        question=asked[0].question if asked else "Who are you?",
    )


def rows_record(job_dir: Path) -> dict[str, Any]:
    """What the run wrote about its rows (:mod:`jobs.finetuning.rows`); empty where it wrote nothing."""
    data = read_json(job_dir / "rows" / "rows.json")
    return data if isinstance(data, dict) else {}


def _dress_adapter(adapter: Path, base: Path) -> None:
    """The tokenizer that it was trained with, byte for byte as its base has it; and the folder of its base in its settings.

    A base whose template was chosen on the Models page keeps its tokenizer to itself: the choice, and the tokens at which
    answers then end, stand in the list and not in its files.
    """
    if catalog.chosen_template(open_workspace(), base) is None:
        dress(adapter, base, whole_model=False)
    else:
        for name in TOKENIZER:
            (adapter / name).unlink(missing_ok=True)
    (adapter / "generation_config.json").unlink(missing_ok=True)
    settings = read_optional(adapter / "adapter_config.json")
    if settings.get("base_model_name_or_path") != str(base):
        write_json(adapter / "adapter_config.json", {**settings, "base_model_name_or_path": str(base)}, mode=0o644)


def capsule(job: Job, plan: Plan, trained: Trained) -> Path | None:
    """Everything that is needed to understand and to repeat the run, as one file in the job's folder (see
    :mod:`backend.finetune.capsule`); None where there is no room for it, which the log says: what was made is there."""
    workspace = open_workspace()
    base = catalog.find(workspace, plan.model_folder)
    kept, recipe, rows_told = _repeating(job, plan)
    recipe |= {
        "base": base.name,
        "base_hub": hub_name(base.path),
        "base_files": _digests(base.path),
        "dataset": plan.spec.dataset,
        "version": plan.spec.version,
        "data": rows_record(job.dir) | rows_told,
        "template": plan.spec.template,
        "kept_step": trained.step,
        "ran_on": capsules.versions(),
    }
    texts = {
        "README.md": cards.capsule_readme(plan.spec, recipe),
        "recipe.json": capsules.as_json(recipe),
        "spec.json": capsules.as_json(plan.spec.model_dump(mode="json")),
        "figures.csv": capsules.figures(job.dir),
        "log.txt": capsules.log(job.dir),
        "environment.txt": capsules.environment(),
        "requirements.txt": capsules.requirements(["bitsandbytes"] if plan.spec.method == "qlora" else []),
    }
    made_here = trained.adapter or trained.model
    for name, file in {
        "plan.json": job.dir / files.PLAN,
        "rehearsal.json": job.dir / files.REHEARSAL,
        "proof.json": job.dir / files.PROOF,
        "samples.jsonl": job.dir / files.SAMPLES,
        "training.json": (made_here or job.dir) / contract.FILE,
    }.items():
        if file.is_file():
            texts[name] = file.read_text(encoding="utf-8", errors="replace")
    if xtuner.CONFIG in kept:  # written by hand, perhaps: scrubbed like any text
        texts[xtuner.CONFIG] = kept.pop(xtuner.CONFIG).read_text(encoding="utf-8", errors="replace")
    elif plan.config:
        texts["config.json"] = plan.config
    target = job.dir / files.CAPSULE
    try:
        capsules.write(target, texts, kept, capsules.Cleaner(workspace))
    except WorkspaceError as error:
        job.log(f"no capsule: {error}")
        return None
    finally:
        (job.dir / ROWS).unlink(missing_ok=True)
    job.artifact("file", target, label=target.name)
    return target


def _repeating(job: Job, plan: Plan) -> tuple[dict[str, Path], dict[str, Any], dict[str, Any]]:
    """(files for the capsule, the recipe so far, what it says of the rows), by the engine that trained."""
    if plan.spec.engine == "xtuner":
        home = job.dir / files.XTUNER
        names = (xtuner.CONFIG, xtuner.ROWS, xtuner.VALIDATION, "deepspeed.json")
        kept = {name: home / name for name in names if (home / name).is_file() and _small(home / name)}
        recipe = {"format": 1, "engine": "xtuner", "seed": plan.spec.seed, "model_in_config": plan.model_folder}
        return {**kept, "repeat.py": HERE / "repeat_xtuner.py"}, recipe, {"in_capsule": xtuner.ROWS in kept}
    recipe = read_optional(job.dir / recipes.FILE)
    kept = {"repeat.py": HERE / "repeat.py"}
    found = recipes.rows(job.dir, recipe)
    told: dict[str, Any] = {"in_capsule": False}
    if found is not None and sum(one.nbytes for one in found.values()) <= MOST_ROWS:
        with (job.dir / ROWS).open("wb") as out:
            np.savez(out, allow_pickle=False, **found)
        kept["rows.npz"] = job.dir / ROWS
        told = {"in_capsule": True, "sha256": _sha256(job.dir / ROWS)}
    return kept, recipe, told


def _small(file: Path) -> bool:
    return file.stat().st_size <= MOST_ROWS


def _digests(base: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of the files that make up the base; of very large ones the size alone, which takes no minutes."""
    found = {}
    for file in sorted(base.iterdir()):
        if file.is_file() and (file.suffix == ".safetensors" or file.name in ("config.json", *TOKENIZER)):
            size = file.stat().st_size
            found[file.name] = {"bytes": size, "sha256": _sha256(file) if size <= MOST_HASHED else ""}
    return found


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
