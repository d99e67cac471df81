"""What a person has to know to read scores rightly: stored as a code, told in words."""

from __future__ import annotations

from collections.abc import Iterable

from backend.i18n import N_, _

NOTICES: dict[str, str] = {
    "questions_failed": N_(
        "Some questions failed: they count neither as right nor as wrong. Ask their subjects again once the cause is gone."
    ),
    "answers_unread": N_(
        "Out of many answers nothing could be read. They count as not right: look at what the model said before you trust the score."
    ),
    "answers_cut": N_(
        "Answers were cut before anything could be read out of them: allow longer ones. Models that think first need hundreds of tokens."
    ),
    "model_not_ours": N_(
        "This server is not one of ours, so nobody can tell whether the same model answers there next time."
    ),
    "judged_by_model": N_(
        "Another model marked the answers that need a judge. It errs too, likes long answers and those that sound like its own: read some of its verdicts."
    ),
    "judge_is_the_judged": N_(
        "The model judged its own answers. Models favour what they said themselves: take another judge before you trust these scores."
    ),
    "judge_unread": N_(
        "The judge gave no verdict about some answers, asked twice. They count as not right; another judge may do better."
    ),
    "asked_again": N_("Some subjects were asked again later, in place of what was there."),
    "import_half_finished": N_("The folder was half-finished when it was brought in: what had come by then is here."),
    "import_summary_only": N_(
        "Only the printed table was brought in: there are no answers, so nobody can tell what chance does to these scores."
    ),
}


def sentences(codes: Iterable[str]) -> list[str]:
    """The notices in the language of the current person; a code that is not known is left out."""
    return [_(NOTICES[code]) for code in codes if code in NOTICES]
