"""lm-evaluation-harness: two questions to the starter model, which is served for it, and a number for each of two subjects."""

from __future__ import annotations

from backend.engines import lm_eval_causes, lm_eval_results, lm_eval_tasks, lm_eval_text
from backend.evaluate.questions import Question
from backend.i18n import N_
from backend.specs.evaluate import EvaluateSpec
from jobs.selftests.served import served
from jobs.selftests.testing import Test

ASK = N_("Two questions to a served model, a number for each")
ASK_S = 300.0
QUESTIONS = (
    Question(
        "geography", 0, "What is the capital of France?", "choice", "B", ("London", "Paris", "Berlin", "Rome"), language="en"
    ),
    Question("反义词", 0, "“热”的反义词是什么？", "choice", "A", ("冷", "大", "快", "新"), language="zh"),
)  # fmt: skip


def run(test: Test) -> None:
    test.check(ASK, lambda: _ask(test))


def _ask(test: Test) -> dict[str, str]:
    with served(test) as server:
        spec = EvaluateSpec(model=server.model, evaluator="lm_eval", answer_tokens=16)
        endpoint = lm_eval_text.Endpoint(server.base_url, server.model)
        made = lm_eval_tasks.made(QUESTIONS, {}, spec, endpoint)
        lm_eval_tasks.write(made.files, test.folder)
        variables = lm_eval_tasks.environ(server.key, test.folder)
        done = test.child(lm_eval_tasks.command(test.python), ASK_S, environ=variables)
    found = lm_eval_results.read(test.folder / lm_eval_text.OUT, made.parts)
    if found is None or any(part.name not in found.scores for part in made.parts):
        raise lm_eval_causes.find([*done.stdout.splitlines(), *done.stderr.splitlines()]).error
    return {part.subject: f"{found.scores[part.name]:.0f} %" for part in made.parts}
