"""transformers, in the panel's own environment: an answer of the starter model, and one step of LoRA on it."""

from __future__ import annotations

from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import ROOT
from jobs.selftests.testing import Test

SHIM = ROOT / "jobs" / "shims" / "transformers_proof.py"
GENERATE = N_("An answer of the starter model")
TRAIN = N_("One step of LoRA training")
TIMEOUT_S = 300.0


def run(test: Test) -> None:
    test.check(GENERATE, lambda: _generate(test))
    test.check(TRAIN, lambda: _train(test))


def _generate(test: Test) -> dict[str, str]:
    made = test.answer([test.python, SHIM, "generate", test.model], TIMEOUT_S)
    if not made["text"].strip():
        raise PanelError(
            "env_selftest_empty_answer",
            N_("The starter model was asked something and said nothing."),
            N_("Its folder may be damaged: models/starter of TuneDeck must be as it was shipped."),
        )
    return {
        N_("Answer"): made["text"],
        N_("Speed"): f"{made['tokens'] / made['seconds']:.0f} tokens/s",
        N_("Device"): made["device"],
    }


def _train(test: Test) -> dict[str, str]:
    made = test.answer([test.python, SHIM, "train", test.model], TIMEOUT_S)
    if not made["after"] < made["before"]:
        raise PanelError(
            "env_selftest_no_learning",
            N_("One step of training has not lowered the loss on what was trained: {before} → {after}."),
            N_("The libraries compute wrongly here. Install them again with 'make setup'."),
            before=f"{made['before']:.3f}",
            after=f"{made['after']:.3f}",
        )
    return {N_("Loss"): f"{made['before']:.3f} → {made['after']:.3f}", N_("Device"): made["device"]}
