"""The files of lm-evaluation-harness: the settings of a run, a task, its filters, its questions. See :mod:`backend.engines.lm_eval_tasks`.

YAML is written by hand: PyYAML is no part of the panel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines import lm_eval_rules
from backend.evaluate import marking, wording
from backend.evaluate.questions import LETTERS, Question, Rule
from backend.specs.evaluate import EvaluateSpec

KEY_VARIABLE = "OPENAI_API_KEY"
"""Where its client looks for the server's key."""
FOLDER = "lm-eval"
TASKS, RUN, OUT, CACHE, HOME = (f"{FOLDER}/{name}" for name in ("tasks", "run.yaml", "out", "answers", "home"))
"""CACHE: start of the name of its file of answers (SQLite), see :data:`CACHE_FILE`. HOME: what it would leave in the person's home."""
CACHE_FILE = f"{CACHE}_rank0.db"
RULES = "lm_eval_rules"
FILTER, METRIC = "answer", "exact_match"
RETRIES = 3
THINK_END = "</think>"


@dataclass(frozen=True)
class Task:
    """One task: what is asked of one subject under one rule. name: unique, plain ASCII. examples: solved ones that stand before each question."""

    name: str
    rule: Rule
    questions: tuple[Question, ...]
    examples: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Part:
    """One subject. name: what lm-eval is told to run, of its only task, or of the group of its ``tasks``."""

    subject: str
    name: str
    tasks: tuple[Task, ...]

    @property
    def questions(self) -> int:
        return sum(len(task.questions) for task in self.tasks)


@dataclass(frozen=True)
class Endpoint:
    """Who is asked. The defaults are for a command that is only shown."""

    base_url: str = "http://127.0.0.1:PORT/v1"
    model: str = "MODEL"


def files(parts: Sequence[Part], spec: EvaluateSpec, endpoint: Endpoint) -> dict[str, str]:
    """All that is written for ``parts``: path below the folder that the program is started in -> text."""
    rules = Path(lm_eval_rules.__file__).read_text("utf-8")
    found = {RUN: run_file(parts, spec, endpoint), f"{TASKS}/{RULES}.py": rules}
    for part in parts:
        found |= _files(part, spec)
    return found


def run_file(parts: Sequence[Part], spec: EvaluateSpec, endpoint: Endpoint) -> str:
    """The settings of the run. No key is in it: that comes by the environment, see :func:`environ`."""
    return f"""# Written by TuneDeck. {KEY_VARIABLE} must hold the server's key.
model: local-chat-completions
model_args:
  model: {quoted(endpoint.model)}
  base_url: {quoted(endpoint.base_url.rstrip("/") + "/chat/completions")}
  num_concurrent: {spec.concurrency}
  max_retries: {RETRIES}
  timeout: {max(1, round(spec.timeout_s))}
  max_gen_toks: {spec.answer_tokens}
  seed: {spec.seed}
  think_end_token: {quoted(THINK_END)}
tasks: [{", ".join(part.name for part in parts)}]
include_path: {TASKS}
apply_chat_template: true
fewshot_as_multiturn: true
batch_size: 1
use_cache: {CACHE}
log_samples: true
output_path: {OUT}
"""


def _files(part: Part, spec: EvaluateSpec) -> dict[str, str]:
    found: dict[str, str] = {}
    if len(part.tasks) > 1:
        found[f"{TASKS}/{part.name}.yaml"] = f"""# Written by TuneDeck: the subject {_comment(part.subject)}.
group: {part.name}
task: [{", ".join(task.name for task in part.tasks)}]
aggregate_metric_list:
  - metric: {METRIC}
    aggregation: mean
    weight_by_size: true
    filter_list: {FILTER}
"""
    for task in part.tasks:
        found[f"{TASKS}/{task.name}.yaml"] = task_file(part, task, spec)
        found[f"{TASKS}/{task.name}.jsonl"] = _lines(task.questions)
        if task.examples:
            found[f"{TASKS}/{task.name}.examples.jsonl"] = _lines(task.examples)
    return found


