"""The jobs whose memory was recorded, and how each of them was set: what a person chooses from when comparing.

A setting is read from what was really started, where that is known: the plan of our own server, the command line of
LMDeploy at the head of the log; else from the spec. Nothing is loaded, no weights are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.catalog import ModelCard
from backend.engines.transformers import PLAN_FILE
from backend.errors import PanelError
from backend.i18n import _
from backend.queue import folder
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import read_json

if TYPE_CHECKING:
    from backend.memory.series import MemoryStore

GROUPS = ("serving", "training", "other")
TRAINING = ("pretrain", "finetune")
NEWEST = 300
"""So many of the newest runs are offered; an older one can be named in the address and on the command line."""
HEAD_BYTES = 8192
"""The command line stands among the first lines of a server's log."""
SHORT = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp64"}
WEIGHTS = {("awq", 4): "W4A16", ("gptq", 4): "W4A16", ("awq", 8): "W8A16", ("gptq", 8): "int8"}


@dataclass(frozen=True, slots=True)
class Setup:
    """How a run was set. "" or 0: it does not say, or has no such setting.

    engine: ``LMDeploy TurboMind``. weights: ``fp16``, ``W4A16`` … kv_bits: of a number in the KV cache. cache_share: of what
    is free beside the weights; cache_gib: in its place. grows: the KV cache grows with the conversation and has no size of
    its own. batch: answers, or rows, at once; batch_tokens: in its place, of a training. context: tokens.
    """

    engine: str = ""
    weights: str = ""
    kv_bits: int = 0
    cache_share: float = 0.0
    cache_gib: float = 0.0
    grows: bool = False
    batch: int = 0
    batch_tokens: int = 0
    context: int = 0

    def weights_word(self) -> str:
        return self.weights or _("not said")

    def cache_word(self) -> str:
        """The KV cache in words: ``16 bit · 0.8 of free memory``."""
        if self.grows:
            return _("grows with the conversation")
        if not self.kv_bits:
            return _("not said")
        if self.cache_gib:
            return _("{bits} bit · {gib} GiB").format(bits=self.kv_bits, gib=f"{self.cache_gib:g}")
        return _("{bits} bit · {share} of free memory").format(bits=self.kv_bits, share=f"{self.cache_share:g}")

    def batch_word(self) -> str:
        """How much is computed at once."""
        if self.batch_tokens:
            return _("{n} tokens a step").format(n=f"{self.batch_tokens:,}")
        return str(self.batch) if self.batch else _("left to the program")

    def context_word(self) -> str:
        return _("{n} tokens").format(n=f"{self.context:,}") if self.context else _("not said")

    def parts(self) -> dict[str, str]:
        """What can differ between runs, short enough for a label: ``fp16``, ``KV 8 bit``, ``cache 0.5``, ``batch 8``."""
        cache = f"{self.cache_gib:g} GiB" if self.cache_gib else f"{self.cache_share:g}" if self.cache_share else ""
        found = {
            "engine": self.engine,
            "weights": self.weights,
            "kv": _("KV {bits} bit").format(bits=self.kv_bits) if self.kv_bits else "",
            "cache": _("cache {size}").format(size=cache) if cache else "",
            "batch": _("batch {n}").format(n=self.batch) if self.batch else "",
            "batch_tokens": self.batch_word() if self.batch_tokens else "",
            "context": self.context_word() if self.context else "",
        }
        return {name: said for name, said in found.items() if said}


@dataclass(frozen=True, slots=True)
class Run:
    """A job that memory was recorded for. group: one of GROUPS. started: of its newest attempt. deleted: its row is gone,
    what was recorded is not; then only the number is known."""

    id: int
    title: str
    verb: str = ""
    group: str = "other"
    state: str = ""
    live: bool = False
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    setup: Setup = Setup()
    deleted: bool = False

    def label(self) -> str:
        """What is special about it, in a few words: ``fp16 · KV 8 bit · cache 0.5``."""
        return " · ".join(said for name, said in self.setup.parts().items() if name != "engine")


def runs(store: Store, memory: MemoryStore | None = None, *, limit: int = NEWEST) -> list[Run]:
    """The jobs with recorded memory, newest first. ``memory``: where it is recorded; by default that of the workspace.

    Raises:
        WorkspaceError: one of the two databases cannot be read.
    """
    if memory is None:
        from backend.memory.series import open_memory

        memory = open_memory(store.workspace)
    ids = sorted(memory.jobs(), reverse=True)
    found: list[JobRow] = []
    for at in range(0, len(ids), 500):
        part = ids[at : at + 500]
        with store.read() as db:
            found += store.rows(db, f"WHERE id IN ({','.join('?' * len(part))}) ORDER BY id DESC", part)
        if len(found) >= limit:
            break
    models = _Models(store)
    return [described(store, row, models) for row in found[:limit]]


def described(store: Store, row: JobRow, models: Callable[[str], ModelCard | None] | None = None) -> Run:
    """``row`` as a :class:`Run`."""
    return Run(
        id=row.id,
        title=row.title,
        verb=row.verb,
        group="serving" if row.service else "training" if row.verb in TRAINING else "other",
        state=row.state,
        live=row.live,
        created=row.created,
        started=row.started,
        ended=row.ended,
        setup=setup_of(store, row, models or _Models(store)),
    )


