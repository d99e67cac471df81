"""A role to play: who it is and how it speaks, what rows come of that, and a few of these to read while one types."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict

import streamlit as st

from backend.data.make import persona
from backend.data.make.grammar import LANGUAGES, Lang
from backend.data.make.persona import PersonaWish
from backend.data.rows import Row, split_of
from backend.errors import DataError
from backend.i18n import N_, _, current, ngettext
from ui import errors
from ui.datasets import make_name as datasets_make_name
from ui.datasets import make_result as result

PROMPTED: dict[persona.Prompted, str] = {
    "both": N_("each row with and without it"),
    "with": N_("always with it"),
    "without": N_("never: the role itself is learned"),
}
BAR = re.compile(r"\s*[|｜]\s*")
STEP = "persona"


def draw() -> None:
    """Draw the description at the left, what it becomes at the right, and rows below."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        wish = _wish()
    made, problem = _made(wish)
    with right, st.container(border=True, key="make_role_becomes"):
        st.markdown("**" + _("What it becomes") + "**")
        if made:
            _counts(made)
        dataset = result.name(wish.name or _("My role"), key=STEP)
        step = {"do": STEP, **asdict(wish)}
        result.button(dataset, len(made), key=STEP, why=problem, make=lambda: result.keep(dataset, made, step))
        if made:
            with st.expander(
                _("Its system prompt"), icon=":material/settings:", key="make_role_system", type="compact"
            ):
                st.text(persona.system_prompt(persona.checked(wish)))
    if made:
        _preview(made)


def _wish() -> PersonaWish:
    lang: Lang = (
        st.segmented_control(
            _("Language"),
            LANGUAGES,
            key="make_role_lang",
            default="zh" if current().startswith("zh") else "en",
            required=True,
            format_func=lambda each: datasets_make_name.NAMES[each],
            persist_state="session",
        )
        or "en"
    )
    chinese = lang == "zh"
    name = st.text_input(
        _("Its name"),
        key="make_role_name",
        max_chars=persona.MAX_NAME,
        placeholder="王师傅" if chinese else "Old Wang",
        persist_state="session",
    )
    who = st.text_input(
        _("Who it is: {begin}").format(begin="“我是……”" if chinese else "“I am …”"),
        key="make_role_who",
        max_chars=persona.MAX_WHO,
        placeholder="青岛来的退休海员，做了一辈子厨师" if chinese else "a retired ship's cook from Qingdao",
        persist_state="session",
    )
    style = st.text_input(
        _("How it speaks"),
        key="make_role_style",
        max_chars=persona.MAX_STYLE,
        placeholder="短句，热情，爱讲海上的故事" if chinese else "short sentences, dry humour, stories from the sea",
        persist_state="session",
    )
    examples = st.text_area(
        _("Example lines, one a line"),
        key="make_role_examples",
        placeholder=(
            "米饭怎么煮？ | 先淘两遍，再等水开。\n锅满心安。"
            if chinese
            else "How do I cook rice? | Rinse it twice, then be patient.\nA full pot calms every storm."
        ),
        help=_("question | answer becomes a row as it stands. A line without | is something that it likes to say."),
        persist_state="session",
    )
    gladly, not_at_all = st.columns(2)
    topics = gladly.text_area(
        _("Talks about, one a line"),
        key="make_role_topics",
        placeholder="鱼汤\n港口" if chinese else "fish soup\nharbours",
        persist_state="session",
    )
    refuses = not_at_all.text_area(
        _("Declines to talk about, one a line"),
        key="make_role_refuses",
        placeholder="政治" if chinese else "politics",
        persist_state="session",
    )
    with st.expander(_("More settings"), icon=":material/tune:", key="make_role_more", type="compact"):
        prompted = st.radio(
            _("Under its system prompt"),
            list(PROMPTED),
            key="make_role_prompted",
            format_func=lambda way: _(PROMPTED[way]),
            persist_state="session",
        )
        replay = datasets_make_name.replay_share(20, key="make_role_replay")
    said = [BAR.split(line, maxsplit=1) for line in result.lines(examples or "")]
    return PersonaWish(
        name=name or "",
        who=who or "",
        style=style or "",
        sayings=tuple(line[0] for line in said if len(line) == 1),
        examples=tuple((line[0], line[1]) for line in said if len(line) == 2),
        topics=result.lines(topics or ""),
        refuses=result.lines(refuses or ""),
        lang=lang,
        prompted=prompted or "both",
        replay=replay,
    )


def _made(wish: PersonaWish) -> tuple[list[Row], str]:
    """The rows; or none, and what is missing."""
    if not wish.name.strip() or not wish.who.strip():
        return [], _("Type its name and who it is: the rows appear below as you go.")
    try:
        return persona.rows(wish), ""
    except DataError as error:
        return [], errors.plain(" ".join(error.localized()))


def _counts(made: list[Row]) -> None:
    counts = Counter(map(_kind, made))
    bold = {kind: f"**{number:,}**" for kind, number in counts.items()}
    if counts["example"]:
        text = ngettext(
            "{n} row of your examples, word for word", "{n} rows of your examples, word for word", counts["example"]
        )
        st.markdown(":material/format_quote: " + text.format(n=bold["example"]))
    st.markdown(":material/theater_comedy: " + _("{n} rows from templates").format(n=bold["template"]))
    st.caption(
        _(
            "They teach who it is, what it talks about and what it declines; not what it knows: that comes from examples "
            "and documents."
        )
    )
    if counts["replay"]:
        st.markdown(":material/repeat: " + _("{n} rows of other things").format(n=bold["replay"]))
    st.markdown(":material/fact_check: " + _("{n} rows held out for the proof").format(n=bold["test"]))


def _kind(row: Row) -> str:
    told = row["meta"]["lineage"]
    if split_of(row) == "test":
        return "test"
    return str(told["intent"]) if told["intent"] in ("example", "replay") else "template"


def _preview(made: list[Row]) -> None:
    st.subheader(_("Some of the rows"), anchor=False)
    shown: dict[str, Row] = {}
    for row in made:
        told = row["meta"]["lineage"]
        if told["intent"] != "replay" and split_of(row) == "train":
            shown.setdefault(told["intent"], row)
    order = ("name", "topic", "refuse", "example", "nature", "intro")
    left, right = st.columns(2, gap="medium")
    for place, intent in enumerate([each for each in order if each in shown][:4]):
        with (left, right)[place % 2]:
            result.preview([shown[intent]], key=f"role_{place}")
