"""LMDeploy (InternLM): serves on GPUs, many people at once, in an environment of its own.

Two cores: TurboMind (C++) and PyTorch. Facts about its flags are those of the version in ``lmdeploy.json``.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.catalog.cards import ModelCard
from backend.engines import crashes, kv, lmdeploy_env, lmdeploy_options
from backend.engines.base import Capability, Place, Problem
from backend.engines.lmdeploy_options import core, knows
from backend.engines.recipes import Recipe
from backend.engines.refusals import needs_consent, unknown_quantization, unusable
from backend.errors import ModelError, PanelError
from backend.i18n import N_
from backend.specs.serve import ServeSpec
from backend.workspace import ROOT

SHIM = ROOT / "jobs" / "shims" / "lmdeploy_server.py"
"""LMDeploy's own command line, which is given the key by its environment instead of on the command line."""
RUNTIME_BYTES = 3 << 29
"""CUDA context, workspaces and graphs, a GPU: an assumption, 1.5 GiB; nobody has measured it for this version."""
BYTES_IN_MEMORY = {"float64": 0.25, "float32": 0.5}
"""It computes in 16 bits: wider weights shrink to this share of their files."""
SHARE_MOST = 0.98
SHARE = "SHARE"
"""Stands for the share of free memory in a command that is shown where no GPU can be asked."""


class LMDeployEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "lmdeploy"
    title = "LMDeploy"
    purpose = N_("Serves models on NVIDIA GPUs to many people at once, and makes 4-bit copies of models.")
    roles = ("serve", "quantize")
    recipe = Recipe(
        packages=("lmdeploy", "torch", "transformers"),
        # cpu: the command line and `lite`; nothing of it serves without a GPU.
        flavours=("cpu", "cuda"),
        imports=("lmdeploy",),
        environ={"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    preference = 20
    sleeps = True

    def options(self) -> tuple[str, ...]:
        return (
            "device",
            "gpu_mib",
            "max_batch_size",
            "context_length",
            "kv_cache_gib",
            "cache_max_entry_count",
            "quant_policy",
            "dtype",
            "completions_only",
            "backend",
            "model_format",
            "tp",
            "cache_block_seq_len",
            "max_prefill_token_num",
            "enable_prefix_caching",
            "eager_mode",
            "adapters",
            "chat_template",
            "tool_call_parser",
            "reasoning_parser",
            "idle_s",
            "max_restarts",
        )

    def unavailable(self) -> PanelError | None:
        return lmdeploy_env.unavailable()

    def capabilities(self) -> list[Capability]:
        return [
            Capability(N_("Serve models to many people at once"), self.unavailable()),
            Capability(N_("Make 4-bit copies of models"), lmdeploy_env.unusable()),
        ]

    def refuses(self, card: ModelCard) -> PanelError | None:
        problem = unusable(card)
        if problem is not None:
            return problem
        if not any(knows(card, name) for name in ("turbomind", "pytorch")):
            return ModelError(
                "model_architecture_unknown",
                N_("'{model}' ({architecture}) is of a kind that {engine} {version} does not serve."),
                N_("Serve it with transformers."),
                model=card.name,
                architecture=card.architecture or "?",
                engine=self.title,
                version=lmdeploy_env.facts()["lmdeploy"],
            )
        if card.needs_code and not card.code_allowed:
            return needs_consent(card)
        method = card.quantization_method
        if method and not any(method in formats for formats in lmdeploy_options.QUANTIZED.values()):
            return unknown_quantization(card, method, self.name)
        return None

    def problems(self, spec: ServeSpec, card: ModelCard, gpus: int | None = None) -> list[Problem]:
        found = lmdeploy_options.problems(spec, card, gpus)
        if spec.gpu_mib and not any(p.field == "gpu_mib" for p in found):
            found += lmdeploy_options.share_problems(spec, card, self._fixed_bytes(card, spec.tp))
        return found

    def command(self, spec: ServeSpec, card: ModelCard, place: Place) -> list[str]:
        argv = [str(lmdeploy_env.python()), str(SHIM), "serve", "api_server", str(card.path)]
        argv += ["--server-name=127.0.0.1", f"--server-port={place.port}", f"--model-name={spec.served_name()}"]
        chosen = core(spec, card)
        argv += [f"--backend={chosen}", *lmdeploy_options.flags(spec, card, chosen), "--disable-fastapi-docs"]
        if card.needs_code and card.code_allowed:
            argv.append("--trust-remote-code")
        argv += self._kv_flags(spec, card, place, chosen)
        # Last: it takes every word that follows.
        if place.adapters:
            argv += ["--adapters", *(f"{name}={folder}" for name, folder in place.adapters)]
        return argv

    def memory_bytes(self, card: ModelCard, context_tokens: int) -> dict[str, int]:
        shape = kv.shape(card)
        a_token = shape.token_bytes() if shape else card.kv_bytes_per_token or 0
        return {"weights": self._weights(card), "kv_cache": a_token * context_tokens, "runtime": RUNTIME_BYTES}

    def explain(self, lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
        return crashes.explain(lines, code, model=model, times=times)

    def kv_bytes(self, spec: ServeSpec, card: ModelCard) -> int | None:
        """Bytes of KV cache on each GPU that were asked for, by ``kv_cache_gib`` or as what ``gpu_mib`` leaves; None where
        it is a share of what is free."""
        if spec.kv_cache_gib is not None:
            return int(spec.kv_cache_gib * kv.GIB)
        return (spec.gpu_mib << 20) - self._fixed_bytes(card, spec.tp) if spec.gpu_mib else None

    def needed_bytes(self, spec: ServeSpec, card: ModelCard) -> int:
        """What each GPU must have free for it to start."""
        return self._fixed_bytes(card, spec.tp) + (self.kv_bytes(spec, card) or 0)

    def _kv_flags(self, spec: ServeSpec, card: ModelCard, place: Place, chosen: str) -> list[str]:
        wanted = self.kv_bytes(spec, card)
        if wanted is None:
            return [f"--cache-max-entry-count={spec.cache_max_entry_count:g}"]
        if chosen == "pytorch":
            shape = kv.shape(card)
            assert shape is not None, "problems() refuses an absolute size where the shape is not known"
            blocks = kv.blocks(shape, wanted / kv.GIB, spec.cache_block_seq_len, spec.quant_policy, spec.tp)
            return [f"--num-gpu-blocks={blocks}"]
        # TurboMind takes a share of what is free once the weights are there, and aborts where it is given a number of
        # blocks as its own help still says (turbomind/engine/engine.cc of 0.18: TM_CHECK_LT(cache_ratio, 1.)).
        if place.free_bytes is None:
            return [f"--cache-max-entry-count={SHARE}"]
        left = place.free_bytes - self._fixed_bytes(card, spec.tp)
        share = wanted / left if left > 0 else SHARE_MOST
        return [f"--cache-max-entry-count={max(0.0001, min(share, SHARE_MOST)):.4f}"]

    def _weights(self, card: ModelCard) -> int:
        return int(card.size_bytes * (1 if card.quantization_method else BYTES_IN_MEMORY.get(card.dtype, 1)))

    def _fixed_bytes(self, card: ModelCard, tp: int) -> int:
        """On each GPU beside the KV cache."""
        return self._weights(card) // tp + RUNTIME_BYTES


ENGINE = LMDeployEngine()
