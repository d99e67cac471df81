"""A tool's result as a model reads it: never more than it can take in, and the whole of it in a file."""

from __future__ import annotations

import re
import time
from pathlib import Path

from backend.agent.tools import MOST_CHARS, Context, Result
from backend.errors import PanelError

_UNFIT = re.compile(r"[^a-z0-9_]+")


def shaped(
    text: str,
    context: Context,
    name: str,
    *,
    began: float,
    files: tuple[Path, ...] = (),
    error: PanelError | None = None,
) -> Result:
    """The result ``text`` of the tool ``name``, which began at ``time.monotonic()`` ``began``. What is too long for a model is cut in its
    middle; then the whole of it is the first of its files."""
    text = text.replace("\x00", "")
    left_out = max(0, len(text) - MOST_CHARS)
    if left_out:
        whole = _free(context.folder, _UNFIT.sub("_", name.lower())[:40] or "result")
        whole.write_text(text, encoding="utf-8", errors="replace")
        files = (whole, *files)
        half = MOST_CHARS // 2 - 100
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[… {left_out:,} characters left out; the whole result is in {whole.name} …]\n{text[-half:]}"
    return Result(text, files, error, left_out, time.monotonic() - began)


def _free(folder: Path, stem: str) -> Path:
    """A file that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{stem}-{number}.txt").exists():
        number += 1
    return path
