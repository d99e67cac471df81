"""Why an engine ended, from what engines really print. Excerpts are shortened, and as LMDeploy, torch, transformers, uvicorn
and the kernel write them."""

from __future__ import annotations

import signal

import pytest

from backend.engines.crashes import CAUSES, CONSEQUENCES, PERMANENT, REASONS, explain

TRACEBACK = """\
Traceback (most recent call last):
  File "/opt/env/bin/lmdeploy", line 7, in <module>
    sys.exit(run())
  File "/opt/env/lib/python3.11/site-packages/lmdeploy/cli/entrypoint.py", line 42, in run
    args.run(args)
    ^^^^^^^^^^^^^^
"""
LOGS: list[tuple[str, str, str]] = [
    (
        "server_port_taken",
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 23400): address already in use",
        "INFO:     Waiting for application shutdown.",
    ),
    (
        "engine_out_of_memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 112.00 MiB. GPU 0 has a total capacity of 14.90 GiB",
        "",
    ),
    (
        "engine_out_of_memory",
        "RuntimeError: [TM][ERROR] CUDA runtime error: out of memory /lmdeploy/src/turbomind/utils/allocator.h:236",
        "Aborted (core dumped)",
    ),
    (
        "engine_out_of_memory",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried 9 GB",
        "",
    ),
    # The rank that was not out of memory complains last.
    (
        "engine_out_of_memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:268, unhandled cuda error",
    ),
    ("engine_kv_cache_too_large", "RuntimeError: No enough gpu memory for kv cache.", ""),
    ("engine_no_shared_memory", "Bus error (core dumped)", ""),
    (
        "engine_driver_too_old",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver",
        "",
    ),
    (
        "engine_driver_too_old",
        "RuntimeError: [TM][ERROR] CUDA runtime error: CUDA driver version is insufficient for CUDA runtime version",
        "",
    ),
    (
        "engine_gpu_unsupported",
        "[TM][FATAL][0914.14:00:37.807188][cast.cu:264] CUDA error: no kernel image is available for execution on the device",
        "*** stacktrace of thread 0x7f30d3fff640 ***",
    ),
    (
        "engine_no_cuda",
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
        "",
    ),
    (
        "engine_no_cuda",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "",
    ),
    (
        "engine_gpus_cannot_talk",
        "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:268, unhandled system error",
        "",
    ),
    (
        "engine_chat_template_bad",
        "AssertionError: chat template 'klingon' is not registered. The builtin chat templates are: dict_keys(['base'])",
        "",
    ),
    (
        "engine_chat_template_bad",
        "ValueError: Try apply_chat_template failed: Cannot use chat template functions because tokenizer.chat_template is "
        "not set",
        "",
    ),
    (
        "engine_parser_unknown",
        "ValueError: The tool parser morse is not in the parser list: dict_keys(['qwen'])",
        "",
    ),
    ("engine_quantization_unknown", "TypeError: Unsupported quant method: bitsandbytes", ""),
    (
        "engine_quantization_unknown",
        'ValueError: Unsupported group_size=64 for model_format="awq". Supported group_size values: 128.',
        "",
    ),
    (
        "engine_quantization_unknown",
        "AssertionError: unsupported quant config: {'quant_method': 'awq', 'version': 'gemv'}",
        "",
    ),
    ("engine_adapter_bad", "2026-11-26 10:00:00,000 - lmdeploy - ERROR - base.py:55 - <Adapter> check failed!", ""),
    (
        "engine_needs_code",
        "ValueError: The repository /m contains custom code which must be executed to correctly load the model.",
        "",
    ),
    ("engine_package_missing", "ModuleNotFoundError: No module named 'partial_json_parser'", ""),
    ("engine_architecture_unknown", "RuntimeError: Can not found rewrite for architectures: ['YetiForCausalLM']", ""),
    (
        "engine_architecture_unknown",
        "ValueError: The checkpoint you are trying to load has model type `yeti` but Transformers does not recognize this "
        "architecture.",
        "",
    ),
    (
        "engine_architecture_unknown",
        "AssertionError: turbomind does not support /m. Plz try pytorch engine instead.",
        "",
    ),
    ("engine_weights_bad", "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge", ""),
    ("engine_weights_bad", "RuntimeError: Failed to find valid checkpoint under '/m'", ""),
    ("engine_weights_bad", "KeyError: 'model.layers.31.mlp.down_proj.weight'", ""),
    (
        "engine_weights_bad",
        "RuntimeError: Error(s) in loading state_dict: size mismatch for lm_head.weight: copying a param with shape",
        "",
    ),
    ("engine_no_disk", "OSError: [Errno 28] No space left on device: '/root/.triton/cache/x.tmp'", ""),
    ("engine_settings_bad", "lmdeploy serve api_server: error: argument --backend: invalid choice: 'jax'", ""),
    # These three are what LMDeploy 0.18 prints on a machine without CUDA, for a folder that is gone, and after a kill.
    (
        "engine_no_cuda",
        "2026-11-26 12:02:50,206 - lmdeploy - ERROR - base.py:54 - AssertionError: Torch not compiled with CUDA enabled",
        "lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive.",
    ),
    (
        "engine_weights_bad",
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/m'.",
        "",
    ),
    (
        "engine_part_died",
        "lmdeploy.pytorch.engine.mp_engine.zmq_rpc.RPCServerDeadError: PyTorch ZMQ engine process is not alive.",
        "",
    ),
    ("engine_settings_bad", "AssertionError: invalid cache_max_entry_count", ""),
]


