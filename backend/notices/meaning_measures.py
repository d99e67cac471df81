"""What the end of a measurement means: how good a model is, and whether it is better than its base; how fast it answers; how it calls tools."""

from __future__ import annotations

from backend.i18n import N_, _
from backend.notices.meaning import Ended, Level, Meaning, Tells

LEVELS: dict[str, Level] = {"better": "good", "same_within": "good", "worse": "attention"}
"""Of a comparison with the base; what too few questions show is no reason to look."""


def _evaluate(ended: Ended) -> Meaning | None:
    result = ended.result
    if "run" not in result:  # a trial has no score
        return None
    told, level = _with_base(ended)
    if not told:
        said = _("{percent} % of {n} questions right (95 % interval {low} to {high} %).")
        values = {
            name: f"{float(result[key]):.1f}"
            for name, key in (("percent", "accuracy"), ("low", "low"), ("high", "high"))
        }
        told = said.format(**values, n=f"{int(result['questions']):,}")
    if result.get("missing"):
        level = "attention"
        told += " " + _("{n} of {all} subjects have no score.").format(n=result["missing"], all=result["subjects"])
    return Meaning(told, level)


def _with_base(ended: Ended) -> tuple[str, Level]:
    """The comparison with the newest run of what the model was made from, over the same questions; empty where there is none."""
    from backend.compare import pairs
    from backend.evaluate import comparing, comparing_words
    from backend.evaluate.store import open_runs

    workspace = ended.store.workspace
    runs = open_runs(workspace)
    try:
        run = runs.run(int(ended.result["run"]))
        pair = pairs.base_and_tuned(workspace, run.model)
        same = (run.set_name, run.set_version, run.evaluator)
        earlier = runs.runs(model=pair[0], set_name=run.set_name) if pair else []
        base = next(
            (
                one
                for one in earlier
                if (one.set_name, one.set_version, one.evaluator) == same and one.state in ("done", "partial")
            ),
            None,
        )
        if base is None or base.id == run.id:
            return "", "good"
        (found,) = comparing.compare(runs, [base.id, run.id]).pairs
    finally:
        runs.close()
    return ("", "good") if found.refused else (comparing_words.sentence(found), LEVELS.get(found.verdict, "good"))


def _bench(ended: Ended) -> Meaning | None:
    from backend.bench.knee import from_dict
    from backend.bench.records import read_bench

    found = read_bench(ended.store.job_dir(ended.row.id))
    if found is None or not found.levels:
        return None
    fastest = max(found.levels, key=lambda level: level["columns"].get("token_throughput_completion") or 0.0)
    rate = fastest["columns"].get("token_throughput_completion")
    told = []
    if rate:
        said = _("Up to {rate} tokens/s, with {people} at once.")
        told.append(said.format(rate=_rate(rate), people=fastest["concurrency"]))
    knee = from_dict(found.knee)
    if knee is not None:
        told.append(knee.sentence())
    return Meaning(" ".join(told)) if told else None


def _matrix(ended: Ended) -> Meaning:
    from backend.bench import matrix
    from backend.specs import parse
    from backend.specs.bench import BenchMatrixSpec

    spec = parse("bench_matrix", ended.spec)
    assert isinstance(spec, BenchMatrixSpec)
    found = matrix.read(ended.store.job_dir(ended.row.id), spec)
    rates = {
        row.label: max(
            (cell.columns.get("token_throughput_completion") or 0.0 for cell in row.cells if cell), default=0.0
        )
        for row in found.rows
    }
    best = max(rates, key=rates.__getitem__)
    told = _("{n} of {all} set-ups were measured. The fastest is {name}: {rate} tokens/s.")
    all_of_them = found.measured == len(found.rows)
    return Meaning(
        told.format(n=found.measured, all=len(found.rows), name=best, rate=_rate(rates[best])),
        "good" if all_of_them else "attention",
    )


def _agent_check(ended: Ended) -> Meaning:
    from backend.agent.checks import TITLES
    from backend.errors import fill

    use = ended.result["use"]
    if not use:
        none = N_(
            "No task that needs a tool was passed in any form. Teach the model with good traces, or take another one."
        )
        return Meaning(_(none), "attention")
    score = ended.result["protocols"][use]
    told = _("Use {protocol} for this model: it passed {passed} of {count} tasks.")
    return Meaning(fill(told, {"protocol": _(TITLES[use]), "passed": score["passed"], "count": score["of"]}))


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


TELLS: dict[str, Tells] = {
    "evaluate": _evaluate,
    "bench": _bench,
    "bench_matrix": _matrix,
    "agent_check": _agent_check,
}