def setup_of(store: Store, row: JobRow, models: Callable[[str], ModelCard | None]) -> Setup:
    """How ``row`` was set."""
    spec = store.spec(row.id)
    if row.verb == "serve":
        return _served(store.job_dir(row.id), row.attempt, spec, models(str(spec.get("model") or "")))
    return Setup(
        weights=SHORT.get(str(spec.get("dtype")), ""),
        batch=_number(spec, "batch_size", "batch"),
        batch_tokens=_number(spec, "batch_tokens"),
        context=_number(spec, "max_length", "context_length"),
    )


def labels(found: Sequence[Run]) -> list[str]:
    """A short name for each of ``found``: all settings that differ, where they tell the runs apart; else the title with as
    few of them as it takes; the number where nothing does."""
    parts = [run.setup.parts() | {"title": run.title} for run in found]
    differing = [name for name in _SETTINGS if len({each.get(name, "") for each in parts}) > 1]
    said = _joined(parts, differing)
    if not all(said) or len(set(_joined(parts, _TELLING))) < len(parts):
        names: list[str] = []
        for name in ("title", *differing):
            if len(set(_joined(parts, [*names, name]))) > max(1, len(set(_joined(parts, names)))):
                names.append(name)
        said = _joined(parts, names)
    return [
        text if text and said.count(text) == 1 else " ".join(filter(None, (text, f"#{run.id}")))
        for text, run in zip(said, found, strict=True)
    ]


_SETTINGS = ("weights", "kv", "cache", "batch", "batch_tokens", "context", "engine")
_TELLING = ("weights", "kv", "cache", "batch", "engine")
"""What people compare one model by; two runs that differ in something else only are better told apart by their names."""


def _joined(parts: Sequence[dict[str, str]], names: Sequence[str]) -> list[str]:
    return [" · ".join(each[name] for name in names if each.get(name)) for each in parts]


class _Models:
    """The card of a model by its name; each is asked for once."""

    def __init__(self, store: Store) -> None:
        self._workspace = store.workspace
        self._known: dict[str, ModelCard | None] = {}

    def __call__(self, name: str) -> ModelCard | None:
        if name not in self._known:
            try:
                self._known[name] = catalog.find(self._workspace, name) if name else None
            except (PanelError, OSError):
                self._known[name] = None  # it was removed, or never was: the rest is still worth showing
        return self._known[name]


def _served(job_dir: Path, attempt: int, spec: dict[str, Any], card: ModelCard | None) -> Setup:
    plan, line = read_json(job_dir / PLAN_FILE), _command(job_dir, attempt)
    whole = card.served if card else None
    weights = _weights(whole, str(spec.get("dtype") or "auto"))
    if isinstance(plan, dict) and "lmdeploy" not in line:
        computed = SHORT.get(str(plan.get("dtype")), "")
        return Setup(
            engine="transformers",
            weights=computed or weights,
            grows=True,
            batch=0 if plan.get("batching") else 1,
            context=_number(plan, "context_length"),
        )
    flags = dict(re.findall(r"--([a-z-]+)=(\S+)", line))
    core = {"turbomind": "TurboMind", "pytorch": "PyTorch"}.get(flags.get("backend") or str(spec.get("backend")), "")
    asked = spec.get("engine") or "auto"
    if not line and asked != "lmdeploy":  # it never came so far, or its log is gone
        named = "transformers" if asked == "transformers" else ""
        return Setup(named, weights, grows=bool(named), context=_number(spec, "context_length"))
    context = _number(flags, "session-len") or _number(spec, "context_length")
    return Setup(
        engine=f"LMDeploy {core}".strip(),
        weights=weights,
        kv_bits=_number(flags, "quant-policy") or _number(spec, "quant_policy") or 16,
        cache_share=0.0 if spec.get("kv_cache_gib") else float(spec.get("cache_max_entry_count") or 0.8),
        cache_gib=float(spec.get("kv_cache_gib") or 0),
        batch=_number(spec, "max_batch_size"),
        context=context or (whole.context_length or 0 if whole else 0),
    )


def _command(job_dir: Path, attempt: int) -> str:
    """LMDeploy's command line in the log of ``attempt``; empty where there is none."""
    try:
        with folder.log_file(job_dir, attempt).open("rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    return next((line for line in head.splitlines() if "lmdeploy" in line and " api_server " in line), "")


def _weights(card: ModelCard | None, dtype: str) -> str:
    """The format of the weights in memory: ``W4A16`` is four bits a weight, computed in sixteen."""
    if card is None:
        return SHORT.get(dtype, "")
    if card.quantization:
        method, bits = card.quantization_method, card.quantization_bits
        return WEIGHTS.get((method, bits)) or ("int8" if bits == 8 else card.quantization)
    return SHORT.get(dtype if dtype != "auto" else card.dtype, card.dtype)


def _number(data: dict[str, Any], *names: str) -> int:
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def by_group(found: Iterable[Run]) -> dict[str, list[Run]]:
    """``found`` by group, in the order of GROUPS and then as given."""
    grouped: dict[str, list[Run]] = {group: [] for group in GROUPS}
    for run in found:
        grouped[run.group].append(run)
    return grouped
