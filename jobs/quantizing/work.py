"""What a quantization is to do: settled when it first ran, and the same for every attempt after that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import catalog
from backend.quantize import methods
from backend.quantize import plan as planning
from backend.quantize.methods import KINDS
from backend.specs import parse
from backend.specs.quantize import QuantizeSpec
from backend.workspace import open_workspace, read_json, write_json
from jobs.harness import Job
from jobs.quantizing import rows

PLAN = "plan.json"


@dataclass(frozen=True)
class Work:
    """spec: settled, see :class:`backend.quantize.plan.Plan`. model_folder: of the model; it is only read. layers: of it.
    engine: ``llmcompressor`` or ``lmdeploy``. dtype: of its weights, as ``config.json`` names it."""

    spec: QuantizeSpec
    model_folder: str
    layers: int
    engine: str
    dtype: str

    @property
    def model(self) -> Path:
        """Its folder."""
        return Path(self.model_folder)

    def made_from(self) -> dict[str, Any]:
        """What a copy is made from and how: one that an earlier attempt made is good for exactly that. JSON-able."""
        weights = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in sorted(self.model.glob("*.safetensors"))]
        how = self.spec.model_dump(mode="json", exclude={"name", "report", "model", "template"})
        return {"weights": weights, "how": how}


def settle(job: Job) -> Work:
    """What ``job`` does. Checked on this machine as it is now when it first runs; later what was settled then.

    Raises:
        SpecError: ``quantize_refused``. ModelError: the model is no longer there, or no longer one that can be made smaller.
    """
    spec, known = job.spec_as(QuantizeSpec), read_json(job.dir / PLAN)
    if isinstance(known, dict) and rows.kept(job):
        settled = parse("quantize", known["spec"])
        assert isinstance(settled, QuantizeSpec)
        return _work(settled, str(known["model_folder"]), int(known.get("layers") or 0))
    plan = planning.checked(open_workspace(), spec)
    write_json(job.dir / PLAN, plan.to_dict())
    return _work(plan.spec, plan.model_folder, plan.layers)


def _work(spec: QuantizeSpec, folder: str, layers: int) -> Work:
    card = catalog.card(Path(folder), spec.model)
    problem = methods.refused(card)
    if problem is not None:
        raise problem
    return Work(spec, folder, layers, KINDS[spec.method].engine, card.dtype)
