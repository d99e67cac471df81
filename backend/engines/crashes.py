"""Why an engine ended by itself, in plain words: told from the last lines of its log and its exit code.

First come the rows of :data:`CAUSES`, wherever in the log they fit: memory, driver and GPU draw other errors after them.
Of the :data:`REASONS` that one counts which fits nearest to the end. :data:`CONSEQUENCES` say little and count where
nothing else fits. The line that fits is the evidence.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from backend.errors import PanelError, ServerError
from backend.i18n import N_

EXIT_LOAD_FAILED = 3
"""Our own engine's process could not load the model; its last words say why."""
EVIDENCE_CHARS = 500
ANSI = re.compile(r"\x1b\[[0-9;]*m")
NAMED = re.compile(
    r"(ERROR:?\s|[\w.]+(Error|Exception)\b|Fatal|Killed|terminate|\[TM\]\[(FATAL|ERROR)\]|.* - lmdeploy - ERROR)"
)


@dataclass(frozen=True)
class Reason:
    """One row. again: another start may go better, so the job may try it."""

    code: str
    pattern: str
    message: str
    hint: str
    again: bool = False


CAUSES = (
    Reason(
        "server_port_taken",
        r"address already in use|EADDRINUSE",
        N_("Another program took the port of the server for '{model}': {line}"),
        N_("Start the server again; it gets another port."),
        again=True,
    ),
    Reason(
        "engine_no_shared_memory",
        r"Bus error|SIGBUS|/dev/shm.*(No space left|full)|No space left on device.*/dev/shm",
        N_("The shared memory (/dev/shm) was not enough to serve '{model}': {line}"),
        N_("In a container it is small by default: give it more, for example with --shm-size=8g."),
    ),
    Reason(
        "engine_kv_cache_too_large",
        r"No enough gpu memory for (kv cache|runtime)|insufficient free memory for transient|cache out of memory",
        N_("Beside the weights of '{model}' there was not enough GPU memory for its KV cache: {line}"),
        N_(
            "Stop other servers or jobs, choose a shorter context length, fewer people at once or an 8-bit KV cache, or "
            "a smaller model."
        ),
    ),
    Reason(
        "engine_out_of_memory",
        r"(CUDA|HIP|GPU).{0,40}out of memory|OutOfMemory|\bout of memory\b|MemoryError|std::bad_alloc|cannot allocate memory|"
        r"can't allocate memory|DefaultCPUAllocator: not enough memory",
        N_("The memory was not enough to serve '{model}': {line}"),
        N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
    ),
    Reason(
        "engine_driver_too_old",
        r"driver version is insufficient|NVIDIA driver on your system is too old|"
        r"not supported in the installed CUDA driver|forward compatibility was attempted|"
        r"unsupported toolchain|libcuda\.so[.\d]*: version",
        N_("The NVIDIA driver of this machine is too old for the engine that serves '{model}': {line}"),
        N_(
            "Ask whoever looks after this machine for a newer driver, or use an environment made for an older CUDA version."
        ),
    ),
    Reason(
        "engine_gpu_unsupported",
        r"no kernel image is available|no executable data type for this device|requires sm ?>=|"
        r"CUDA capability sm_\d+ is not compatible",
        N_("This GPU is too old or too new for the engine that serves '{model}': {line}"),
        N_("Choose the PyTorch core, another weight format, or the engine transformers."),
    ),
    Reason(
        "engine_no_cuda",
        r"Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device|cuda is not available|"
        r"Torch not compiled with CUDA|libcuda\.so[.\d]*: cannot open|libcud(art|nn)[\w.]*: cannot open|"
        r"CUDA_ERROR_NO_DEVICE",
        N_("The engine that serves '{model}' found no usable GPU: {line}"),
        N_(
            "Look with nvidia-smi whether the driver works. If it does, the engine's environment was made without CUDA: "
            "make it again."
        ),
    ),
    Reason(
        "engine_no_disk",
        r"No space left on device|Disk quota exceeded",
        N_("The disk was full while '{model}' was started: {line}"),
        N_("Make room, then start it again."),
    ),
)
REASONS = (
    Reason(
        "engine_gpus_cannot_talk",
        r"NCCL.{0,40}error|ncclSystemError|ncclUnhandledCudaError|ncclInternalError",
        N_("The GPUs that share '{model}' could not talk to each other: {line}"),
        N_("Serve it on one GPU, or look at the log with NCCL_DEBUG=INFO in the environment of the panel."),
        again=True,
    ),
    Reason(
        "engine_chat_template_bad",
        r"chat template '.*' is not|apply_chat_template failed|Unknown chat template|TemplateSyntaxError|UndefinedError|chat_template.{0,40}"
        r"(not set|is not found|missing)|json\.decoder\.JSONDecodeError.*template",
        N_("The chat template does not fit '{model}': {line}"),
        N_("Leave the chat template empty, so that the model's own is used, or choose another one."),
    ),
    Reason(
        "engine_parser_unknown",
        r"The (tool|reasoning) parser .* is not in the parser list",
        N_("The engine does not know the parser chosen for '{model}': {line}"),
        N_("Choose another parser, or none."),
    ),
    Reason(
        "engine_quantization_unknown",
        r"[Uu]nsupported quant(ization|_config| config| method)|Unsupported group_size|mismatched quant|"
        r"unknown model_format|Unsupported weight quantization|compressed-tensors only supports|"
        r"pack-quantized requires|Unknown quantization (type|method)|only supports pack-quantized",
        N_("The engine does not know how '{model}' is quantized: {line}"),
        N_("Leave the weight format on auto, choose the other core, or serve the model before it was quantized."),
    ),
    Reason(
        "engine_adapter_bad",
        r"<Adapter> check failed|adapter_config\.json|Invalid lora|Target modules? .* not found",
        N_("An adapter does not fit '{model}': {line}"),
        N_("Serve the model without it, or look whether it was trained for this model."),
    ),
    Reason(
        "engine_needs_code",
        r"contains custom code which must be executed|requires you to execute the \w+ file|option `?trust_remote_code=True",
        N_("'{model}' cannot be loaded by this engine without program code of its own: {line}"),
        N_("Look at its code in the model's details on the Models page and allow it there, or use another engine."),
    ),
    Reason(
        "engine_package_missing",
        r"ModuleNotFoundError: No module named|ImportError: |PackageNotFoundError|check your environment|"
        r"Failed to import",
        N_("A package is missing in the environment of the engine that serves '{model}': {line}"),
        N_("Make the environment again, or install the package named there into it."),
    ),
    Reason(
        "engine_architecture_unknown",
        r"Can not found rewrite for|support has been removed from LMDeploy|turbomind does not support|"
        r"model type `?[\w.-]+`? but Transformers does not recognize|Unrecognized (configuration class|model in)|"
        r"Unrecognized model|no valid parallel config|KeyError: '\w+(ForCausalLM|ForConditionalGeneration|Model)'|"
        r"Unsupported (model|architecture)",
        N_("The engine does not know the architecture of '{model}': {line}"),
        N_("Choose another core or another engine, or a newer version of this one."),
    ),
    Reason(
        "engine_weights_bad",
        r"SafetensorError|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer|Failed to find valid checkpoint|"
        r"No such file or directory: .*\.(safetensors|bin|json)|Error no file named|size mismatch for|"
        r"does not appear to have a file named|KeyError: '[\w.]*(weight|qweight|lm_head|embed_tokens)[\w.]*'|"
        r"Missing key|missing and unexpected|PytorchStreamReader failed|UnpicklingError|"
        r"Unable to load weights|Incorrect path_or_model_id|incomplete metadata|"
        r"HFValidationError",
        N_("The weight files of '{model}' are damaged, missing, or do not belong together: {line}"),
        N_("Check its card on the Models page, then get the model again."),
    ),
    Reason(
        "engine_settings_bad",
        r"^lmdeploy.*: error: |unrecognized arguments|AssertionError: invalid \w+|<Engine> check failed|invalid quant_policy",
        N_("The engine did not take the settings for '{model}': {line}"),
        N_(
            "Look at the command in the log. Does the environment hold the version of LMDeploy that TuneDeck was made for?"
        ),
    ),
)
CONSEQUENCES = (
    Reason(
        "engine_part_died",
        r"engine process is not alive|RPCServerDeadError|A process in the process pool was terminated abruptly|"
        r"WorkerCrashedError|The actor died unexpectedly",
        N_("A process of the engine that served '{model}' ended without a word: {line}"),
        N_("Often the machine ran out of main memory. Look at the memory and at the log above that line."),
        again=True,
    ),
)
PERMANENT = frozenset({reason.code for reason in (*CAUSES, *REASONS) if not reason.again} | {"engine_load_failed"})
"""Codes after which a restart cannot go better: the same again would end the same."""


