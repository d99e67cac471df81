"""A row token by token: what a model would read of it and what it would learn, for both engines side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from backend.data.tokens import TokenModel, mask
from backend.data.tokens.differences import differences
from backend.data.tokens.encoded import Encoded, Piece
from backend.data.tokens.xtuner_templates import layout_name
from backend.data.versions import Version
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import errors
from ui.chat import marks as chat_marks
from ui.datasets import state as datasets_state

MOST = 2_000
"""Tokens that are drawn: of more the beginning and the end."""
MOST_CHARS = 2_000_000
"""A row with more would keep the page busy for seconds at every press."""
STYLE = """<style>
.tok { font-family: 'JetBrains Mono', 'Noto Sans SC Common', 'Noto Sans SC More', monospace; font-size: 0.85rem;
  line-height: 2; white-space: pre-wrap; overflow-wrap: anywhere; font-variant-ligatures: none;
  max-height: 32rem; overflow-y: auto; padding: 0.2rem 0.1rem; }
.tok-legend { font-family: inherit; max-height: none; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; }
.tok i { font-style: normal; opacity: 0.45; }
.tok span { border-left: 1px dotted color-mix(in srgb, currentColor 40%, transparent); padding: 0.1rem 0; }
.tok mark { color: inherit; background: color-mix(in srgb, var(--st-primary-color, teal) 24%, transparent);
  border-bottom: 3px solid var(--st-primary-color, teal); padding: 0.12rem 0; -webkit-box-decoration-break: clone;
  box-decoration-break: clone; }
.tok b { font-weight: 600; border: 1px solid color-mix(in srgb, currentColor 70%, transparent); border-radius: 0.35rem;
  padding: 0 0.25rem; font-size: 0.78rem; white-space: nowrap; }
.tok em { font-style: normal; opacity: 0.7; }
</style>"""


def draw(version: Version, row: int, model: TokenModel, cutoff: int) -> None:
    """Draw row ``row`` (from 1) of ``version``."""
    _chooser(row, len(version))
    found = version[row - 1]
    characters = sum(len(message["content"]) for message in found["messages"])
    if characters > MOST_CHARS:
        text = _("This row has {n} characters, too many to be looked at token by token.")
        st.markdown(":orange[:material/warning:] " + text.format(n=f"{characters:,}"))
        return
    said: dict[mask.Engine, Encoded | PanelError] = {}
    for engine in ("peft", "xtuner"):
        try:
            said[engine] = mask.encoded(model, found, engine, cutoff)
        except PanelError as error:
            said[engine] = error
    peft, xtuner = said["peft"], said["xtuner"]
    if isinstance(peft, Encoded) and isinstance(xtuner, Encoded):
        told = differences(model, peft, xtuner)
        same = peft.ids == xtuner.ids and peft.trained == xtuner.trained
        icon = ":green[:material/check_circle:] " if same else ":orange[:material/compare_arrows:] "
        st.markdown("\n".join(("" if n else icon) + errors.plain(text) + "  " for n, text in enumerate(told)))
    st.html(STYLE + legend())
    left, right = st.columns(2, gap="medium")
    with left:
        _engine(_("transformers + peft"), _("the model's own chat template"), peft, model, "peft")
    with right:
        layout = _("XTuner's layout {name}; it does not read chat templates").format(name=f"`{layout_name(model)}`")
        _engine("XTuner", layout, xtuner, model, "xtuner")


def legend() -> str:
    """What the marks mean, as HTML."""
    blank, line = f"<i>{chat_marks.BLANK}</i>", f"<i>{chat_marks.BREAK}</i>"
    marks = (
        ("<mark>abc</mark>", _("learned: coloured and underlined")),
        ("<span>abc</span>", _("read, not learned")),
        ("<b>&lt;|…|&gt;</b>", _("special token")),
        (blank, _("blank")),
        (line, _("line break")),
    )
    parts = [f"<div>{mark} {html.escape(meaning)}</div>" for mark, meaning in marks]
    return f'<div class="tok tok-legend">{"".join(parts)}</div>'


def tokens(pieces: Sequence[Piece]) -> str:
    """``pieces`` as HTML; nothing in it is markup but ours."""
    half = MOST // 2
    if len(pieces) <= MOST:
        return _runs(pieces)
    left_out = ngettext("{n} token left out here", "{n} tokens left out here", len(pieces) - 2 * half)
    gap = f"\n<em>… {html.escape(left_out.format(n=f'{len(pieces) - 2 * half:,}'))} …</em>\n"
    return _runs(pieces[:half]) + gap + _runs(pieces[-half:])


def _runs(pieces: Sequence[Piece]) -> str:
    parts, inside = list[str](), False
    for piece in pieces:
        if piece.trained != inside:
            parts.append("<mark>" if piece.trained else "</mark>")
            inside = piece.trained
        parts.append(_token(piece))
    return "".join(parts) + ("</mark>" if inside else "")


def _token(piece: Piece) -> str:
    number = f' title="{piece.id}"'
    if piece.special:
        name = piece.text.strip()
        before, mark, after = piece.text.partition(name) if name else ("", "", "")
        return f"{chat_marks.visible(before)}<b{number}>{html.escape(mark) or '?'}</b>{chat_marks.visible(after)}"
    # A character of several tokens stands in the first of them.
    return f"<span{number}>{chat_marks.visible(piece.text)}</span>" if piece.text else ""


def _engine(name: str, how: str, found: Encoded | PanelError, model: TokenModel, key: str) -> None:
    st.markdown(f"**{name}** · {how}")
    if isinstance(found, PanelError):
        errors.show(found, key=f"mask_{key}")
        return
    learned = sum(found.trained)
    text = ngettext("{n} token, {learned} of them learned", "{n} tokens, {learned} of them learned", len(found.ids))
    st.caption(text.format(n=f"{len(found.ids):,}", learned=f"{learned:,}"))
    with st.container(border=True, key=f"mask_box_{key}"):
        st.html(f'{STYLE}<div class="tok" tabindex="0">{tokens(mask.pieces(model, found))}</div>')
    for note in found.notes:
        st.caption(":material/info: " + errors.plain(note.message()))


def _chooser(row: int, total: int) -> None:
    st.session_state["mask_row"] = row
    with st.container(horizontal=True, vertical_alignment="bottom", key="mask_chooser"):
        st.number_input(_("Row"), min_value=1, max_value=total, step=1, key="mask_row", width=160, on_change=_jump)
        for label, icon, to in ((_("Previous row"), "arrow_back", row - 1), (_("Next row"), "arrow_forward", row + 1)):
            st.button(
                label,
                key=f"mask_{icon}",
                icon=f":material/{icon}:",
                disabled=not 1 <= to <= total,
                on_click=_to,
                args=(to,),
            )
        st.caption(_("of {total}").format(total=f"{total:,}"), width="content")


def _jump() -> None:
    _to(int(st.session_state.get("mask_row") or 1))


def _to(row: int) -> None:
    """Callback: show ``row``."""
    st.query_params[datasets_state.ROW] = str(row)
