"""The same log as other terminals, loggers and machines would have written it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

NOISE = (
    "11/26 09:13:40 - mmengine - INFO - Iter(train) [{n:>4}/1920]  lr: 3.2145e-05  eta: 0:11:00  time: 0.3458  "
    "data_time: 0.0170  memory: 9793  loss: 2.9904  grad_norm: 4.1024"
)


def hard(width: int) -> Callable[[str], str]:
    """Broken by a terminal, in the middle of words."""

    def shape(log: str) -> str:
        return "\n".join(line[at : at + width] for line in log.split("\n") for at in range(0, max(len(line), 1), width))

    return shape


def soft(width: int, indent: str) -> Callable[[str], str]:
    """Broken between words by a program that indents what follows."""

    def shape(log: str) -> str:
        wrapped: list[str] = []
        for line in log.split("\n"):
            lead = line[: len(line) - len(line.lstrip())]
            wrapped += textwrap.wrap(
                line, width, subsequent_indent=lead + indent, break_on_hyphens=False, replace_whitespace=False
            ) or [""]
        return "\n".join(wrapped)

    return shape


def each(before: str, after: str = "") -> Callable[[str], str]:
    """Something around every line."""
    return lambda log: "\n".join(f"{before}{line}{after}" for line in log.split("\n"))


def boxed(log: str) -> str:
    """In a box of rich, 100 columns wide."""
    lines = hard(96)(log).split("\n")
    return "\n".join(["╭" + "─" * 98 + "╮", *(f"│ {line:<96} │" for line in lines), "╰" + "─" * 98 + "╯"])


def rich_log(log: str) -> str:
    """As the logger of rich writes it: in two columns, with the place in the program at the right."""
    lines: list[str] = []
    for line in log.split("\n"):
        pieces = textwrap.wrap(line, 60, break_on_hyphens=False, replace_whitespace=False) or [""]
        lines.append(f"[10:00:41] ERROR    {pieces[0]:<62}  train.py:123")
        lines += [f"{'':20}{piece}" for piece in pieces[1:]]
    return "\n".join(lines)


def numbered(log: str) -> str:
    """Copied with line numbers."""
    return "\n".join(f"{number:>5}  {line}" for number, line in enumerate(log.split("\n"), 1))


def elsewhere(log: str) -> str:
    """On a machine with other paths and versions, among them blanks and Chinese characters."""
    for old, new in (
        ("/opt/env/lib/python3.11/site-packages/", "/home/学员 一/engines/my env/lib/python3.12/site-packages/"),
        ("/opt/env", "/mnt/shared drive/envs/x-2"),
        ("/usr/lib/python3.11", "/opt/conda/lib/python3.12"),
        ("/data/", "/mnt/课程 数据/v2/"),
        ("0.10.6", "0.11.0"),
        ("127.0.0.1", "10.20.30.40"),
    ):
        log = log.replace(old, new)
    return log


def late(log: str) -> str:
    """After a long training."""
    return "\n".join(NOISE.format(n=n) for n in range(10, 4000, 10)) + "\n" + log


def followed(log: str) -> str:
    """With the last words of a program that cleans up."""
    return log + "\nwandb: Waiting for W&B process to finish... (failed 1).\nINFO:     Shutting down\nbye\n"


SHAPES: dict[str, tuple[Callable[[str], str], ...]] = {
    "as it is": (),
    "80 columns": (hard(80),),
    "120 columns": (hard(120),),
    "words at 100": (soft(100, "  "),),
    "rank": (each("[rank0]: "),),
    "rank, then 80 columns": (each("[rank0]: "), hard(80)),
    "80 columns, then rank": (hard(80), each("[rank3]: ")),
    "time": (each("2026-11-26 10:00:41,204 "),),
    "loguru": (each("2026-11-26 10:00:41.204 | ERROR    | __main__:main:12 - "),),
    "mmengine": (each("11/26 10:00:41 - mmengine - ERROR - "),),
    "compose": (each("engine-1  | "),),
    "colours and CRLF": (each("\x1b[31m", "\x1b[0m\r"),),
    "box": (boxed,),
    "elsewhere": (elsewhere,),
    "elsewhere, 120 columns, time": (elsewhere, each("[2026-11-26T10:00:41Z] "), hard(120)),
    "container": (each("2026-11-26T10:00:41.123456789Z stderr F "),),
    "two workers": (each("(WorkerDict pid=1234, ip=10.0.0.1) "),),
    "any logger": (each("2026-11-26 10:00:41,204 ERROR stderr | "),),
    "rich": (rich_log,),
    "numbered": (numbered,),
    "quoted": (each("> "),),
    "tab": (each("\t"),),
    "late": (late,),
    "followed": (followed,),
}
LOUD = frozenset({"loguru", "mmengine", "any logger", "rich"})
"""Shapes that call every line an error."""


def shaped(log: str, name: str) -> str:
    """``log`` in the shape ``name``."""
    for shape in SHAPES[name]:
        log = shape(log)
    return log
