"""The capsule of a run: one file with everything that is needed to understand it and to repeat it elsewhere, and no secret.

    README.md           what it is, and how to repeat it
    repeat.py           the program that does, with torch, transformers and peft alone
    recipe.json         all settings as they were settled; base and data with their digests
    rows.npz            the rows as tokens, where they are not too large
    spec.json, plan.json, training.json, proof.json, config.*
    figures.csv         what was measured, a line a step
    requirements.txt    the packages that it takes; environment.txt: all that were there
    log.txt             what the job said

Texts are scrubbed: values of variables and files that hold secrets, whatever looks like one, and where home and workspace are.
Rows are data: who may have them, is for the person to know who gives the file away; its README says that they are in it.
"""

from __future__ import annotations

import csv
import io
import json
import netrc
import os
import platform
import re
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from backend.doctor import masking
from backend.finetune import files
from backend.queue.events import read_events
from backend.workspace import Workspace, explain_os_error

MOST_LOG = 20 << 20
"""Of a longer log its beginning and its end are kept."""
NEEDED = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "numpy")
ELSEWHERE = ("~/.netrc", "~/.cache/huggingface/token", "~/.huggingface/token", "~/.git-credentials")


def write(target: Path, texts: Mapping[str, str], kept: Mapping[str, Path], clean: Cleaner) -> Path:
    """The zip file ``target`` of ``texts``, scrubbed, and the files ``kept``, as they are. It appears whole or not at all.

    Raises:
        WorkspaceError: the disk is full or read-only.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as out:
            for name, text in texts.items():
                out.writestr(name, clean(text))
            for name, path in kept.items():
                out.write(path, name)
        temporary.replace(target)
    except OSError as error:
        raise explain_os_error(error, target.parent) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


class Cleaner:
    """Takes secrets out of texts, and the names of folders that are this person's own."""

    def __init__(self, workspace: Workspace, environ: Mapping[str, str] = os.environ) -> None:
        self.secrets = masking.known(environ) | _kept_secrets(workspace)
        self.folders = {str(workspace.root): "WORKSPACE", str(Path.home()): "~"}

    def __call__(self, text: str) -> str:
        for folder, name in self.folders.items():
            if len(folder) > 1:
                text = re.sub(re.escape(folder) + r"(?=[/\s\"',:)]|$)", name, text)
        return masking.scrub(text, self.secrets)


def _kept_secrets(workspace: Workspace) -> frozenset[str]:
    """What lies in files that hold secrets: tokens, a line each, and passwords."""
    found: set[str] = set()
    try:
        own = [file for file in workspace.secrets.rglob("*") if file.is_file()]
    except OSError:
        own = []
    for file in (*own, *(Path(name).expanduser() for name in ELSEWHERE)):
        try:
            if file.name.endswith("netrc"):
                found |= {
                    part for entry in netrc.netrc(str(file)).hosts.values() for part in (entry[0], entry[2]) if part
                }
            elif file.suffix != ".json":  # keys.json holds digests and names, no keys
                found |= {line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()}
        except (OSError, netrc.NetrcParseError):
            continue
    return frozenset(one for one in found if len(one) >= masking.SHORTEST)


def figures(job_dir: Path) -> str:
    """What the run measured, as CSV: a line a step, a column a figure. Where it went back to a checkpoint, what counts is what
    came after."""
    steps: dict[int, dict[str, Any]] = {}
    offset = 0
    while True:
        events, after = read_events(job_dir, offset)
        for event in events:
            step, measured = event.get("step"), event.get("metrics")
            if (
                isinstance(step, int | float)
                and isinstance(measured, dict)
                and event.get("phase") in ("train", "evaluate")
            ):
                steps.setdefault(int(step), {"step": int(step)}).update({"time": event.get("t"), **measured})
        if after == offset:
            break
        offset = after
    names = ["step", "time", *(name for name in files.METRICS if any(name in one for one in steps.values()))]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(steps[step] for step in sorted(steps))
    return out.getvalue()


def log(job_dir: Path) -> str:
    """What all attempts said, in their order."""
    parts = []
    for file in sorted(job_dir.glob("attempt-*.log"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0)):
        try:
            with file.open("rb") as opened:
                size = file.stat().st_size
                raw = opened.read(MOST_LOG if size <= MOST_LOG else MOST_LOG // 2)
                if size > MOST_LOG:
                    opened.seek(size - MOST_LOG // 2)
                    raw += b"\n[...]\n" + opened.read()
        except OSError:
            continue
        parts.append(f"===== {file.name} =====\n" + raw.decode("utf-8", "replace"))
    return "\n".join(parts)


def environment() -> str:
    """Every package of this environment with its exact version, a line each; no addresses, which may hold a login."""
    found = {one.metadata["Name"]: one.version for one in metadata.distributions() if one.metadata["Name"]}
    return "".join(f"{name}=={found[name]}\n" for name in sorted(found, key=str.casefold))


def requirements(more: Iterable[str] = ()) -> str:
    """The packages that a repetition takes; of builds for one kind of machine (``+cpu``) the version alone."""
    lines = []
    for name in (*NEEDED, *more):
        try:
            lines.append(f"{name}=={metadata.version(name).partition('+')[0]}\n")
        except metadata.PackageNotFoundError:
            continue
    return "".join(lines)


def versions() -> dict[str, str]:
    """Where it ran: Python, system, processor."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }


def as_json(data: Any) -> str:
    """``data`` as it stands in the capsule."""
    return json.dumps(data, ensure_ascii=False, indent=1, default=str) + "\n"
