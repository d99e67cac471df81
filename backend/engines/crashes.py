"""Why an engine ended by itself, as its server's job says it: told from the last lines of its log and its exit code.

What failures look like in a log stands in one table, :mod:`backend.diagnosis`; here stands how each of them is said of a
model server. Causes count wherever in the log they stand: memory, driver and GPU draw other errors after them. Of the
reasons that one counts which stands nearest to the end. Consequences say little and count where nothing else fits. The
line that fits is the evidence.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from backend.diagnosis import ROWS, diagnose_lines
from backend.diagnosis.row import CAUSE, CONSEQUENCE, REASON
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
    """How one failure is said of a server. again: another start may go better, so the job may try it."""

    code: str
    message: str
    hint: str
    again: bool = False


SAID = (
    Reason(
        "server_port_taken",
        N_("Another program took the port of the server for '{model}': {line}"),
        N_("Start the server again; it gets another port."),
        again=True,
    ),
    Reason(
        "engine_no_shared_memory",
        N_("The shared memory (/dev/shm) was not enough to serve '{model}': {line}"),
        N_("In a container it is small by default: give it more, for example with --shm-size=8g."),
    ),
    Reason(
        "engine_kv_cache_too_large",
        N_("Beside the weights of '{model}' there was not enough GPU memory for its KV cache: {line}"),
        N_(
            "Stop other servers or jobs, choose a shorter context length, fewer people at once or an 8-bit KV cache, or "
            "a smaller model."
        ),
    ),
    Reason(
        "engine_out_of_memory",
        N_("The memory was not enough to serve '{model}': {line}"),
        N_("Stop other servers or jobs, choose a smaller or quantized model, or a shorter context length."),
    ),
    Reason(
        "engine_driver_too_old",
        N_("The NVIDIA driver of this machine is too old for the engine that serves '{model}': {line}"),
        N_(
            "Ask whoever looks after this machine for a newer driver, or use an environment made for an older CUDA version."
        ),
    ),
    Reason(
        "engine_gpu_unsupported",
        N_("This GPU is too old or too new for the engine that serves '{model}': {line}"),
        N_("Choose the PyTorch core, another weight format, or the engine transformers."),
    ),
    Reason(
        "engine_no_cuda",
        N_("The engine that serves '{model}' found no usable GPU: {line}"),
        N_(
            "Look with nvidia-smi whether the driver works. If it does, the engine's environment was made without CUDA: "
            "make it again."
        ),
    ),
    Reason(
        "engine_no_disk",
        N_("The disk was full while '{model}' was started: {line}"),
        N_("Make room, then start it again."),
    ),
    Reason(
        "engine_gpus_cannot_talk",
        N_("The GPUs that share '{model}' could not talk to each other: {line}"),
        N_("Serve it on one GPU, or look at the log with NCCL_DEBUG=INFO in the environment of the panel."),
        again=True,
    ),
    Reason(
        "engine_chat_template_bad",
        N_("The chat template does not fit '{model}': {line}"),
        N_("Leave the chat template empty, so that the model's own is used, or choose another one."),
    ),
    Reason(
        "engine_parser_unknown",
        N_("The engine does not know the parser chosen for '{model}': {line}"),
        N_("Choose another parser, or none."),
    ),
    Reason(
        "engine_quantization_unknown",
        N_("The engine does not know how '{model}' is quantized: {line}"),
        N_("Leave the weight format on auto, choose the other core, or serve the model before it was quantized."),
    ),
    Reason(
        "engine_adapter_bad",
        N_("An adapter does not fit '{model}': {line}"),
        N_("Serve the model without it, or look whether it was trained for this model."),
    ),
    Reason(
        "engine_needs_code",
        N_("'{model}' cannot be loaded by this engine without program code of its own: {line}"),
        N_("Look at its code in the model's details on the Models page and allow it there, or use another engine."),
    ),
    Reason(
        "engine_package_missing",
        N_("A package is missing in the environment of the engine that serves '{model}': {line}"),
        N_("Make the environment again, or install the package named there into it."),
    ),
    Reason(
        "engine_architecture_unknown",
        N_("The engine does not know the architecture of '{model}': {line}"),
        N_("Choose another core or another engine, or a newer version of this one."),
    ),
    Reason(
        "engine_weights_bad",
        N_("The weight files of '{model}' are damaged, missing, or do not belong together: {line}"),
        N_("Check its card on the Models page, then get the model again."),
    ),
    Reason(
        "engine_settings_bad",
        N_("The engine did not take the settings for '{model}': {line}"),
        N_(
            "Look at the command in the log. Does the environment hold the version of LMDeploy that TuneDeck was made for?"
        ),
    ),
    Reason(
        "engine_part_died",
        N_("A process of the engine that served '{model}' ended without a word: {line}"),
        N_("Often the machine ran out of main memory. Look at the memory and at the log above that line."),
        again=True,
    ),
)
"""Every failure of a server that the table knows; the rows name them."""


def _of(level: int) -> tuple[Reason, ...]:
    named = {row.server for row in ROWS if row.level == level}
    return tuple(reason for reason in SAID if reason.code in named)


CAUSES, REASONS, CONSEQUENCES = _of(CAUSE), _of(REASON), _of(CONSEQUENCE)
BY_CODE = {reason.code: reason for reason in SAID}
PERMANENT = frozenset({reason.code for reason in (*CAUSES, *REASONS) if not reason.again} | {"engine_load_failed"})
"""Codes after which a restart cannot go better: the same again would end the same."""


def explain(lines: Sequence[str], code: int, *, model: str, times: int) -> PanelError:
    """See :meth:`backend.engines.base.Engine.explain`."""
    said = _spoken(lines)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    facts = {"model": model, "times": times, "how": how}
    for finding in diagnose_lines(lines):
        reason = BY_CODE.get(finding.row.server)
        if reason is not None:
            return ServerError(reason.code, reason.message, reason.hint, **facts, line=finding.text.replace("\n", " "))
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


def last_words(lines: Sequence[str]) -> str:
    """The line that says most: the last that names an error, else the last that is not empty."""
    said = [line.strip() for line in lines if line.strip()]
    named = [line for line in said if NAMED.match(line)]
    return (named or said or ["-"])[-1][:EVIDENCE_CHARS]
