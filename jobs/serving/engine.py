"""The process that holds the model: ``python -m jobs.serving.engine PLAN.json``, with the key in its environment.

It leaves when told to, when it cannot load, and when its standard input closes: that is the job's end of a pipe, so an
engine never outlives its job, even where the job was killed without a word. Exit codes: 0 left, 3 could not load.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

from backend.engines.crashes import EXIT_LOAD_FAILED
from jobs.libraries import loading
from jobs.serving.plan import KEY_VARIABLE, Plan


def main(plan_file: str) -> NoReturn:
    """Serve until told to leave. Never returns: threads of the engine may still be computing."""
    key = os.environ.pop(KEY_VARIABLE)
    plan = Plan.read(Path(plan_file))
    threading.Thread(target=_leave_with_job, name="leave-with-job", daemon=True).start()
    try:
        server = _server(plan, key)
    except Exception:  # noqa: BLE001 - whatever the libraries raise, the log's last line is the cause
        sys.stdout.flush()
        traceback.print_exc()
        _leave(EXIT_LOAD_FAILED)
    server.run()
    _leave(0)


def _server(plan: Plan, key: str):  # type: ignore[no-untyped-def]  # uvicorn is imported late, to load nothing in vain
    import uvicorn

    with loading():
        from jobs.serving.app import App
        from jobs.serving.generation import Generator
        from jobs.serving.loading import load
        from jobs.serving.seeing import load_processor

        model, tokenizer = load(plan)
        processor = load_processor(plan, tokenizer, model)
    if plan.batching:
        from jobs.serving.batching import BatchGenerator

        generator: Generator = BatchGenerator(plan, model, tokenizer, processor)
    else:
        generator = Generator(plan, model, tokenizer, processor)
    config = uvicorn.Config(
        App(generator, key),
        host=plan.host,
        port=plan.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _leave_with_job() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    _leave(0)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