def task_file(part: Part, task: Task, spec: EvaluateSpec) -> str:
    """The YAML file of one task."""
    shots = len(task.examples)
    dev = f"\n    dev: {TASKS}/{task.name}.examples.jsonl" if shots else ""
    few = (
        f"fewshot_split: dev\nfewshot_config:\n  sampler: first_n\n  doc_to_target: solution\nnum_fewshot: {shots}\n"
        if shots
        else "num_fewshot: 0\n"
    )
    kwargs = "".join(f"\n    {name}: {value}" for name, value in _metric(task.rule).items())
    return f"""# Written by TuneDeck: the subject {_comment(part.subject)}.
task: {task.name}
custom_dataset: !function {RULES}.questions
dataset_kwargs:
  data_files:
    test: {TASKS}/{task.name}.jsonl{dev}
test_split: test
{few}output_type: generate_until
description: system
doc_to_text: prompt
doc_to_target: gold
generation_kwargs:
  until: []
  max_gen_toks: {spec.answer_tokens}
  temperature: 0.0
  do_sample: false
filter_list:
  - name: {FILTER}
    filter:
{_filters(task)}      - function: take_first
metric_list:
  - metric: {METRIC}
    aggregation: mean
    higher_is_better: true{kwargs}
metadata:
  version: 1.0
"""


def _filters(task: Task) -> str:
    if task.rule == "choice":
        letters = LETTERS[: max(len(question.options) for question in task.questions)]
        bare = rf"^\(?([{letters}{letters.lower()}])\)?$"
        return (
            f"      - function: multi_choice_regex\n        regex_pattern: {quoted(letter_pattern(letters))}\n"
            f"        ignore_case: true\n      - function: regex\n        regex_pattern: {quoted(bare)}\n"
        )
    if task.rule == "exact":
        return f"      - function: regex\n        regex_pattern: {quoted(EXACT)}\n"
    name = "contains" if task.rule == "contains" else "matches"
    return f"      - function: custom\n        filter_fn: !function {RULES}.{name}\n"


def _metric(rule: Rule) -> dict[str, str]:
    if rule == "choice":
        return {"ignore_case": "true"}
    if rule == "exact":
        return {"ignore_case": "true", "regexes_to_ignore": f"[{quoted(BLANKS)}, {quoted(COMMAS)}]"}
    return {}


_AROUND = r"\s\"'“”‘’「」《》*`.,;:!?。，、；：！？"
EXACT = rf"(?s)\A[{_AROUND}]*(.*[^{_AROUND}])[{_AROUND}]*\Z"
BLANKS, COMMAS = r"\s+", r"(?<=\d),(?=\d{3})"


def letter_pattern(letters: str) -> str:
    """Finds the letter that an answer names. Each way of saying it begins where the answer begins, so that the first that fits is taken."""
    of, low = f"[{letters}]", f"[{letters.lower()}]"
    others = "".join(letter for letter in letters if letter not in "AI")
    free, opened, closed = r"(?![A-Za-z0-9'])", r"[(\[（\"'“*]*", r"[)\]）\"'”*.。,，:：]*"
    ways = [
        rf"\s*{opened}({of}|{low}){closed}\s*\Z",
        rf".*(?i:answer|option|choice|choose|pick|select)(?i:\s+(?:is|would be|should be|must be))?(?i:\s+(?:option|choice|letter))?\s*[:：]?\s*{opened}({of}){free}",
        rf".*(?:答案|选项|(?<![不别勿未])选择?)(?:应该|应当|应)?(?:是|为)?\s*[:：]?\s*{opened}({of}){free}",
        rf".*?(?<![A-Za-z0-9])({of})[)\]）.]?\s*(?:is (?:the )?(?:correct|right|best|answer)|选?项?(?:是|为)?正确)",
        rf"\s*[(\[（]\s*({of})\s*[)\]）]",
        rf"\s*({of})(?:\s*[.):：、,，;](?!\w)|\s*[.):：、](?=\w)|\s*\n)",
        rf".*[(\[（]\s*({of})\s*[)\]）]",
    ]
    if others:
        ways.append(rf".*?(?<![A-Za-z0-9'\-])([{others}])(?![A-Za-z0-9'\-+#])")
    return rf"(?s)\A(?:{'|'.join(ways)})"


def _lines(questions: Sequence[Question]) -> str:
    return "".join(json.dumps(row(question), ensure_ascii=False) + "\n" for question in questions)


def row(question: Question) -> dict[str, object]:
    """One line of a file of questions. solution: as a solved example says it."""
    return {
        "number": question.number,
        "system": question.system,
        "prompt": wording.asked(question),
        "choices": list(question.options),
        "solution": wording.solution(question),
        "gold": gold(question),
    }


def gold(question: Question) -> list[str]:
    """What the filter may hand on for it to be right."""
    if question.rule == "choice":
        return [question.answer.strip().upper()]
    solutions = marking.solutions(question)
    if question.rule == "exact":
        return [marking.normal(text) or text for text in solutions]
    return list(solutions)


def quoted(text: str) -> str:
    """``text`` as one scalar of a YAML file, whatever is in it."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter.isprintable() and letter not in '"\\':
        return letter
    return f"\\U{ord(letter):08x}"


def _comment(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
