"""Did it work? The answer in one sentence, the numbers that carry it, both models' answers side by side, and the chat with both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from backend.catalog.entries import entries
from backend.compare import pairs
from backend.errors import PanelError
from backend.finetune import files, proof
from backend.finetune.proof import Answer, Part, Proof
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import context, errors, words

CHAT_PAGE = ROOT / "pages" / "chat.py"
LOOKS = {
    "learned": ("green", ":material/verified:"),
    "learned_a_little": ("orange", ":material/trending_up:"),
    "no_difference": ("gray", ":material/drag_handle:"),
    "worse": ("red", ":material/trending_down:"),
    "unknown": ("gray", ":material/help:"),
    "forgot": ("orange", ":material/warning:"),
}
"""How a verdict looks: colour of a state, icon; the words are in the sentence beside them."""
TITLES = {
    "questions": N_("Held-out questions"),
    "loss": N_("Loss on held-out rows"),
    "general": N_("General knowledge"),
}
SHOWN, LONG = 20, 600
"""Questions that are drawn, and characters of each text."""


def draw(row: JobRow, found: Proof | None = None) -> None:
    """Draw the proof of the run ``row``; nothing where none was made. found: what was read of it already."""
    found = found or proof.read(context.store().job_dir(row.id))
    if found is None:
        return
    key = f"proof_{row.id}"
    with st.container(border=True, key=key, gap="small"):
        if found.problem is not None:
            _problem(found.problem)
        else:
            _verdicts(found)
            _figures(found)
            _numbers(found, key)
            _side_by_side(found, key)
        _chat(row)


def _problem(told: dict[str, object]) -> None:
    message, hint = PanelError.from_dict(told).localized()
    st.markdown("#### :gray[:material/help:] " + _("It could not be checked whether it worked."))
    st.markdown(errors.plain(message))
    if hint:
        st.caption(errors.plain(hint))


def _verdicts(found: Proof) -> None:
    st.caption(_("Did it work?"))
    for number, code in enumerate(found.verdicts):
        colour, icon = LOOKS.get(code, LOOKS["unknown"])
        size = "#### " if number == 0 else ""
        st.markdown(f"{size}:{colour}[{icon}] {errors.plain(proof.headline(code))}")


def _figures(found: Proof) -> None:
    """The three looks beside each other: the figure that counts, and what can be said of it."""
    told = proof.details(found, counts=False)
    if not told:
        return
    figures: dict[str, Callable[[], None]] = {
        "questions": lambda: _share(TITLES["questions"], found.questions),
        "loss": lambda: _loss(found),
        "general": lambda: _share(TITLES["general"], found.general),
    }
    for column, (name, said) in zip(st.columns(len(told), gap="medium"), told.items(), strict=True):
        with column:
            figures[name]()
            st.markdown(f":small[{errors.plain(' '.join(said))}]")


def _share(title: str, part: Part | None) -> None:
    tally = part.judged if part is not None else None
    if tally is None:
        st.metric(_(title), "–")
        return
    st.metric(
        _(title),
        _("{right} of {n} right").format(right=tally.tuned, n=tally.n),
        delta=_("{count} for the base").format(count=tally.base),
        delta_color="off",
        delta_arrow="off",
    )


def _loss(found: Proof) -> None:
    assert found.loss is not None
    title = TITLES["loss"]
    st.metric(
        _(title),
        f"{found.loss.tuned:.2f}",
        delta=_("{count} for the base").format(count=f"{found.loss.base:.2f}"),
        delta_color="off",
        delta_arrow="off",
        help=_(
            "How surprised the model is by the answers of rows that it did not learn from, per token; lower is better. "
            "It does not say that its own answers are right. The checkpoint that is kept was chosen by this loss, which "
            "flatters it a little."
        ),
    )


def _numbers(found: Proof, key: str) -> None:
    fold = st.expander(
        _("All numbers"), icon=":material/table_rows:", key=f"{key}_numbers", on_change="rerun", type="compact"
    )
    if not fold.open:
        return
    with fold:
        head = [_("What"), _("Number"), _("Base"), _("Tuned"), _("Difference (95 % interval)")]
        lines = [[errors.plain(text) for text in vars(line).values()] for line in proof.table(found)]
        st.table(pd.DataFrame(lines, columns=head).set_index(head[0]), border="horizontal")
        st.caption(
            _(
                "Both models were asked the same, one answer each, always the likeliest next token. An answer is right "
                "if it holds what the row expects; nobody judged it otherwise. Intervals: Newcombe (1998) for shares, "
                "bootstrap over rows for the loss."
            )
        )
        st.caption(
            _("Measured {when}, in {time}.").format(when=words.stamp(found.made), time=words.duration(found.seconds))
        )


def _side_by_side(found: Proof, key: str) -> None:
    views = {name: some for name, some in _views(found).items() if some}
    if not views:
        return
    fold = st.expander(
        _("Answers side by side"), icon=":material/compare:", key=f"{key}_answers", on_change="rerun", type="compact"
    )
    if not fold.open:
        return
    with fold:
        names = {
            "across": _("Across all"),
            "wrong": _("Still wrong"),
            "lost": _("No longer right"),
            "general": _("General questions"),
        }
        chosen = str(
            st.segmented_control(
                _("Which answers"),
                list(views),
                default="across" if "across" in views else next(iter(views)),
                format_func=lambda name: f"{names[name]} ({len(views[name])})",
                key=f"{key}_view",
                required=True,
                label_visibility="collapsed",
            )
        )
        some = spread(views.get(chosen, []), SHOWN)
        for number, answer in enumerate(some):
            _answer(answer, f"{key}_answer_{number}")
        if len(some) < len(views[chosen]):
            st.caption(_("{shown} of {n}, evenly taken from all.").format(shown=len(some), n=len(views[chosen])))


def _views(found: Proof) -> dict[str, list[Answer]]:
    """Which answers can be looked at."""
    asked = [one for one in found.answers if one.part == "questions"]
    return {
        "across": asked,
        "wrong": [one for one in asked if one.tuned_right is False],
        "lost": [one for one in found.answers if one.base_right and one.tuned_right is False],
        "general": [one for one in found.answers if one.part == "general"],
    }


def spread(some: Sequence[Answer], most: int) -> list[Answer]:
    """At most ``most`` of them, evenly taken, so that nobody chose the good ones."""
    if len(some) <= most:
        return list(some)
    return [some[number * len(some) // most] for number in range(most)]


def _answer(one: Answer, key: str) -> None:
    with st.container(border=True, key=key, gap="xsmall"):
        st.markdown(f"**{_cut(one.question)}**")
        if one.expected:
            st.caption(_("The row says: {answer}").format(answer=_cut(one.expected)))
        base, tuned = st.columns(2, gap="medium")
        with base:
            _said(_("Base"), one.base, one.base_right, one.base_ended)
        with tuned:
            _said(_("Tuned"), one.tuned, one.tuned_right, one.tuned_ended)


def _said(who: str, text: str, right: bool | None, ended: bool) -> None:
    mark = {
        True: ":green[:material/check:] " + _("right"),
        False: ":red[:material/close:] " + _("wrong"),
        None: ":gray[" + _("not counted") + "]",
    }[right]
    st.caption(f"{who} · {mark}")
    shown = _cut(text) or ":gray[" + _("It said nothing.") + "]"
    st.markdown(shown if ended else shown + " :gray[" + _("(it did not end)") + "]")


def _cut(text: str) -> str:
    text = text.strip()
    return errors.plain(text if len(text) <= LONG else text[:LONG] + " …")


def _chat(row: JobRow) -> None:
    """The way to ask both oneself, where both are on the list of models; the merged model before the adapter."""
    folder = context.store().job_dir(row.id)
    for part in (files.MERGED, files.ADAPTER, ""):
        for entry in entries(context.workspace()):
            path = str(entry["path"])
            if path == str(folder / part) or (not part and path.startswith(f"{folder}/")):
                pair = pairs.base_and_tuned(context.workspace(), str(entry["name"]))
                if pair is not None:
                    st.page_link(
                        CHAT_PAGE,
                        label=_("Chat with both"),
                        icon=":material/compare:",
                        query_params={"view": "compare", "models": pairs.to_address(pair)},
                        help=_("Ask the base model and the tuned one your own questions, side by side."),
                    )
                    return
