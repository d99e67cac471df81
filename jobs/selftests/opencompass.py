"""OpenCompass: two questions to the starter model, which is served for it, and a number for each of two subjects."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from backend.engines import opencompass_config, opencompass_results
from backend.engines.opencompass_config import Evaluation
from backend.i18n import N_
from jobs.selftests.served import CONTEXT, served
from jobs.selftests.testing import Test

ASK = N_("Two questions to a served model, a number for each")
ASK_S = 420.0
HEADER = ("id", "question", "A", "B", "C", "D", "answer", "explanation")
EXAMPLES = (
    ("一周有几天？", "五", "七", "六", "八", "B"),
    ("天空是什么颜色？", "蓝色", "红色", "绿色", "黑色", "A"),
    ("3 + 4 等于几？", "5", "6", "7", "8", "C"),
    ("“大”的反义词是什么？", "高", "长", "新", "小", "D"),
    ("一年有几个月？", "十", "十二", "八", "六", "B"),
)
"""Shown before each question, as C-Eval does with the five rows of ``dev``."""
QUESTIONS = {
    "logic": ("“热”的反义词是什么？", "冷", "大", "快", "新", "A"),
    "high_school_geography": ("法国的首都是哪里？", "伦敦", "巴黎", "柏林", "罗马", "B"),
}
"""Names of C-Eval's subjects, one question each; the questions are ours."""


def run(test: Test) -> None:
    test.check(ASK, lambda: _ask(test))


def _ask(test: Test) -> dict[str, str]:
    data = write_data(test.folder / "data")
    tokenizer = opencompass_config.write_tokenizer(test.model, test.folder / "tokenizer")
    with served(test) as server:
        subjects = tuple(QUESTIONS)
        what = Evaluation(server.model, server.base_url, tokenizer, "ceval", data, subjects, context_length=CONTEXT)
        config, out = test.folder / "config.py", test.folder / "out"
        config.write_text(opencompass_config.config(what), encoding="utf-8")
        argv = opencompass_config.command(test.python, config, out)
        done = test.child(argv, ASK_S, environ=opencompass_config.environ(server.key))
    scores = opencompass_results.results(what, out, 0, [*done.stdout.splitlines(), *done.stderr.splitlines()])
    return {name: f"{score.accuracy:.0f} %" for name, score in scores.items()}


def write_data(folder: Path) -> Path:
    """A folder as C-Eval's: ``{dev,val,test}/<subject>_<split>.csv``."""
    for subject, question in QUESTIONS.items():
        for split, rows in (("dev", EXAMPLES), ("val", (question,)), ("test", (question,))):
            _write(folder / split / f"{subject}_{split}.csv", rows)
    return folder


def _write(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows((number, *row, "") for number, row in enumerate(rows))
