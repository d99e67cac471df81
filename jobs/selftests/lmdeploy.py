"""LMDeploy: its command line, a 4-bit copy of the starter with rows of ours, and on a GPU its server with one question."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from backend.engines import lmdeploy_lite
from backend.engines.lmdeploy import SHIM
from backend.engines.lmdeploy_lite import Awq
from backend.errors import PanelError, ServerError
from backend.i18n import N_
from jobs.selftests.programs import Lines
from jobs.selftests.served import HOST, free_port
from jobs.selftests.testing import Test
from jobs.serving.plan import KEY_VARIABLE

COMMANDS = N_("Its command line answers")
COPY = N_("A 4-bit copy, calibrated with rows from this machine")
SERVE = N_("Its server answers a question on the GPU")
COMMANDS_S, COPY_S, START_S, ANSWER_S = 180.0, 420.0, 600.0, 60.0
"""Compiling its kernels the first time takes minutes."""
HELP = """
import sys
from lmdeploy.cli import run
from lmdeploy.version import __version__
print(__version__, flush=True)
sys.argv[:] = ["lmdeploy", "lite", "auto_awq", "--help"]
run()
"""
"""Both in one process: it takes seconds to load."""
SAMPLES, SAMPLE_TOKENS, BATCH = 16, 128, 4
ROWS = tuple(
    f"{number} + {number * 3} = {number * 4}. {number} 加 {number * 3} 等于 {number * 4}。" for number in range(150)
)


def run(test: Test) -> None:
    test.check(COMMANDS, lambda: _commands(test))
    test.check(COPY, lambda: _copy(test), needs=[COMMANDS])
    problem = test.no_gpu()
    if problem is not None:
        test.not_tested(SERVE, problem)
    else:
        test.check(SERVE, lambda: serve(test), needs=[COMMANDS])


def _commands(test: Test) -> dict[str, str]:
    version, _, said = test.child([test.python, "-c", HELP], COMMANDS_S).stdout.partition("\n")
    if "--calib-samples" not in said:
        raise PanelError(
            "env_selftest_commands",
            N_("LMDeploy's command line does not know {option}, which TuneDeck needs."),
            N_("Install it again on the Environments page: this is another version."),
            option="--calib-samples",
        )
    return {N_("Version"): version}


def _copy(test: Test) -> dict[str, str]:
    lmdeploy_lite.write_calibration(test.folder, ROWS)
    device = "cuda" if test.gpu else "cpu"
    what = Awq(test.model, test.folder / "copy", SAMPLES, SAMPLE_TOKENS, BATCH, device=device)
    argv = lmdeploy_lite.command(test.python, what)
    done = test.child(argv, COPY_S, environ=lmdeploy_lite.environ(test.folder))
    made = lmdeploy_lite.finished(what, done.returncode, done.stderr.splitlines())
    return {N_("Weights"): f"{made.before / 1e6:.1f} → {made.after / 1e6:.1f} MB", N_("Device"): device}


def serve(test: Test) -> dict[str, str]:
    """Start its server on the GPU, ask it one question, and end it."""
    key, port = secrets.token_urlsafe(32), free_port()
    argv: list[str | Path] = [
        test.python,
        SHIM,
        "serve",
        "api_server",
        test.model,
        f"--server-name={HOST}",
        f"--server-port={port}",
    ]
    argv += ["--model-name=starter", "--backend=pytorch", "--session-len=2048", "--cache-max-entry-count=0.1"]
    lines: Lines = ([], [])
    began = time.monotonic()
    with test.started(argv, environ={KEY_VARIABLE: key}, lines=lines) as process:
        _await_health(test, process, port, lines)
        ready = time.monotonic() - began
        body = {
            "model": "starter",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 32,
            "temperature": 0,
        }
        request = urllib.request.Request(
            f"http://{HOST}:{port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        with _opener().open(request, timeout=ANSWER_S) as answer:
            text = str(json.load(answer)["choices"][0]["message"]["content"]).strip()
    if not text:
        raise ServerError(
            "env_selftest_empty_answer",
            N_("The starter model was asked something and said nothing."),
            N_("Its folder may be damaged: models/starter of TuneDeck must be as it was shipped."),
        )
    return {N_("Ready after"): f"{ready:.0f} s", N_("Answer"): text}


def _await_health(test: Test, process: subprocess.Popen[str], port: int, lines: Lines) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        test.check_stop()
        try:
            with _opener().open(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    said = [line.strip() for kept in lines for line in kept if line.strip()]
    raise ServerError(
        "env_selftest_no_server",
        N_("LMDeploy's server has not come up: {line}"),
        N_("The log of this job has all that it said."),
        line=said[-1][:500] if said else "-",
    )


def _opener() -> urllib.request.OpenerDirector:
    """Without this machine's proxy."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
