"""Write the pickled weights of a model folder as safetensors, and put the result on the list: ``python -m jobs.convert SPEC.json``.

check     what is there, and whether there is room for it once more
convert   file by file: read with ``torch.load(weights_only=True)``, which runs no code; written; read again and compared
register  the whole folder moves into place and onto the list of models

Covered: one file or shards with an index, adapters, tensors that share memory, an older torch's file format, going on after a
kill. Not covered: weights that need code to be read (refused, naming it), and layouts of other programs (``consolidated.00.pth``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from backend import catalog, settings
from backend.catalog.files import size_text
from backend.catalog.weights import PICKLED, pickled_files
from backend.errors import ConflictError, ModelError, PanelError, WorkspaceError
from backend.i18n import N_
from backend.specs.convert import ConvertSpec
from backend.workspace import Workspace, open_workspace, read_json, write_json
from jobs import made
from jobs.harness import Job, main

MARKER = ".converted-from.json"
INDEX = "pytorch_model.bin.index.json"
NEW_INDEX = "model.safetensors.index.json"
LAYOUT = re.compile(r"(pytorch_model|adapter_model|model)(-\d{5}-of-\d{5})?\.bin")
GLOBAL = re.compile(r"(?:GLOBAL|global:?)\s+(?:GLOBAL\s+)?([\w.]+\.[\w.]+)")


def run(job: Job) -> dict[str, Any]:
    """The program; a stop leaves what was converted, and the next attempt goes on from there."""
    spec = job.spec_as(ConvertSpec)
    workspace = open_workspace()
    source = Path(spec.path)
    job.phase("check")
    files = weight_files(source)
    final = workspace.models / spec.list_name()
    partial = final.with_name(f".{final.name}.partial")
    total = sum(file.stat().st_size for file in files)
    if final.exists() and read_json(final / MARKER) != told(source, files):
        raise ConflictError(
            "model_name_taken",
            N_("There is already a model called '{model}', at {path}."),
            N_("Give this one another name."),
            model=final.name,
            path=str(final),
        )
    if not final.exists():  # else an attempt died when the list was all that was left to do
        with alone(partial):
            try:
                fill(job, workspace, source, files, partial)
                refuse_unusable(partial, final.name)
            except PanelError as error:
                # Another attempt comes to the same end, or has nothing to go on with.
                if isinstance(error, ModelError) or not any(partial.glob("*.safetensors")):
                    shutil.rmtree(partial)
                raise
            partial.rename(final)
    job.phase("register")
    name = register(job, final, spec)
    (final / MARKER).unlink()
    return {"complete": True, "model": str(final), "name": name, "files": len(files), "bytes": total}


@contextlib.contextmanager
def alone(partial: Path) -> Iterator[None]:
    """Hold ``partial``, made where it is not there.

    Raises:
        ConflictError: ``convert_busy``: another conversion writes there.
    """
    partial.mkdir(parents=True, exist_ok=True)
    held = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConflictError(
            "convert_busy",
            N_("Another conversion makes a model called '{model}' now."),
            N_("Wait for its end, or give this one another name."),
            model=partial.name.removeprefix(".").removesuffix(".partial"),
        ) from error
    finally:
        os.close(held)


def told(source: Path, files: list[Path]) -> dict[str, Any]:
    """What a folder is made from: what was converted of something else, or of files that have changed since, is of no use."""
    return {"path": str(source), "files": [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]}


def fill(job: Job, workspace: Workspace, source: Path, files: list[Path], partial: Path) -> None:
    """All weights and what lies beside them into ``partial``; what an earlier attempt wrote there stays.

    Raises:
        ModelError: see :func:`read` and :func:`convert`.
        WorkspaceError: ``convert_no_room``.
        Stopped: the person asked to stop.
    """
    if read_json(partial / MARKER) != told(source, files):
        for file in partial.iterdir():
            file.unlink()
        write_json(partial / MARKER, told(source, files))
    total = sum(file.stat().st_size for file in files)
    here = sum(file.stat().st_size for file in partial.glob("*.safetensors"))
    check_room(workspace, max(0, total - here))
    job.log(f"{len(files)} files, {size_text(total)}, from {source}")
    job.phase("convert")
    weight_map: dict[str, str] = {}
    done = 0
    for file in files:
        job.check_stop()
        target = partial / new_name(file.name)
        weight_map |= dict.fromkeys(convert(job, file, target), target.name)
        done += file.stat().st_size
        job.progress("convert", done, total)
    finish(source, partial, weight_map, len(files))


def refuse_unusable(folder: Path, name: str) -> None:
    """Nothing moves into place that the list would refuse.

    Raises:
        ModelError: what is wrong with it.
    """
    if (problem := catalog.card(folder, name).problem) is not None:
        raise problem


def check_room(workspace: Workspace, needed: int) -> None:
    """``needed`` bytes must fit, and what the settings reserve must stay free.

    Raises:
        WorkspaceError: ``convert_no_room``, with the figures.
    """
    free = shutil.disk_usage(workspace.models).free
    wanted = needed + settings.load(workspace).download_reserve_mib * 2**20
    if free < wanted:
        raise WorkspaceError(
            "convert_no_room",
            N_(
                "The converted model takes {needed}; with what must stay free that is {wanted}, and {folder} has {free}."
            ),
            N_("Make room there: delete finished jobs or models that are no longer needed."),
            needed=size_text(needed),
            wanted=size_text(wanted),
            folder=str(workspace.models),
            free=size_text(free),
        )


def weight_files(folder: Path) -> list[Path]:
    """The pickled files that make up the weights in ``folder``, in order.

    Raises:
        ModelError: ``convert_nothing`` or ``convert_layout``; or what is wrong with the folder.
    """
    try:
        pickled = pickled_files(folder)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            "model_missing",
            N_("There is no folder {folder}."),
            N_("Choose the folder that holds config.json and the weights."),
            folder=str(folder),
        ) from None
    fitting = [name for name in pickled if LAYOUT.fullmatch(name)]
    if not pickled or any(folder.glob("*.safetensors")):
        raise ModelError(
            "convert_nothing",
            N_("There is nothing to convert in {folder}: it holds safetensors files, or no weights at all."),
            N_("Choose a folder whose weights are pytorch_model.bin, or parts of it."),
            folder=str(folder),
        )
    if not fitting:
        raise _other_layout(folder, pickled[0])
    index = read_json(folder / INDEX)
    if isinstance(index, dict) and isinstance(index.get("weight_map"), dict):
        # A name is a name in this folder: what points elsewhere is missing here.
        named = sorted({Path(str(name)).name for name in index["weight_map"].values()})
        missing = [name for name in named if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                "model_missing_files",
                N_("{folder} is not whole: {missing} missing."),
                N_("Copy or download the missing files, then try again."),
                folder=str(folder),
                missing=", ".join(missing[:5]),
            )
        fitting = named
    return [folder / name for name in fitting]


def _other_layout(folder: Path, example: str) -> ModelError:
    return ModelError(
        "convert_layout",
        N_("The weights in {folder} are laid out for another program ({example})."),
        N_("Get the model in the layout of Hugging Face: config.json with pytorch_model.bin or safetensors files."),
        folder=str(folder),
        example=example,
    )


def new_name(name: str) -> str:
    """``pytorch_model-00001-of-00002.bin`` -> ``model-00001-of-00002.safetensors``."""
    return name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors"


def convert(job: Job, source: Path, target: Path) -> list[str]:
    """Write the tensors of ``source`` to ``target`` and compare; returns their names. What is there already was compared."""
    if target.exists():
        with safe_open(target, framework="pt") as written:
            return list(written.keys())
    tensors = read(source)
    left_out = sorted(name for name, value in tensors.items() if not isinstance(value, torch.Tensor))
    if left_out:
        job.log(f"{source.name}: no tensors, left out: {', '.join(left_out[:10])}")
    # Cloned: safetensors keeps no two names for one memory, and a model ties what belongs together when it is loaded.
    plain = {name: value.detach().clone().contiguous() for name, value in tensors.items() if name not in left_out}
    if not plain:
        raise _other_layout(source.parent, source.name)
    temporary = target.with_suffix(".tmp")
    save_file(plain, temporary, metadata={"format": "pt"})
    with safe_open(temporary, framework="pt") as written:
        # NaN is a value here, too: bytes are compared.
        wrong = [n for n in plain if not _same(written.get_tensor(n), plain[n])]
    if wrong:
        temporary.unlink()
        raise ModelError(
            "convert_differs",
            N_("What was written differs from {file} ({tensor}); the disk may be damaged."),
            N_("Try again, on another disk if it happens again."),
            file=str(source),
            tensor=wrong[0],
        )
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.rename(target)
    job.log(f"{source.name} -> {target.name}: {len(plain)} tensors")
    return list(plain)


def read(source: Path) -> Mapping[str, Any]:
    """The state dict in ``source``, without running any code in it.

    Raises:
        ModelError: ``convert_unsafe``: it would have to run; ``convert_unreadable``: it is cut off or no such file.
    """
    try:
        try:
            found = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            found = torch.load(source, map_location="cpu", weights_only=True)  # the format before torch 1.6
    except pickle.UnpicklingError as error:
        named = GLOBAL.search(str(error))
        if named is None:
            raise _unreadable(source, error) from error
        raise ModelError(
            "convert_unsafe",
            N_("{file} does not hold weights alone: reading it would run {program}. It was not read."),
            N_("Get the model in safetensors format from somebody whom you trust, or another model."),
            file=str(source),
            program=named[1],
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _unreadable(source, error) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    return found if isinstance(found, Mapping) else {}


def _unreadable(source: Path, error: Exception) -> ModelError:
    return ModelError(
        "convert_unreadable",
        N_("{file} cannot be read as weights: {problem}"),
        N_("The file may be cut off: compare its size with where it comes from, and copy it again."),
        file=str(source),
        problem=(str(error).strip().splitlines() or [type(error).__name__])[0],
    )


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


def finish(source: Path, partial: Path, weight_map: dict[str, str], files: int) -> None:
    """The index of several files, and all that lies beside the weights, links followed."""
    if files > 1:
        size = sum(file.stat().st_size for file in partial.glob("*.safetensors"))
        write_json(partial / NEW_INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map}, mode=0o644)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name != INDEX and not file.name.startswith(".") and not file.name.endswith(PICKLED):
            shutil.copyfile(file, partial / file.name)


def register(job: Job, folder: Path, spec: ConvertSpec) -> str:
    """Onto the list, with where it comes from; returns its name there."""
    kind = "adapter" if catalog.card(folder).adapter_of else "model"
    return made.model(job, folder, spec.list_name(), kind=kind, base=spec.path) or folder.name


if __name__ == "__main__":
    raise SystemExit(main("convert", run))
