"""Evaluations of the past, written as their programs leave them: an output folder of OpenCompass, results of lm-evaluation-harness, and one real table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.evaluate.records import Answer, Outcome, Run, Score
from backend.evaluate.store import EvaluateStore

TIME = "20260102_030405"
HEAD = "dataset,version,metric,mode"
# Right answers of so many in each subject of C-Eval's val split, as one published run of OpenCompass on InternLM-Chat-7B had them, with its averages.
CEVAL = {
    "computer_network": "6/19", "operating_system": "7/19", "computer_architecture": "6/21", "college_programming": "12/37",
    "college_physics": "5/19", "college_chemistry": "4/24", "advanced_mathematics": "4/19", "probability_and_statistics": "7/18",
    "discrete_mathematics": "3/16", "electrical_engineer": "13/37", "metrology_engineer": "12/24", "high_school_mathematics": "4/18",
    "high_school_physics": "6/19", "high_school_chemistry": "3/19", "high_school_biology": "7/19", "middle_school_mathematics": "5/19",
    "middle_school_biology": "13/21", "middle_school_physics": "12/19", "middle_school_chemistry": "12/20", "veterinary_medicine": "11/23",
    "college_economics": "23/55", "business_administration": "11/33", "marxism": "13/19", "mao_zedong_thought": "17/24",
    "education_science": "17/29", "teacher_qualification": "31/44", "high_school_politics": "5/19", "high_school_geography": "9/19",
    "middle_school_politics": "11/21", "middle_school_geography": "7/12", "modern_chinese_history": "17/23",
    "ideological_and_moral_cultivation": "12/19", "logic": "7/22", "law": "6/24", "chinese_language_and_literature": "7/23",
    "art_studies": "20/33", "professional_tour_guide": "18/29", "legal_professional": "9/23", "high_school_chinese": "12/19",
    "high_school_history": "14/20", "middle_school_history": "13/22", "civil_servant": "25/47", "sports_science": "10/19",
    "plant_protection": "13/22", "basic_medicine": "9/19", "clinical_medicine": "9/22", "urban_and_rural_planner": "21/46",
    "accountant": "13/49", "fire_engineer": "7/31", "environmental_impact_assessment_engineer": "20/31", "tax_accountant": "17/49",
    "physician": "20/49",
}  # fmt: skip
CEVAL_AVERAGES = {
    "ceval-stem": "35.09", "ceval-social-science": "52.79", "ceval-humanities": "52.58", "ceval-other": "44.36", "ceval-hard": "23.91",
    "ceval": "44.16",
}  # fmt: skip


def ceval_scores(prefix: str = "ceval-") -> list[Score]:
    """The cells of that run, unrounded."""
    return [Score(prefix + name, _percent(share), _of(share)) for name, share in CEVAL.items()]


def _percent(share: str) -> float:
    right, _slash, n = share.partition("/")
    return int(right) / int(n) * 100


def _of(share: str) -> int:
    return int(share.partition("/")[2])


class Attempt:
    """An output folder of OpenCompass that is written piece by piece."""

    def __init__(self, work_dir: Path, time: str = TIME) -> None:
        self.folder = work_dir / time
        self.time = time
        (self.folder / "configs").mkdir(parents=True)

    def config(self, subjects: Sequence[str], models: Sequence[str] = ("m",)) -> None:
        """What was to be asked, as mmengine writes it out."""
        inferencer = "dict(type='opencompass.openicl.icl_inferencer.GenInferencer')"
        datasets = ",\n".join(
            f"    dict(abbr={name!r}, infer_cfg=dict(inferencer={inferencer}), path='x')" for name in subjects
        )
        asked = ",\n".join(f"    dict(abbr={name!r}, max_out_len=16)" for name in models)
        text = f"datasets = [\n{datasets},\n]\nmodels = [\n{asked},\n]\nwork_dir = 'outputs'\n"
        (self.folder / "configs" / f"{self.time}_77.py").write_text(text, encoding="utf-8")

    def subject(
        self, name: str, right: int, n: int, *, model: str = "m", details: str = "object", pieces: int = 1, **more: Any
    ) -> None:
        """Results and predictions of one subject: the first ``right`` of ``n`` are right. details: ``object``,
        ``list``, ``replicas`` (a list of lists, as for several attempts) or empty."""
        said = [self.prediction(name, number, "A" if number < right else "B") for number in range(n)]
        self.predictions(name, said, model=model, pieces=pieces)
        letters = [each["prediction"][-2] for each in said]
        if details == "object":
            rows = [
                {
                    "prompt": one["origin_prompt"],
                    "origin_prediction": one["prediction"],
                    "predictions": letter,
                    "references": "A",
                }
                for one, letter in zip(said, letters, strict=True)
            ]
            found: Any = {"type": "GEN", **{str(place): row for place, row in enumerate(rows)}}
        elif details == "list":
            found = [{"pred": letter, "answer": "A", "correct": letter == "A"} for letter in letters]
        else:
            found = [
                {"pred": [letter], "answer": ["A"], "correct": [letter == "A"], "example_abbr": "x_0"}
                for letter in letters
            ]
        result = {"accuracy": right / n * 100, **({"details": found} if details else {}), **more}
        _write(self.folder / "results" / model / f"{name}.json", result)

    @staticmethod
    def prediction(name: str, number: int, letter: str) -> dict[str, Any]:
        """What was asked and said."""
        turns = [
            {"role": "HUMAN", "prompt": f"{name}: an example?\nAnswer: "},
            {"role": "BOT", "prompt": "A\n"},
            {"role": "HUMAN", "prompt": f"{name} 第 {number} 题?\nA. 甲\nB. 乙\nAnswer: "},
        ]
        return {"origin_prompt": turns, "prediction": f"The answer is {letter}.", "gold": "A"}

    def predictions(self, name: str, said: Sequence[Mapping[str, Any]], *, model: str = "m", pieces: int = 1) -> None:
        """Answers that nobody counted yet, in one file or several."""
        size = -(-len(said) // pieces)
        for piece in range(pieces):
            some = said[piece * size : (piece + 1) * size]
            file = f"{name}.json" if pieces == 1 else f"{name}_{piece}.json"
            _write(self.folder / "predictions" / model / file, {str(place): each for place, each in enumerate(some)})

    def log(self, step: str, name: str, text: str, *, model: str = "m") -> None:
        """The end of a log of ``infer`` or ``eval``."""
        file = self.folder / "logs" / step / model / f"{name}.out"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def summary(self, rows: Sequence[Sequence[str]], models: Sequence[str] = ("m",), form: str = "csv") -> Path:
        """The table at the end."""
        file = self.folder / "summary" / f"summary_{self.time}.{form}"
        file.parent.mkdir(exist_ok=True)
        lines = [",".join([HEAD, *models]), *(",".join(row) for row in rows)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file


def whole(work_dir: Path, subjects: Mapping[str, str] = CEVAL, **options: Any) -> Attempt:
    """An attempt in which all went well."""
    attempt = Attempt(work_dir)
    attempt.config([f"ceval-{name}" for name in subjects])
    for name, share in subjects.items():
        right, _slash, n = share.partition("/")
        attempt.subject(f"ceval-{name}", int(right), int(n), **options)
    return attempt


def answers(subject: str, outcomes: str, *, first: int = 0, salt: str = "") -> Iterator[Answer]:
    """One answer for each letter of ``outcomes``: r(ight), w(rong), u(nread), f(ailed)."""
    names: dict[str, Outcome] = {"r": "right", "w": "wrong", "u": "unread", "f": "failed"}
    for number, letter in enumerate(outcomes, first):
        asked = f"{subject}{salt} question {number}?"
        yield Answer(
            subject,
            number,
            f"{salt}{subject}-{number}",
            asked,
            f"Prompt. {asked}",
            f"It is {letter}.",
            letter,
            "r",
            names[letter],
            0.5,
            3,
        )


def kept(store: EvaluateStore, model: str, subjects: Mapping[str, str], **about: Any) -> int:
    """A run of our own evaluator that ended, by the outcomes of each subject."""
    run = store.begin(
        Run(
            **{
                "id": 0,
                "name": model,
                "evaluator": "tunedeck",
                "version": "1",
                "model": model,
                "set_name": "own",
                "set_version": "v1",
            }
            | about
        )
    )
    store.plan(run, [Score(subject, n=len(outcomes)) for subject, outcomes in subjects.items()])
    for subject, outcomes in subjects.items():
        store.put_answers(run, answers(subject, outcomes))
        counted = [letter for letter in outcomes if letter != "f"]
        value = 100 * counted.count("r") / len(counted) if counted else None
        store.put_scores(run, [Score(subject, value, len(counted) or None)])
    store.end(run, "done")
    return run


def lm_eval(folder: Path, *, samples: bool = True) -> Path:
    """Results of two tasks and their group: one by likelihood, one that writes."""
    stamp = "2026-01-02T03-04-05.678901"
    results = {
        "results": {
            "arc": {
                "alias": "arc",
                "acc,none": 0.5,
                "acc_stderr,none": 0.5,
                "acc_norm,none": 1.0,
                "acc_norm_stderr,none": 0.0,
            },
            "math": {"alias": "math", "exact_match,strict-match": 0.0, "exact_match,flexible-extract": 0.5},
            "both": {"alias": "both", "acc,none": 0.25, "acc_stderr,none": 0.1},
        },
        "group_subtasks": {"both": ["arc", "math"], "arc": [], "math": []},
        "configs": {"arc": {"output_type": "multiple_choice"}, "math": {"output_type": "generate_until"}},
        "versions": {"arc": 1.0, "math": 3.0, "both": "N/A"},
        "n-samples": {"arc": {"original": 9, "effective": 2}, "math": {"original": 9, "effective": 2}},
        "config": {"model": "hf", "model_args": {"pretrained": "org/small"}},
        "model_name": "org/small",
        "lm_eval_version": "0.4.13",
    }
    _write(folder / f"results_{stamp}.json", results)
    if samples:
        arc = [_weighed(0, [-1.5, -0.5], 1), _weighed(1, [-1.0, -2.0], 1)]
        math = [
            _written(number, by, taken, hit)
            for by, taken, hit in (("strict-match", "[invalid]", 0.0), ("flexible-extract", "4", 1.0))
            for number in range(2)
        ]
        for task, rows in (("arc", arc), ("math", math)):
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"samples_{task}_{stamp}.jsonl").write_text(text)
    return folder / f"results_{stamp}.json"


def _weighed(number: int, likelihoods: Sequence[float], gold: int) -> dict[str, Any]:
    chosen = max(range(2), key=likelihoods.__getitem__)
    return {
        "doc_id": number,
        "doc": {"question": f"arc {number}?", "choices": {"text": ["cold", "warm"], "label": ["A", "B"]}},
        "target": str(gold),
        "arguments": {
            f"gen_args_{i}": {"arg_0": f"Q: arc {number}?", "arg_1": f" {text}"}
            for i, text in enumerate(("cold", "warm"))
        },
        "resps": [[[each, False]] for each in likelihoods],
        "filtered_resps": [[each, False] for each in likelihoods],
        "filter": "none",
        "acc": float(chosen == gold),
        "acc_norm": 1.0,
        "doc_hash": f"d{number}",
    }


def _written(number: int, by: str, taken: str, hit: float) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"question": f"math {number}?"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"Q: math {number}?", "arg_1": {"until": []}}},
        "resps": [["2 + 2 makes 4"]],
        "filtered_resps": [taken],
        "filter": by,
        "exact_match": hit,
        "doc_hash": f"m{number}",
    }


def _write(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, ensure_ascii=False, indent=4), encoding="utf-8")
