"""Which answer was better: the verdict on a turn, and all verdicts so far, counted and to be taken along."""

from __future__ import annotations

import streamlit as st

from backend.compare import votes
from backend.compare.records import BAD, BETTER, LETTERS, TIE, Comparison, Turn
from backend.compare.votes import LONGEST_REASON, SHARE_FROM, Pair
from backend.i18n import _, ngettext
from ui import errors
from ui.chat import compare_state as state


def draw(comparison: Comparison, turn: Turn) -> None:
    """The verdict on ``turn``: given, changed, or (pressed again) taken back; and why."""
    if not turn.votable:
        return
    columns = {str(place): LETTERS[place] for place, answer in enumerate(turn.answers) if answer and answer.content}
    key = f"compare_vote_{turn.id}"
    given = turn.vote
    st.session_state[key] = None if given is None else str(given.winner) if given.verdict == BETTER else given.verdict
    two = len(turn.answers) == 2
    better = _("{letter} is better") if two else _("{letter} is best")
    said = {each: better.format(letter=letter) for each, letter in columns.items()}
    said |= {TIE: _("Tie"), BAD: _("Both are bad") if two else _("All are bad")}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            _("Your vote"),
            list(said),
            key=key,
            format_func=said.__getitem__,
            on_change=state.vote,
            args=(comparison.id, turn.id, key),
            help=_("It is stored with the models, their settings, the question and the answers. Press again to undo."),
        )
        if given is not None:
            why = f"compare_why_{turn.id}"
            st.text_input(
                _("Why (optional)"),
                given.reason,
                key=why,
                max_chars=LONGEST_REASON,
                width=320,
                on_change=state.explain,
                args=(turn.id, why),
            )


def tally() -> None:
    """All verdicts, by pair; the export."""
    count = votes.count(state.comparisons())
    if not count:
        st.caption(_("Your votes will be counted here, for each pair of models."))
        return
    for pair in votes.tally(state.comparisons()):
        total = ngettext("{n} vote", "{n} votes", pair.votes).format(n=pair.votes)
        title = _("{a} against {b}").format(a=f"**{errors.plain(pair.a)}**", b=f"**{errors.plain(pair.b)}**")
        st.markdown(f"{title} · {total}")
        st.caption(_counts(pair))
    st.caption(_("Shares in percent are shown from {n} votes on.").format(n=SHARE_FROM))
    st.download_button(
        _("Download votes (JSON Lines)"),
        lambda: "".join(votes.export(state.comparisons())),
        "tunedeck-votes.jsonl",
        "application/jsonl",
        key="compare_export",
        icon=":material/download:",
        on_click="ignore",
    )


def _counts(pair: Pair) -> str:
    rows = [
        (_("{model} better").format(model=errors.plain(pair.a)), pair.a_better),
        (_("{model} better").format(model=errors.plain(pair.b)), pair.b_better),
        (_("tie"), pair.ties),
        (_("both bad"), pair.both_bad),
    ]
    parts = []
    for label, count in rows:
        share = pair.share(count)
        parts.append(f"{label}: {count}" + (f" ({share:.0%})" if share is not None else ""))
    return " · ".join(parts)
