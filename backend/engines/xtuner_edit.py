"""A config file of XTuner that a person edited: read without running any of it, and held to what a job needs of it.

A config is a Python program, which XTuner runs. So that reading it does nothing, it may only import from the libraries of a
training, and give names to values; and it has to keep what the job rests on: the model, the rows, how many iterations, how many of
them make a step, checkpoints and measurements. Not covered: it is no prison. What it names, XTuner calls, and a person
who may edit it may start programs here anyway.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from backend.engines.base import Problem
from backend.i18n import N_, _

FIELD = "config_text"
MODULES = ("bitsandbytes", "datasets", "mmengine", "peft", "torch", "transformers", "xtuner")
CALLS = ("dict", "float", "int", "list", "max", "min", "round", "str", "tuple")
"""What a config may call while it is read; everything else stands in ``dict(type=...)`` and is called by XTuner."""
NAMES = (
    "pretrained",
    "data",
    "iterations",
    "accumulation",
    "tokenizer",
    "model",
    "train_dataloader",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "default_hooks",
)
HOOKS = ("checkpoint", "logger")
_STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
_VALUES = (
    ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.keyword, ast.Dict, ast.List, ast.Tuple, ast.UnaryOp, ast.BinOp,
    ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
_MISSING = N_("The config has no '{name}' any more; the job needs it.")


@dataclass(frozen=True)
class Edited:
    """What a job has to know of a config. iterations: of the whole training. accumulation: iterations of a step."""

    iterations: int
    accumulation: int

    @property
    def steps(self) -> int:
        """Optimizer steps; the last one takes what is left."""
        return -(-self.iterations // self.accumulation)


def read(text: str) -> Edited:
    """What ``text``, which :func:`problems` finds nothing wrong with, says.

    Raises:
        ValueError: it says nothing of the kind.
    """
    names = _assigned(ast.parse(text))
    return Edited(_count(names.get("iterations")), _count(names.get("accumulation")))


def problems(
    text: str, model: str = "", data: str = "", device: str = "cuda", load_from: str | None = None
) -> list[Problem]:
    """All that keeps ``text`` from being the config of a job. model, data, load_from: what has to stand in ``pretrained``,
    ``data`` and ``load_from``; empty: whatever does."""
    try:
        return _problems(ast.parse(text), model, data, device, load_from)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        said = getattr(error, "msg", None) or str(error)
        return [_problem(N_("Line {line} is no Python: {problem}."), line=line, problem=said)]


def _problems(tree: ast.Module, model: str, data: str, device: str, load_from: str | None) -> list[Problem]:
    found = list(_strange(tree))
    names = _assigned(tree)
    found += [_problem(_MISSING, name=name) for name in NAMES if name not in names]
    kept = {"pretrained": model, "data": data} | ({"load_from": load_from} if load_from else {})
    for name, wanted in kept.items():
        if wanted and name in names and _literal(names[name]) != wanted:
            said = N_("'{name}' has to stay {wanted}: choose another model or dataset above, not in the config.")
            found.append(_problem(said, name=name, wanted=repr(wanted)))
    found += _counts(names)
    return found + (list(_on_cpu(tree)) if device == "cpu" else [])


def _problem(message: str, **values: object) -> Problem:
    return Problem(FIELD, _(message).format(**values))


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _count(node: ast.expr | None) -> int:
    value = _literal(node)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"no number of one or more: {value!r}")
    return value


def _strange(tree: ast.Module) -> Iterator[Problem]:
    """What a config does not need, and what would do something while it is read."""
    for node in tree.body:
        if not isinstance(node, _STATEMENTS) or (
            isinstance(node, ast.Assign) and not all(isinstance(target, ast.Name) for target in node.targets)
        ):
            yield _problem(
                N_("Line {line}: a config may import, and give names to values, and nothing else."), line=node.lineno
            )
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imported(node)
        else:
            yield from _called(node.value)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[Problem]:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
    for module in modules:
        if module.partition(".")[0] not in MODULES or (isinstance(node, ast.ImportFrom) and node.level):
            said = N_("Line {line}: '{module}' cannot be imported here. Libraries of a training: {modules}.")
            yield _problem(said, line=node.lineno, module=module or ".", modules=", ".join(MODULES))


def _called(value: ast.expr) -> Iterator[Problem]:
    for node in ast.walk(value):
        if not isinstance(node, _VALUES):
            yield _problem(
                N_("Line {line}: a config may import, and give names to values, and nothing else."),
                line=getattr(node, "lineno", value.lineno),
            )
            return
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in CALLS):
            said = N_(
                "Line {line}: '{call}' may not be called here; write dict(type={call}, ...), and XTuner calls it."
            )
            yield _problem(said, line=node.lineno, call=ast.unparse(node.func))
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and _literal(node.value) is not False:
            said = N_("Line {line}: trust_remote_code would run program code from a model's folder.")
            yield _problem(said, line=node.value.lineno)


def _keywords(node: ast.expr | None) -> dict[str, ast.expr]:
    if isinstance(node, ast.Call):
        return {each.arg: each.value for each in node.keywords if each.arg}
    if isinstance(node, ast.Dict):
        return {str(_literal(key)): value for key, value in zip(node.keys, node.values, strict=True)}
    return {}


def _counts(names: dict[str, ast.expr]) -> Iterator[Problem]:
    for name in ("iterations", "accumulation"):
        if name in names:
            try:
                _count(names[name])
            except ValueError:
                yield _problem(N_("'{name}' has to be a number of one or more."), name=name)
    for name, word, wanted in (
        ("train_cfg", "max_iters", "iterations"),
        ("optim_wrapper", "accumulative_counts", "accumulation"),
    ):
        value = _keywords(names.get(name)).get(word)
        if name in names and not (isinstance(value, ast.Name) and value.id == wanted):
            said = N_("'{name}' needs {word}={wanted}: the job counts by it.")
            yield _problem(said, name=name, word=word, wanted=wanted)
    hooks = _keywords(names.get("default_hooks"))
    for hook in HOOKS:
        if "default_hooks" in names and (hook not in hooks or _literal(_keywords(hooks[hook]).get("by_epoch")) is True):
            said = N_(
                "'default_hooks' needs '{hook}', counted in iterations: without it nothing is kept, or nothing is seen."
            )
            yield _problem(said, hook=hook)


def _on_cpu(tree: ast.Module) -> Iterator[Problem]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "AmpOptimWrapper" in ast.unparse(node.value):
            yield _problem(N_("Line {line}: on the CPU, XTuner computes in float32 only."), line=node.lineno)
        if isinstance(node, ast.keyword) and node.arg == "quantization_config" and _literal(node.value) != "":
            said = N_("Line {line}: 4 bits need an NVIDIA GPU.")
            yield _problem(said, line=node.value.lineno)
