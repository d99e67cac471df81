"""Why a turn ended without an answer, where no reply of the model says it: it goes round in circles, or its room or its time is over."""

from __future__ import annotations

from backend.agent.calls import Problem
from backend.agent.protocols.problems import piece
from backend.i18n import N_


def steps_used(most: int, evidence: str) -> Problem:
    """It was told to answer and called a tool once more."""
    return Problem(
        "steps_used",
        N_("The model has used its {most} steps and still wants to call a tool."),
        N_("An answer from what the tools have said; or allow more steps."),
        piece(evidence),
        ("more_steps", "more_examples", "finetune"),
        {"most": most},
    )


def time_used(seconds: int) -> Problem:
    return Problem(
        "time_used",
        N_("The turn took longer than its {seconds} seconds."),
        N_("An answer within that time; or allow more of it."),
        helps=("more_time", "try_again"),
        params={"seconds": seconds},
    )


def context_full(model: str) -> Problem:
    """Even with the results shortened as far as makes sense."""
    return Problem(
        "context_full",
        N_("The question, the tools' descriptions and their results do not fit into the context of {model}."),
        N_("Fewer tools switched on, a shorter question, or a model served with a longer context."),
        helps=("fewer_tools", "longer_context"),
        params={"model": model},
    )


def tools_failed(tool: str, times: int, evidence: str) -> Problem:
    """The same tool failed again and again."""
    return Problem(
        "tools_failed",
        N_("The tool {tool} failed {times} times in this turn, so the model was not let go on."),
        N_("A call that the tool can carry out; its last error stands below."),
        piece(evidence),
        ("other_tool", "try_again", "more_examples"),
        {"tool": tool, "times": times},
    )


def nobody_answered(tool: str, hours: int) -> Problem:
    return Problem(
        "nobody_answered",
        N_("{tool} waited {hours} hours for a yes or no."),
        N_("Your word on the call. It was not made."),
        helps=("try_again",),
        params={"tool": tool, "hours": hours},
    )
