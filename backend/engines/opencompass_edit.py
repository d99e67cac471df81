"""A config of OpenCompass that a person may have changed: checked before it starts, and filled in with what is known only then."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from backend.doctor.masking import scrub
from backend.errors import DataError
from backend.i18n import N_

FILLED = ("api_base", "served_model", "tokenizer_folder", "context_length", "model_folder", "data_folder")
"""Variables at the head of a config whose values are put in when it starts."""
NEEDED = ("models", "datasets")
KEYS = ("key", "api_key", "openai_api_key", "token", "password")
OPEN_KEYS = ("", "ENV")


def check(config: str) -> None:
    """Whether ``config`` can be started.

    Raises:
        DataError: ``opencompass_config_syntax``, ``opencompass_config_lacks``, ``opencompass_config_secret``.
    """
    tree = _parsed(config)
    names = set(_assigned(tree))
    for name in NEEDED:
        if name not in names:
            raise DataError(
                "opencompass_config_lacks",
                N_("The config file says nothing about '{name}'."),
                N_(
                    "OpenCompass needs a list called 'models' and one called 'datasets'. Take the generated text again."
                ),
                name=name,
            )
    line = _secret(tree, config)
    if line:
        raise DataError(
            "opencompass_config_secret",
            N_(
                "Line {number} of the config file holds a key or a token; the file is kept with the job, where others can read it."
            ),
            N_('Write key="ENV": the key of the server is handed over without being written anywhere.'),
            number=line,
        )


def fill(config: str, values: Mapping[str, str | int]) -> str:
    """``config`` with ``values`` of :data:`FILLED` in the place of those at its head; names that it has not are left out."""
    # As Python counts lines: others than these are none.
    lines = config.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for node in reversed(_parsed(config).body):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id in FILLED and target.id in values:
            lines[node.lineno - 1 : node.end_lineno] = [f"{target.id} = {values[target.id]!r}"]
    return "\n".join(lines)


def _parsed(config: str) -> ast.Module:
    try:
        return ast.parse(config)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        number = error.lineno if isinstance(error, SyntaxError) else None
        raise DataError(
            "opencompass_config_syntax",
            N_("The config file is no Python: {problem} (line {number})."),
            N_("Mend that line, or take the generated text again."),
            problem=error.msg if isinstance(error, SyntaxError) else str(error),
            number=number or 1,
        ) from error


def _assigned(tree: ast.AST) -> Iterator[str]:
    """Names that the file gives a value to, by whatever means, outside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def _secret(tree: ast.AST, config: str) -> int:
    """The number of the first line with something secret, 0 where there is none."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.keyword) and node.arg in KEYS else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value not in OPEN_KEYS:
            return value.lineno
    return next((number for number, line in enumerate(config.splitlines(), 1) if scrub(line) != line), 0)
