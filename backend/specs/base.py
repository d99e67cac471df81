"""What all specs share: strict fields, all problems reported at once, and what a job of this kind needs to run."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backend.errors import SpecError
from backend.i18n import N_

VERBS: dict[str, str] = {
    "agent_check": "backend.specs.agent_check:AgentCheckSpec",
    "ask_documents": "backend.specs.ask_documents:AskDocumentsSpec",
    "bench": "backend.specs.bench:BenchSpec",
    "bench_matrix": "backend.specs.bench:BenchMatrixSpec",
    "bundle_env": "backend.specs.bundle_env:BundleEnvSpec",
    "change_data": "backend.specs.change_data:ChangeDataSpec",
    "convert": "backend.specs.convert:ConvertSpec",
    "count_tokens": "backend.specs.count_tokens:CountTokensSpec",
    "download": "backend.specs.download:DownloadSpec",
    "drill": "backend.specs.drill:DrillSpec",
    "evaluate": "backend.specs.evaluate:EvaluateSpec",
    "examine_data": "backend.specs.examine_data:ExamineDataSpec",
    "export_data": "backend.specs.export_data:ExportDataSpec",
    "finetune": "backend.specs.finetune:FinetuneSpec",
    "import_data": "backend.specs.import_data:ImportDataSpec",
    "install_env": "backend.specs.install_env:InstallEnvSpec",
    "pretrain": "backend.specs.pretrain:PretrainSpec",
    "quantize": "backend.specs.quantize:QuantizeSpec",
    "rehearse": "backend.specs.finetune:RehearseSpec",
    "report_card": "backend.specs.quantize:ReportCardSpec",
    "serve": "backend.specs.serve:ServeSpec",
    "test_env": "backend.specs.test_env:TestEnvSpec",
}
"""verb -> module:class. Loaded when needed, so that the panel does not import what it does not show."""


class Resources(BaseModel):
    """What a job must be given before it starts.

    Either ``gpus`` whole cards, or ``gpu_mib`` MiB of one card that it may share; and ``cpu`` slots; and ``ports``
    free loopback ports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: int = Field(0, ge=0, le=1024)
    gpus: int = Field(0, ge=0, le=64)
    gpu_mib: int = Field(0, ge=0)
    ports: int = Field(0, ge=0, le=16)


class Spec(BaseModel):
    """Base of all specs. Class variables say how the queue treats a job of this verb.

    verb: program ``jobs/<verb>.py``. auto_resume: how often a job that was lost (machine restarted, killed from
    outside) is started again by itself. service: runs until stopped, so it has no ETA and is shown as a server.
    grace_int_s: seconds it may take to save after a stop request; None means the setting ``grace_int_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    verb: ClassVar[str]
    auto_resume: ClassVar[int] = 0
    service: ClassVar[bool] = False
    grace_int_s: ClassVar[float | None] = None

    def resources(self) -> Resources:
        """What this job must be given."""
        return Resources(cpu=1)

    def default_title(self) -> str:
        """The job's name when the person gave none."""
        return self.verb


def gpus_here() -> bool:
    """Whether this machine shows a GPU; what ``device`` = ``auto`` then takes."""
    from backend.memory.machine import gpus  # specs are read by programs that need nothing of the machine

    return bool(gpus()[0])


def verbs() -> list[str]:
    """All verbs, sorted."""
    return sorted(VERBS)


def spec_class(verb: str) -> type[Spec]:
    """The spec class of ``verb``.

    Raises:
        SpecError: ``verb_unknown``.
    """
    target = VERBS.get(verb)
    if target is None:
        raise SpecError(
            "verb_unknown",
            N_("There is no kind of job called '{verb}'."),
            N_("Known kinds: {known}."),
            verb=verb,
            known=", ".join(verbs()),
        )
    module, name = target.split(":")
    found: type[Spec] = getattr(import_module(module), name)
    return found


def takes(verb: str, field: str, value: Any = None) -> bool:
    """Whether the specs of ``verb`` have ``field``, and with a ``value`` whether it can be that.

    Raises:
        SpecError: ``verb_unknown``.
    """
    found = spec_class(verb).model_fields.get(field)
    if found is None or value is None:
        return found is not None
    kind: Any = Annotated[found.annotation, found]
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def parse(verb: str, data: dict[str, Any]) -> Spec:
    """``data`` as the spec of ``verb``.

    Raises:
        SpecError: ``spec_bad`` with *every* wrong field in ``problems`` and in the message.
    """
    cls = spec_class(verb)
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(p) for p in e["loc"]) or "spec", "message": _plain(e["msg"])} for e in error.errors()
        ]
        listing = "; ".join(f"{p['field']}: {p['message']}" for p in problems)
        raise SpecError(
            "spec_bad",
            N_("The settings of this '{verb}' job cannot be used. {listing}"),
            N_("Correct the fields named and submit again."),
            verb=verb,
            listing=listing,
            problems=problems,
        ) from error


def _plain(message: str) -> str:
    """pydantic's message without its 'Value error, ' prefix."""
    return message.removeprefix("Value error, ")
