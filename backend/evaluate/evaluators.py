"""What the evaluators are called."""

from __future__ import annotations

from backend.evaluate.records import Evaluator

TITLES: dict[Evaluator, str] = {
    "tunedeck": "TuneDeck",
    "opencompass": "OpenCompass",
    "lm_eval": "lm-evaluation-harness",
}
