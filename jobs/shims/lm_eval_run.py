"""lm-evaluation-harness with the tasks of ``include_path`` alone: its own command line, in its own environment.

    python lm_eval_run.py run --config lm-eval/run.yaml

``python -m lm_eval`` does the same and first reads the 14,000 files of the tasks that come with it: 20 seconds of computing at every start. And where the
server refuses a question, it prints the request with the key in it; here the key is masked. Only 0.4.13 was looked at; where another version asks for
its tasks elsewhere, it reads them all again and nothing else changes.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module
from typing import Any, TextIO

KEY_VARIABLE = "OPENAI_API_KEY"


class Masked:
    """A stream that never shows ``secret``."""

    def __init__(self, stream: TextIO, secret: str) -> None:
        self._stream, self._secret = stream, secret

    def write(self, text: str) -> int:
        self._stream.write(text.replace(self._secret, "***"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    if key := os.environ.get(KEY_VARIABLE):
        sys.stdout, sys.stderr = Masked(sys.stdout, key), Masked(sys.stderr, key)
    # After that: its loggers keep the streams that they find.
    tasks: Any = import_module("lm_eval.tasks")
    tasks.TaskManager = partial(tasks.TaskManager, include_defaults=False)
    import_module("lm_eval.__main__").cli_evaluate()


if __name__ == "__main__":
    main()