@pytest.mark.parametrize(("code", "line", "after"), LOGS, ids=[f"{n} {log[0]}" for n, log in enumerate(LOGS)])
def test_what_an_engine_says_last_is_told_in_plain_words_with_the_line_itself(code: str, line: str, after: str) -> None:
    error = explain([*TRACEBACK.splitlines(), line, after], 1, model="mine", times=1)
    assert error.code == code
    assert line in str(error)
    assert str(error).count("{") == line.count("{")
    assert "'mine'" in str(error)
    assert error.hint


def test_every_reason_is_shown_to_work_by_an_excerpt() -> None:
    assert {reason.code for reason in (*CAUSES, *REASONS, *CONSEQUENCES)} == {code for code, _line, _after in LOGS}


def test_the_code_that_a_traceback_shows_is_no_reason() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "/env/lmdeploy/x.py", line 3, in load',
        "    raise RuntimeError('No enough gpu memory for kv cache.') if short else check(trust_remote_code)",
        "          ^^^^^^^^^^^^",
        "RuntimeError: something else entirely",
    ]
    error = explain(lines, 1, model="m", times=2)
    assert error.code == "engine_crashed"
    assert str(error).endswith("Its last words: RuntimeError: something else entirely")


def test_of_two_reasons_the_last_counts_and_colours_are_no_part_of_it() -> None:
    lines = ["ImportError: flash_attn is not there, going on", "\x1b[31mKeyError: 'lm_head.weight'\x1b[0m", "bye"]
    error = explain(lines, 1, model="m", times=1)
    assert (error.code, error.params["line"]) == ("engine_weights_bad", "KeyError: 'lm_head.weight'")


@pytest.mark.parametrize("code", [-signal.SIGKILL, 137])
def test_killed_by_the_kernel_is_said_to_be_memory_most_often(code: int) -> None:
    error = explain(["loading"], code, model="m", times=1)
    assert error.code == "engine_killed"
    assert "ran out of memory" in error.hint


def test_an_exit_without_a_word_still_says_how() -> None:
    assert str(explain([], -signal.SIGSEGV, model="m", times=3)) == (
        "The engine that served 'm' ended with signal SIGSEGV, 3 times. Its last words: -"
    )


def test_only_what_may_pass_is_tried_again() -> None:
    assert "engine_out_of_memory" in PERMANENT
    assert "engine_load_failed" in PERMANENT
    assert (
        not {"engine_killed", "engine_part_died", "engine_crashed", "server_port_taken", "engine_gpus_cannot_talk"}
        & PERMANENT
    )
