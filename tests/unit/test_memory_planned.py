"""From what a page or a spec asks for to the plan that is forecast: nothing of it gets lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.catalog import ModelCard, card
from backend.deploy import planning
from backend.deploy.planning import Wish, plan
from backend.engines.lmdeploy import LMDeployEngine
from backend.errors import ModelError
from backend.memory import planned
from backend.memory.budget import Budget
from backend.memory.machine import Gpu, Machine
from backend.memory.sample import HOST
from backend.memory.trust import Residual
from backend.specs.serve import ServeSpec
from backend.workspace import Workspace
from tests.support import models

GIB = 1 << 30
CPU = Machine("test", 2, 16 * GIB, 12 * GIB, None, None)
GPU = replace(CPU, gpus=(Gpu(0, "GPU-0", "test", 24 * GIB, 20 * GIB, 0.0),))


@pytest.fixture
def llama(tmp_path: Path) -> ModelCard:
    return card(models.folder(tmp_path / "llama", layers=8, width=512, max_position_embeddings=8192))


def serve_plan(found: ModelCard, engine: str = "lmdeploy", **options: Any) -> Any:
    return planned.serve_plan(found, engine, options, GPU, on_gpu=True)


def test_an_lmdeploy_server_is_planned_as_its_spec_says(llama: ModelCard) -> None:
    made = serve_plan(llama)
    assert (made.device, made.total, made.used) == ("cuda", 24 * GIB, 4 * GIB)
    assert (made.cache_ratio, made.cache_bytes, made.kv_bits, made.session_len, made.concurrency) == (
        0.8, None, 16, 8192, 1)  # fmt: skip
    made = serve_plan(llama, cache_max_entry_count=0.5, quant_policy=8, tp=2, context_length=1024, max_batch_size=16)
    assert (made.cache_ratio, made.kv_bits, made.tp, made.session_len, made.concurrency) == (0.5, 8, 2, 1024, 16)
    assert serve_plan(llama, kv_cache_gib=1.5).cache_bytes == 1.5 * GIB
    spec = ServeSpec(model="m", gpu_mib=8192)
    assert serve_plan(llama, gpu_mib=8192).cache_bytes == LMDeployEngine().kv_bytes(spec, llama)
    assert serve_plan(llama, gpu_mib=1).cache_bytes == 0


def test_a_transformers_server_is_planned_as_its_spec_says(llama: ModelCard) -> None:
    made = serve_plan(llama, "transformers", dtype="float32", context_length=512)
    assert (made.dtype, made.session_len, made.batching, made.concurrency) == ("float32", 512, 0, 1)
    assert serve_plan(llama, "transformers", dtype="auto").dtype == ""
    assert serve_plan(llama, "transformers", continuous_batching="on").batching == 8192
    assert serve_plan(llama, "transformers", continuous_batching="on", context_length=512).batching == 8192
    on_cpu = planned.serve_plan(llama, "transformers", {}, GPU, on_gpu=False)
    assert (on_cpu.device, on_cpu.total) == ("cpu", 16 * GIB)


def test_a_job_is_forecast_as_its_page_had_shown_it(workspace: Workspace) -> None:
    starter = catalog.find(workspace, "starter")
    shown = plan(Wish(starter, "transformers", people=8), CPU)
    job = planned.of_job(workspace, "serve", {"model": "starter", "name": "x", **shown.options}, CPU)
    assert job is not None
    assert shown.planned is not None
    assert job.estimate.terms == shown.planned.estimate.terms
    assert (job.kind, job.later) == ("cpu", ("kv_cache", "activations", "workspace"))
    assert planned.of_job(workspace, "drill", {}, CPU) is None


def test_a_model_without_a_shape_is_started_as_asked_for(tmp_path: Path) -> None:
    folder = models.folder(tmp_path / "odd", num_hidden_layers=0)
    models.write(folder / "config.json", {**models.CONFIG, "num_attention_heads": 0})
    with pytest.raises(ModelError):
        planned.serving(card(folder), "transformers", {}, CPU, on_gpu=False)
    made = plan(Wish(card(folder), "transformers", more={"context_length": 64}), CPU)
    assert (made.planned, made.problem, made.context) == (None, None, 64)
    assert made.options == {"engine": "transformers", "context_length": 64}
    assert made.unknown is not None
    assert "num_attention_heads" in str(made.unknown)


def test_what_others_are_about_to_take_makes_conversations_shorter_but_forbids_nothing(llama: ModelCard) -> None:
    wish = Wish(llama, "transformers")
    whole = plan(wish, CPU)
    tight = Budget(free=8 * GIB, growth=8 * GIB - whole.low - (32 << 20), source="recorded", place=HOST)
    shorter = plan(wish, CPU, tight)
    assert 256 <= shorter.context < whole.context
    assert shorter.problem is None
    none = plan(wish, CPU, replace(tight, growth=8 * GIB))
    assert (none.context, none.problem) == (256, None), "they may also not come"


def test_what_was_learned_here_moves_the_forecast_and_with_it_the_context(llama: ModelCard) -> None:
    wish = Wish(llama, "transformers", memory_gib=0.75)
    found = plan(wish, CPU)
    learned = plan(wish, CPU, learned=Residual(9, 1.5, 1.6))
    assert learned.term("weights") == found.term("weights")
    assert learned.term("context") == int(1.5 * found.term("context"))
    assert learned.context < found.context


def test_a_conversion_may_be_tight_where_only_its_files_do_not_fit_as_well(tmp_path: Path) -> None:
    from ui.fit.meter import verdict

    folder = models.folder(tmp_path / "old")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with (folder / "pytorch_model.bin").open("r+b") as file:
        file.truncate(2 * GIB)
    found = planned.converting(folder)
    assert found is not None
    said = [verdict(found.estimate, Budget(free=size * GIB), found.later) for size in (8, 4, 2)]
    assert said == ["fits", "tight", "does_not_fit"]
    assert verdict(found.estimate, Budget(free=None), found.later) == "unknown"
    assert verdict(found.estimate, Budget(free=None), found.later, limit=GIB) == "does_not_fit"


def test_where_a_server_will_run() -> None:
    wish = Wish(ModelCard("m", Path("/m")), "transformers")
    assert planning.place_of(wish, CPU) == HOST
    assert planning.place_of(wish, GPU) is None
    assert planning.place_of(replace(wish, more={"device": "cpu"}), GPU) == HOST
