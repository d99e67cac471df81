"""Teach a name: the facts about the model, what rows come of them, and a few of these to read while one types."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

import streamlit as st

from backend.data.make import identity, phrases
from backend.data.make.grammar import LANGUAGES, Lang
from backend.data.make.identity import Counts, IdentityWish, Tone
from backend.data.rows import Row, split_of
from backend.errors import DataError
from backend.i18n import N_, _, current
from ui import errors
from ui.datasets import make_result as result

TONES: dict[Tone, str] = {
    "friendly": N_("friendly"),
    "formal": N_("formal"),
    "concise": N_("concise"),
    "playful": N_("playful"),
}
NAMES: dict[Lang, str] = {"en": "English", "zh": "中文"}
BEGINS: dict[Lang, str] = {"en": "“I can …”", "zh": "“我可以……”"}
STEP = "identity"


def draw() -> None:
    """Draw the facts at the left, what they become at the right, and rows below."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        wish = _wish()
    made, problem = _made(wish)
    with right, st.container(border=True, key="make_name_becomes"):
        st.markdown("**" + _("What it becomes") + "**")
        if made:
            _counts(identity.count(made))
        dataset = result.name(wish.name or _("My assistant"), key=STEP)
        step = {"do": STEP, **asdict(wish)}
        result.button(dataset, len(made), key=STEP, why=problem, make=lambda: result.keep(dataset, made, step))
    if made:
        _preview(made, wish)


def _wish() -> IdentityWish:
    name, maker = st.columns(2)
    typed: dict[str, Any] = {
        "name": name.text_input(
            _("Its name"),
            key="make_name",
            max_chars=identity.MAX_NAME,
            placeholder="Nova",
            persist_state="session",
        ),
        "maker": maker.text_input(
            _("Who made it"),
            key="make_maker",
            max_chars=identity.MAX_MAKER,
            placeholder="Example Labs",
            help=_("You, your team, your school: whoever the model shall name."),
            persist_state="session",
        ),
    }
    languages = st.pills(
        _("Languages"),
        LANGUAGES,
        key="make_languages",
        default=LANGUAGES,
        selection_mode="multi",
        format_func=lambda lang: NAMES[lang],
        persist_state="session",
    )
    typed["languages"] = tuple(lang for lang in LANGUAGES if lang in languages)
    if "zh" in languages and "en" in languages:
        typed |= _in_chinese()
    for lang in typed["languages"]:
        typed[f"purpose_{lang}"] = st.text_input(
            _("What it is for: {begin}").format(begin=BEGINS[lang]),
            key=f"make_purpose_{lang}",
            max_chars=identity.MAX_PURPOSE,
            placeholder=phrases.table("others")["purpose", lang, "all"][0],
            persist_state="session",
        )
    typed["tone"] = st.segmented_control(
        _("Tone"),
        list(TONES),
        key="make_tone",
        default="friendly",
        required=True,
        format_func=lambda tone: _(TONES[tone]),
        help=_("Short answers are learned soonest: for a small model, such as the starter, choose concise."),
        persist_state="session",
    )
    typed |= _more()
    return IdentityWish(**typed)


def _in_chinese() -> dict[str, Any]:
    """Name and maker in Chinese, where they are others."""
    name, maker = st.columns(2)
    placeholder = _("the same")
    return {
        "name_zh": name.text_input(
            _("Its name in Chinese"),
            key="make_name_zh",
            max_chars=identity.MAX_NAME,
            placeholder=placeholder,
            persist_state="session",
        ),
        "maker_zh": maker.text_input(
            _("Its maker in Chinese"),
            key="make_maker_zh",
            max_chars=identity.MAX_MAKER,
            placeholder=placeholder,
            persist_state="session",
        ),
    }


def _more() -> dict[str, Any]:
    with st.expander(_("More settings"), icon=":material/tune:", key="make_name_more", type="compact"):
        rows = st.slider(
            _("Rows about the name, in each language"),
            identity.LEAST,
            identity.MOST,
            300,
            50,
            key="make_rows",
            help=_(
                "Beyond the number of wordings the same questions come again later in a conversation, or under a system prompt."
            ),
            persist_state="session",
        )
        share = replay_share(30, key="make_replay")
        seed = st.number_input(
            _("Seed"),
            0,
            2**31 - 1,
            1,
            key="make_seed",
            help=_("The same seed and facts give the same rows."),
            persist_state="session",
        )
    return {"rows": int(rows), "replay": share, "seed": int(seed)}


def replay_share(percent: int, *, key: str) -> float:
    """Draw the share of rows that have nothing to do with what is taught; 0 to 0.5."""
    chosen = st.slider(
        _("Rows of other things, in percent"),
        0,
        round(100 * identity.MOST_REPLAY),
        percent,
        5,
        key=key,
        format="%d %%",
        help=_(
            "Small talk, facts and instructions without any name. Without them a small model answers everything with its name."
        ),
        persist_state="session",
    )
    return chosen / 100


def _made(wish: IdentityWish) -> tuple[list[Row], str]:
    """The rows; or none, and what is missing."""
    if not wish.name.strip() or not wish.maker.strip():
        return [], _("Type a name and who made it: the rows appear below as you go.")
    try:
        return identity.rows(wish), ""
    except DataError as error:
        return [], errors.plain(" ".join(error.localized()))


def _counts(counts: Counts) -> None:
    about = counts.taught - counts.replayed
    wordings = ", ".join(f"{NAMES[cast(Lang, lang)]} {number:,}" for lang, number in counts.wordings.items())
    st.markdown(":material/badge: " + _("{n} rows about the name").format(n=f"**{about:,}**"))
    st.caption(_("Different wordings of questions: {wordings}").format(wordings=wordings))
    if counts.replayed:
        share = f"{100 * counts.replayed / counts.taught:.0f}"
        st.markdown(":material/repeat: " + _("{n} rows of other things").format(n=f"**{counts.replayed:,}**"))
        st.caption(_("{share} % of what is trained, so that other skills stay").format(share=share))
    st.markdown(":material/fact_check: " + _("{n} rows held out for the proof").format(n=f"**{counts.kept:,}**"))
    st.caption(_("In other wordings, never trained: they show that it learned the name and not sentences."))


def _preview(made: list[Row], wish: IdentityWish) -> None:
    """One row of each kind, in the person's language where there is one."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("Some of the rows"), anchor=False, width="content")
        st.button(_("Others"), key="make_others", icon=":material/refresh:", type="tertiary", on_click=_others)
    mine: Lang = "zh" if current().startswith("zh") else "en"
    lang = mine if mine in wish.languages else wish.languages[0]
    kinds = [("alone", "train"), ("later", "train"), ("system", "train"), ("alone", "test")]
    skip = int(st.session_state.get("make_shown") or 0)
    shown = []
    for context, split in kinds:
        fitting = [
            row
            for row in made
            if split_of(row) == split
            and row["meta"]["lineage"].get("context") == context
            and row["meta"]["lineage"]["language"] == lang
        ]
        if fitting:
            shown.append(fitting[skip % len(fitting)])
    left, right = st.columns(2, gap="medium")
    for place, row in enumerate(shown):
        with (left, right)[place % 2]:
            result.preview([row], key=f"name_{place}")


def _others() -> None:
    st.session_state["make_shown"] = int(st.session_state.get("make_shown") or 0) + 1
