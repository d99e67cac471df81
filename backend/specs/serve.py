"""Spec of ``serve``: a model behind the OpenAI protocol on a loopback port, until someone stops it or it idles too long."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar, Literal

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Resources, Spec


class ServeSpec(Spec):
    """Serve ``model``. It needs no CPU slot: a waiting server computes nothing and must not hold up the queue."""

    verb: ClassVar[str] = "serve"
    # After a reboot the server comes back; the person's own stop is a cancel, which nothing resumes.
    auto_resume: ClassVar[int] = 100
    service: ClassVar[bool] = True
    grace_int_s: ClassVar[float | None] = 8.0

    model: str = Field(
        min_length=1,
        max_length=4096,
        title=N_("Model"),
        description=N_("Name of a model in the catalog, or its folder"),
    )
    name: str = Field(
        "",
        max_length=96,
        title=N_("Served name"),
        description=N_("Name that clients call it by; empty means the model's own"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title=N_("Computes on"), description=N_("What computes: the CPU, or one GPU")
    )
    gpu_mib: int = Field(
        0, ge=0, title=N_("GPU memory (MiB)"), description=N_("MiB of GPU memory to reserve; 0 means a whole GPU")
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        title=N_("Number format"),
        description=N_("Number format to compute in; auto takes the stored one, or a faster one that loses nothing"),
    )
    completions_only: bool = Field(
        False,
        title=N_("Completions only"),
        description=N_("Serve a model without a chat template, for completions only"),
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        title=N_("CPU threads"),
        description=N_("CPU threads for one answer; 0 means the measured default"),
    )
    continuous_batching: Literal["auto", "on", "off"] = Field(
        "auto",
        title=N_("Several answers at once"),
        description=N_("Compute several answers at once; slower for one, faster for many"),
    )
    context_length: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title=N_("Context length (tokens)"),
        description=N_("Longest prompt and answer together, in tokens; 0 means the model's own"),
    )
    idle_s: float = Field(
        0,
        ge=0,
        title=N_("Stop when idle (s)"),
        description=N_("Stop after so many seconds without a request; 0 means never"),
    )
    max_restarts: int = Field(
        3, ge=0, le=100, title=N_("Restarts"), description=N_("Crashes within ten minutes after which it gives up")
    )

    def resources(self) -> Resources:
        if self.device == "cuda":
            return Resources(ports=1, gpu_mib=self.gpu_mib, gpus=0 if self.gpu_mib else 1)
        return Resources(ports=1)

    def default_title(self) -> str:
        return self.served_name()

    def served_name(self) -> str:
        """The name in ``/v1/models``: the one given, else the model's name, else its folder's."""
        return self.name.strip() or PurePath(self.model.rstrip("/")).name or self.model
