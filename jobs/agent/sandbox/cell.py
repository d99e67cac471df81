"""Code run as a cell of a notebook: everything in order, and the value of the last expression.

Runs inside, where nothing can be trusted any more: what it reports is text for a model, nothing that decides anything.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
from types import ModuleType
from typing import Any

NAME = "<python>"
MOST_VALUE = 1_000_000
"""Characters of a value or a traceback that leave this process."""

FIGURES = "tunedeck_figures"
"""The module by which matplotlib shows figures: as files."""


def run(source: str, report: int, figures: str) -> None:
    """Run ``source`` as ``__main__``. To the descriptor ``report`` goes one text: ``V`` and the value of the last
    expression, ``E`` and a traceback, ``X`` and an exit code, or ``.`` where there is nothing to say."""
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.meta_path.append(_Figures(figures))
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
    try:
        said = _said(source, main.__dict__)
    except SystemExit as error:
        said = f"X{0 if error.code is None else error.code}"
    except BaseException as error:  # noqa: BLE001 - whatever the code raises is what has to be told
        said = "E" + _told(error, source)
    _write(report, said.encode("utf-8", "backslashreplace"))


def _said(source: str, names: dict[str, Any]) -> str:
    import _ast

    tree = compile(source, NAME, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, _ast.Module)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    exec(compile(tree, NAME, "exec", dont_inherit=True), names)  # noqa: S102 - running it is what this process is for
    value = None
    if last is not None:
        assert isinstance(last, _ast.Expr)
        expression = compile(_ast.Expression(last.value), NAME, "eval", dont_inherit=True)
        value = eval(expression, names)  # noqa: S307 - as above
    _wait_for_threads()
    _save_figures()
    hidden = value is None or source.rstrip().endswith(";")
    return "." if hidden else "V" + repr(value)[:MOST_VALUE]


def _wait_for_threads() -> None:
    if threading := sys.modules.get("threading"):
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()


def _save_figures() -> None:
    if (module := sys.modules.get(FIGURES)) and "matplotlib.pyplot" in sys.modules:
        module.show()


def _told(error: BaseException, source: str) -> str:
    """The traceback, with the lines of ``source`` only: a library's inside helps nobody to correct a call of it."""
    try:
        import linecache
        import traceback

        lines = source.splitlines(keepends=True)
        linecache.cache[NAME] = (len(source), None, lines, NAME)
        report = traceback.TracebackException(type(error), error, error.__traceback__)
        seen: list[Any] = [report]
        for each in seen:
            each.stack = traceback.StackSummary.from_list([frame for frame in each.stack if frame.filename == NAME])
            seen += [chained for chained in (each.__cause__, each.__context__) if chained is not None]
        return "".join(report.format())[-MOST_VALUE:]
    except BaseException:  # noqa: BLE001 - an exception whose own text raises, or no memory left
        return f"{type(error).__name__}\n"


def _write(handle: int, data: bytes) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed or replaced by the code
            stream.flush()
    while data:
        try:
            data = data[os.write(handle, data) :]
        except OSError:
            return


class _Figures:
    """Finds the one module that is not in a file the code can read."""

    def __init__(self, source: str) -> None:
        self.source = source

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        if name != FIGURES:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self)  # type: ignore[arg-type]  # a loader by what it does

    def create_module(self, _spec: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, FIGURES, "exec"), module.__dict__)  # noqa: S102 - our own figures.py
