"""Spec of ``serve``: a model behind the OpenAI protocol on a loopback port, until someone stops it or it idles too long."""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar, Literal

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Resources, Spec

EngineName = Literal["auto", "lmdeploy", "transformers"]
ModelFormat = Literal["auto", "hf", "awq", "gptq", "compressed-tensors", "fp8", "mxfp4"]
ToolParser = Literal[
    "",
    "deepseek-v32",
    "deepseek-v4",
    "glm47",
    "intern-s1",
    "internlm",
    "interns2-preview",
    "kimi-k2",
    "llama3",
    "qwen",
    "qwen2d5",
    "qwen3",
    "qwen3coder",
]
ReasoningParser = Literal["", "default", "deepseek-v3", "deepseek-v32", "deepseek-v4"]


class ServeSpec(Spec):
    """Serve ``model``. It needs no CPU slot: a waiting server computes nothing and must not hold up the queue.

    Which fields an engine knows is for the engine to say: :meth:`backend.engines.Engine.options`. There is no API key
    here: each server makes its own, and people get theirs from the panel.
    """

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
    engine: EngineName = Field(
        "auto",
        title=N_("Engine"),
        description=N_(
            "The program that runs the model; auto takes LMDeploy where there is a GPU and it knows the model, else transformers"
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", title=N_("Computes on"), description=N_("What computes: the CPU, or one GPU")
    )
    gpu_mib: int = Field(
        0, ge=0, title=N_("GPU memory (MiB)"), description=N_("MiB of GPU memory to reserve; 0 means a whole GPU")
    )
    max_batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        title=N_("People at once"),
        description=N_("Answers that are computed at the same time; the others wait. 0 leaves it to the engine"),
    )
    context_length: int = Field(
        0,
        ge=0,
        le=10_000_000,
        title=N_("Context length (tokens)"),
        description=N_("Longest prompt and answer together, in tokens; 0 means the model's own"),
    )
    kv_cache_gib: float | None = Field(
        None,
        gt=0,
        le=10_000,
        title=N_("KV cache (GiB)"),
        description=N_(
            "Memory for the running conversations, in GiB on each GPU; empty means the share of what is free, below"
        ),
    )
    cache_max_entry_count: float = Field(
        0.8,
        gt=0,
        lt=1,
        title=N_("KV cache (share of free memory)"),
        description=N_(
            "Share of the GPU memory left beside the weights that the KV cache takes; 0.8 leaves a fifth for others"
        ),
    )
    quant_policy: Literal[0, 4, 8] = Field(
        0,
        title=N_("KV cache bits"),
        description=N_(
            "0 keeps the KV cache as it is; 8 halves it, hardly noticed; 4 quarters it, and answers may get worse"
        ),
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
    backend: Literal["auto", "turbomind", "pytorch"] = Field(
        "auto",
        title=N_("LMDeploy's core"),
        description=N_(
            "TurboMind is faster and knows fewer models, PyTorch knows more and takes adapters; auto chooses by the model"
        ),
    )
    model_format: ModelFormat = Field(
        "auto",
        title=N_("Weight format"),
        description=N_("How the weights are quantized; auto reads it from the model, which is nearly always right"),
    )
    tp: int = Field(
        1,
        ge=1,
        le=64,
        title=N_("GPUs"),
        description=N_("GPUs that share the model between them (tensor parallelism): 1, 2, 4, 8 …"),
    )
    cache_block_seq_len: Literal[64, 128, 256] = Field(
        64,
        title=N_("KV cache block (tokens)"),
        description=N_("Tokens in one block of the KV cache; larger blocks waste more and are rarely faster"),
    )
    max_prefill_token_num: int = Field(
        8192,
        ge=64,
        le=1_000_000,
        title=N_("Prompt tokens at once"),
        description=N_("Tokens of prompts that are read in one step; fewer take less memory"),
    )
    enable_prefix_caching: bool = Field(
        False,
        title=N_("Prefix caching"),
        description=N_(
            "Keep what prompts have in common, such as a long system message, instead of computing it again"
        ),
    )
    eager_mode: bool = Field(
        False,
        title=N_("No CUDA graphs"),
        description=N_("Starts sooner and takes less memory, but answers slower; PyTorch core only"),
    )
    adapters: tuple[str, ...] = Field(
        (),
        max_length=64,
        title=N_("Adapters"),
        description=N_(
            "Adapters (LoRA) of this model to serve beside it, each under its own name: names in the catalog, or name=folder"
        ),
    )
    chat_template: str = Field(
        "",
        max_length=4096,
        title=N_("Chat template"),
        description=N_(
            "Name of a chat template that LMDeploy knows, or a JSON file of its kind; empty means the model's own"
        ),
    )
    tool_call_parser: ToolParser = Field(
        "",
        title=N_("Tool calls are written like"),
        description=N_("Model family whose way of calling tools is read; empty leaves tool calls as text"),
    )
    reasoning_parser: ReasoningParser = Field(
        "",
        title=N_("Thinking is written like"),
        description=N_(
            "Model family whose way of thinking aloud is told apart from the answer; empty leaves it as text"
        ),
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
        if self.device == "cuda" or (self.device == "auto" and self.engine == "lmdeploy"):
            return Resources(ports=1, gpu_mib=self.gpu_mib, gpus=0 if self.gpu_mib else self.tp)
        return Resources(ports=1)

    def default_title(self) -> str:
        return self.served_name()

    def served_name(self) -> str:
        """The name in ``/v1/models``: the one given, else the model's name, else its folder's."""
        return self.name.strip() or PurePath(self.model.rstrip("/")).name or self.model
