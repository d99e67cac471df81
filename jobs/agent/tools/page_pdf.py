"""The text of a PDF from the web, read by a program of its own: one that was made to hang or to fill the memory costs that
program alone, and Stop ends it.

    python -m jobs.agent.tools.page_pdf NAME < file.pdf      prints {"text"} or {"error"}
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from backend.data import documents
from backend.errors import PanelError
from backend.workspace import ROOT
from jobs.agent.tools import fetch_failures, page_refusals

MOST_PAGES = 30
SECONDS, LOOK_S = 40.0, 0.05
MOST_MEMORY = 2 << 30


def text(data: bytes, name: str, stopped: Callable[[], bool], seconds: float = SECONDS) -> str:
    """The text of the first pages of the PDF ``data``.

    Raises:
        PanelError: ``web_page_pdf``; ``document_encrypted`` and others of its kind; ``fetch_stopped``.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        command = [sys.executable, "-m", "jobs.agent.tools.page_pdf", name]
        reader = subprocess.Popen(command, stdin=given, stdout=said, stderr=subprocess.DEVNULL, cwd=ROOT)
        try:
            _await(reader, stopped, time.monotonic() + seconds, name)
        finally:
            reader.kill()
            reader.wait()
        said.seek(0)
        answer = said.read()
    try:
        told = json.loads(answer)
    except ValueError:
        raise page_refusals.pdf() from None
    if "error" in told:
        raise PanelError.from_dict(told["error"])
    return str(told["text"])


def _await(reader: subprocess.Popen[bytes], stopped: Callable[[], bool], until: float, name: str) -> None:
    while True:
        try:
            reader.wait(LOOK_S)
            return
        except subprocess.TimeoutExpired:
            if stopped():
                raise fetch_failures.stopped(name) from None
            if time.monotonic() > until:
                raise page_refusals.pdf() from None


def main() -> None:
    """The program."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    try:
        document = documents.read_bytes(sys.stdin.buffer.read(), sys.argv[1], most_pages=MOST_PAGES)
    except PanelError as error:
        sys.stdout.write(json.dumps({"error": error.to_dict()}))
        return
    lines, page = [], 0
    for block in document.blocks:
        if block.page and block.page != page:
            page = block.page
            lines.append(f"[page {page}]")
        lines.append(("#" * block.level + " " if block.level else "") + block.text)
    total = document.pages or 0
    head = f"PDF, {total} pages" + (f"; only the first {MOST_PAGES} were read" if total > MOST_PAGES else "")
    notices = [str(notice) for notice in document.notices]
    sys.stdout.write(json.dumps({"text": "\n\n".join(["\n".join([head, *notices]), *lines])}))


if __name__ == "__main__":
    main()
