"""How much memory a plan will take: pure arithmetic over a model's facts, no torch, under a millisecond.

    facts.from_folder / from_card / from_config   what has to be known of a model
    ServePlan, TrainPlan                          what somebody means to do with it
    estimate(facts, plan)                         terms with p50 and p95, each with its formula and that one's source
    verdict(estimate, free)                       fits, tight, does_not_fit, and why
    solve(facts, plan, free)                      the largest batch, sequence, share … that fits, the smallest change that helps

How good it is stands in docs/memory-accuracy.md, next to what others' formulas say for the same published measurements.
"""

from backend.memory.forecast import facts
from backend.memory.forecast.facts import ModelFacts
from backend.memory.forecast.plans import Plan, ServePlan, TrainPlan
from backend.memory.forecast.solve import Change, Solution, Verdict, estimate, solve, verdict
from backend.memory.forecast.terms import NAMES, TITLES, Estimate, Reason, Term

__all__ = [
    "NAMES",
    "TITLES",
    "Change",
    "Estimate",
    "ModelFacts",
    "Plan",
    "Reason",
    "ServePlan",
    "Solution",
    "Term",
    "TrainPlan",
    "Verdict",
    "estimate",
    "facts",
    "solve",
    "verdict",
]
