"""What the engine's process is told: a JSON file in the job's folder. The key is not in it; it comes by environment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.engines.transformers import PLAN_FILE
from backend.workspace import read_json, write_json

KEY_VARIABLE = "TUNEDECK_SERVER_KEY"


@dataclass(frozen=True)
class Plan:
    """One server. model: folder. adapter: folder of the LoRA that is put on top, or empty; tokenizer: folder of the one that
    it brings along, or empty: the model's own. name, aliases: what clients may call it. device: ``cpu`` or ``cuda``. dtype: torch's
    name. threads: OpenMP threads. context_length: tokens, prompt and answer together. batching: several answers at once.
    cache_tokens: KV cache of all of them together."""

    model: str
    name: str
    aliases: tuple[str, ...]
    host: str
    port: int
    device: str
    dtype: str
    threads: int
    context_length: int
    batching: bool
    cache_tokens: int
    tools: bool
    chat: bool
    adapter: str = ""
    tokenizer: str = ""

    def write(self, job_dir: Path) -> Path:
        path = job_dir / PLAN_FILE
        write_json(path, asdict(self))
        return path

    @classmethod
    def read(cls, path: Path) -> Plan:
        data: dict[str, Any] = read_json(path)
        return cls(**{**data, "aliases": tuple(data["aliases"])})