def explain(lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
    """See :meth:`backend.engines.base.Engine.explain`."""
    said = _spoken(lines)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    facts = {"model": model, "times": times, "how": how}
    found = _found(said)
    if found is not None:
        reason, line = found
        return ServerError(reason.code, reason.message, reason.hint, **facts, line=line[:EVIDENCE_CHARS])
    line = last_words(said)
    if code == EXIT_LOAD_FAILED:
        return ServerError(
            "engine_load_failed",
            N_("The engine could not load '{model}': {line}"),
            N_("The log shows where. The model may need a newer engine, or its files may not belong together."),
            **facts,
            line=line,
        )
    # 137: a shell's word for a child that was killed with signal 9.
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) or line == "Killed":
        return ServerError(
            "engine_killed",
            N_("The engine that served '{model}' was killed from outside ({how}), {times} times."),
            N_("Often the machine ran out of memory, or somebody ended it. Look at the memory, then start it again."),
            **facts,
            line=line,
        )
    return ServerError(
        "engine_crashed",
        N_("The engine that served '{model}' ended with {how}, {times} times. Its last words: {line}"),
        N_("The log shows where. Start it again; if it ends the same way, the cause is in the model or the engine."),
        **facts,
        line=line,
    )


def _spoken(lines: Sequence[str]) -> list[str]:
    """The lines without colours, and without the source code in tracebacks: it may name any trouble there is."""
    kept: list[str] = []
    in_frame = False
    for line in (ANSI.sub("", raw).rstrip() for raw in lines):
        if in_frame and line.startswith("    "):
            continue
        in_frame = line.lstrip().startswith('File "') and ", line " in line
        if line and not in_frame:
            kept.append(line.strip())
    return kept


def _found(lines: Sequence[str]) -> tuple[Reason, str] | None:
    for reason in CAUSES:
        for line in reversed(lines):
            if re.search(reason.pattern, line, re.IGNORECASE):
                return reason, line
    for reasons in (REASONS, CONSEQUENCES):
        for line in reversed(lines):
            for reason in reasons:
                if re.search(reason.pattern, line, re.IGNORECASE):
                    return reason, line
    return None


def last_words(lines: Sequence[str]) -> str:
    """The line that says most: the last that names an error, else the last that is not empty."""
    said = [line.strip() for line in lines if line.strip()]
    named = [line for line in said if NAMED.match(line)]
    return (named or said or ["-"])[-1][:EVIDENCE_CHARS]
