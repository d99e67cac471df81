"""An adapter written into a copy of its base, ready to be served: file by file, then compared with what was trained.

merge     each file of the weights is written anew with what the adapter adds; then what lies beside the weights
check     base with adapter, and the copy: the same logits on real prompts (:mod:`jobs.finetuning.merge_check`)

The base is only read. A kill leaves the files that are whole, and the next attempt goes on behind them; the folder gets its
name when all is done. With full fine-tuning there is nothing to merge.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from backend import catalog, settings
from backend.catalog.files import PICKLED, read_object, read_optional, size_text
from backend.catalog.weights import INDEX, read_header
from backend.errors import ModelError, WorkspaceError
from backend.finetune import contract, files
from backend.i18n import N_
from backend.workspace import open_workspace, read_json, write_json
from jobs.finetuning import merge_check, shards
from jobs.finetuning.lora_weights import WEIGHTS, Adapter
from jobs.finetuning.types import Trained
from jobs.harness import Job

if TYPE_CHECKING:
    from backend.finetune.plan import Plan

PARTIAL, MARKER = ".merged.partial", ".merging.json"
NOT_COPIED = ("README.md", "tunedeck.json", contract.FILE, INDEX, "training_args.bin")
HEAD = "lm_head.weight"
HEADS = (HEAD, "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")


def merge(job: Job, plan: Plan, trained: Trained) -> Path | None:
    """The merged model in the job's folder; None where there is nothing to merge, or the base is quantized.

    What an earlier attempt finished stays; where the adapter or the base has changed since, all is made anew.

    Raises:
        ModelError: ``template_changed``: the base's template is no longer the one that was agreed on; ``merge_differs``; what
            is wrong with base or adapter. WorkspaceError: ``merge_no_room``. Stopped: the person asked to stop.
    """
    if trained.adapter is None or not plan.spec.merge:
        return None
    base, final = Path(plan.model_folder), job.dir / files.MERGED
    card = catalog.card(base, plan.spec.model)
    if card.problem is not None:
        raise card.problem
    if card.quantization:
        job.log(f"not merged: the weights of {base} are quantized ({card.quantization}); the adapter is served on top")
        return None
    job.phase("merge")
    agreed = base_contract(plan)
    told = made_from(base, trained.adapter)
    if (read_optional(final / contract.FILE).get("merge") or {}).get("from") == told:
        (final / MARKER).unlink(missing_ok=True)
        job.log(f"merged already: {final}")
        return final
    shutil.rmtree(final, ignore_errors=True)
    partial = job.dir / PARTIAL
    try:
        _fill(job, base, trained.adapter, partial, told)
        finish(partial, agreed, plan)
        job.phase("check")
        found = merge_check.check(job, plan, trained.adapter, partial)
        contract.record(partial, contract.of(partial), {"merge": {"from": told, "check": found.to_dict()}})
    except ModelError:
        # Another attempt comes to the same end.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except (OSError, WorkspaceError) as error:
        if not _full(error):
            raise
        # Half a model helps nobody, and what goes on here needs the room.
        shutil.rmtree(partial, ignore_errors=True)
        raise _no_room(job.dir, card.size_bytes) from error
    partial.rename(final)
    (final / MARKER).unlink()
    return final


def base_contract(plan: Plan) -> contract.Contract:
    """The contract of the plan's base as it is now.

    Raises:
        ModelError: ``template_changed``.
    """
    base = Path(plan.model_folder)
    chosen = catalog.chosen_template(open_workspace(), base)
    found = contract.of(base, chosen=chosen.template if chosen else "")
    contract.check(plan.spec.model, plan.spec.template, found)
    return found


def made_from(base: Path, adapter: Path) -> dict[str, Any]:
    """What a merged model is made from: it is good for exactly that. JSON-able."""
    with (adapter / WEIGHTS).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settings = hashlib.sha256((adapter / "adapter_config.json").read_bytes()).hexdigest()
    weights = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in _weights(base)]
    return {"base": weights, "adapter": digest, "settings": settings}


def _weights(base: Path) -> list[Path]:
    index = read_object(base / INDEX).get("weight_map") if (base / INDEX).is_file() else None
    if isinstance(index, dict):
        return [base / name for name in sorted({str(name) for name in index.values()})]
    whole = base / "model.safetensors"
    return [whole] if whole.is_file() else sorted(base.glob("*.safetensors"))


def _fill(job: Job, base: Path, folder: Path, partial: Path, told: dict[str, Any]) -> None:
    """All weights into ``partial``; what an earlier attempt wrote there stays."""
    if read_json(partial / MARKER) != told:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write_json(partial / MARKER, told)
    weights = _weights(base)
    total = sum(file.stat().st_size for file in weights)
    here = sum(file.stat().st_size for file in partial.glob("*.safetensors"))
    free = shutil.disk_usage(job.dir).free
    if free < total - here + settings.load(open_workspace()).download_reserve_mib * 2**20:
        shutil.rmtree(partial)
        raise _no_room(job.dir, total - here)
    headers = {file: read_header(file) for file in weights}
    began, before, done = time.monotonic(), 0, 0

    def step(size: int) -> None:
        nonlocal done
        job.check_stop()
        done += size
        spent = time.monotonic() - began
        left = spent / max(1, done - before) * (total - done) if done > before else None
        job.progress("merge", done, total, left)

    with Adapter(folder) as adapter:
        places = adapter.places(name for header in headers.values() for name in header)
        untied = _untie(places, headers)
        names = _names(weights, bool(untied))
        for file in weights:
            target = partial / names[file]
            if target.exists():  # it got this name when it was whole
                before += file.stat().st_size
                done += file.stat().st_size
                continue
            changes = {
                name: lambda weight, ours=places[name]: adapter.changed(ours, weight)
                for name in headers[file]
                if name in places
            }
            shards.rewrite(file, target, changes, step)
            job.log(f"{file.name} -> {target.name}: {len(changes)} of {len(headers[file])} matrices changed")
        if untied:
            _write_head(headers, untied, adapter, places, partial / _part(len(weights) + 1, len(weights) + 1))
    _side_files(base, partial, untied=bool(untied))
    if len(weights) > 1 or untied:
        _index(partial)


def _untie(places: dict[str, str], headers: dict[Path, dict[str, Any]]) -> str:
    """The name of the embedding where one matrix serves both ends of the model and the adapter changed one of them only: then
    the copy has two."""
    names = [name for header in headers.values() for name in header]
    embedding = next((name for name in names if name.endswith(EMBEDDINGS)), "")
    tied = not any(name.endswith(HEADS) for name in names)
    return embedding if tied and (HEAD in places or embedding in places) else ""


def _write_head(
    headers: dict[Path, dict[str, Any]],
    embedding: str,
    adapter: Adapter,
    places: dict[str, str],
    target: Path,
) -> None:
    if target.exists():
        return
    file = next(file for file, header in headers.items() if embedding in header)
    with safe_open(file, framework="pt") as tensors:
        weight: torch.Tensor = tensors.get_tensor(embedding)
    shards.write_new(target, {HEAD: adapter.changed(places[HEAD], weight) if HEAD in places else weight})


def _names(weights: list[Path], more: bool) -> dict[Path, str]:
    if not more:
        return {file: file.name for file in weights}
    return {file: _part(n, len(weights) + 1) for n, file in enumerate(weights, 1)}


def _part(number: int, total: int) -> str:
    return f"model-{number:05d}-of-{total:05d}.safetensors"


def _side_files(base: Path, partial: Path, *, untied: bool) -> None:
    """All that lies beside the weights, links followed; what tells of the base itself is left out."""
    for file in sorted(base.iterdir()):
        name = file.name
        if (
            name.startswith(".")
            or name in NOT_COPIED
            or name.endswith((*PICKLED, ".safetensors", ".gguf", ".index.json"))
        ):
            continue
        if file.is_file():
            shutil.copyfile(file, partial / name)
        elif name == "additional_chat_templates":
            shutil.copytree(file, partial / name, dirs_exist_ok=True)
    if untied:
        config = read_object(partial / "config.json")
        write_json(partial / "config.json", {**config, "tie_word_embeddings": False}, mode=0o644)


def _index(partial: Path) -> None:
    weight_map: dict[str, str] = {}
    size = 0
    for file in sorted(partial.glob("*.safetensors")):
        header = read_header(file)
        weight_map |= dict.fromkeys(header, file.name)
        size += sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in header.values())
    write_json(partial / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map}, mode=0o644)


def finish(folder: Path, agreed: contract.Contract, plan: Plan) -> None:
    """The whole model in ``folder`` as it is to be asked: with the template that a person chose for its base, and the tokens
    that end its answers.

    Raises:
        ModelError: ``template_changed``: a file in the copy is not what was agreed on.
    """
    chosen = catalog.chosen_template(open_workspace(), Path(plan.model_folder))
    if chosen is not None and not contract.of(Path(plan.model_folder)).template:
        (folder / "chat_template.jinja").write_text(chosen.template, encoding="utf-8")
        _end_with(folder, chosen.ends)
        return  # it ends where the template ends, too: more than its base says
    contract.check(folder.name, agreed.fingerprint, contract.of(folder), agreed)


def _end_with(folder: Path, texts: tuple[str, ...]) -> None:
    tokenizer = read_optional(folder / "tokenizer.json")
    added, model = tokenizer.get("added_tokens"), tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: dict[Any, Any] = dict(vocabulary) if isinstance(vocabulary, dict) else {}
    ids |= (
        {one.get("content"): one.get("id") for one in added if isinstance(one, dict)} if isinstance(added, list) else {}
    )
    more = [ids[text] for text in texts if isinstance(ids.get(text), int)]
    known = contract.of(folder).eos
    generation = read_optional(folder / "generation_config.json")
    ends = [*known, *(one for one in more if one not in known)]
    write_json(folder / "generation_config.json", {**generation, "eos_token_id": ends}, mode=0o644)


def _full(error: Exception) -> bool:
    if isinstance(error, WorkspaceError):
        return error.code == "workspace_full"
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _no_room(folder: Path, needed: int) -> WorkspaceError:
    return WorkspaceError(
        "merge_no_room",
        N_("The merged model takes {needed}, and the disk that holds {folder} has {free}. The adapter is safe."),
        N_(
            "Make room there: delete finished jobs or models that are no longer needed. Then resume the job: it goes on with "
            "the merge. Or serve the adapter on top of its base."
        ),
        needed=size_text(needed),
        folder=str(folder),
        free=size_text(shutil.disk_usage(folder).free),
    )
