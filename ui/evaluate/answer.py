"""One question and what became of it: asked, said, read, right; opened, the exact prompt, the whole answer and the judge's words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.evaluate.records import Answer
from backend.i18n import _, ngettext
from ui import errors
from ui.evaluate import kept as evaluate_kept
from ui.evaluate import look as evaluate_look

LONG, LONG_QUESTION = 400, 900
ROLES = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}
"""OpenCompass's names of the roles of a conversation."""
STYLE = """<style>
.evq{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5;margin:0 0 .4rem}
.eva{display:grid;grid-template-columns:minmax(0,1fr);gap:.25rem 1.2rem;font-size:.93rem}
.eva.two{grid-template-columns:repeat(2,minmax(0,1fr))}
.evs{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem .7rem;align-content:start}
.evs .k{opacity:.75}
.evs .v{white-space:pre-wrap;overflow-wrap:anywhere}
.eva b{font-weight:600}
.evs .who{grid-column:1/-1;font-weight:600;opacity:1}
@media (max-width:40rem){.eva.two{grid-template-columns:minmax(0,1fr)}}
</style>"""


def style() -> None:
    """Put the style of what :func:`body` makes on the page, once."""
    st.html(STYLE)


def head(answer: Answer) -> str:
    """Outcome, place, and what it took, as a line of Markdown."""
    place = _("{subject}, question {n}").format(subject=errors.plain(answer.subject), n=f"{answer.number + 1:,}")
    took = []
    if answer.seconds is not None:
        took.append(_("{n} s").format(n=f"{answer.seconds:.1f}"))
    if answer.tokens is not None:
        took.append(ngettext("{n} token", "{n} tokens", answer.tokens).format(n=f"{answer.tokens:,}"))
    more = f" · :gray[:small[{', '.join(took)}]]" if took else ""
    return f"{evaluate_look.outcome(answer.outcome)} · {place}{more}"


def body(question: str, sides: Sequence[tuple[str, Answer]]) -> str:
    """The question, and for each side what was said, what was read out of it and what is right, as HTML; all text in it is escaped.

    sides: (whose answer it is, empty where there is only one; the answer).
    """
    lists = "".join(_side(who, answer) for who, answer in sides)
    asked = f'<div class="evq">{escape(cut(question, LONG_QUESTION))}</div>'
    if len(sides) < 2:
        return f'{asked}<div class="eva">{lists}</div>'
    gold = f'<div class="evs"><div class="k">{escape(_("Solution"))}</div><div class="v"><b>{_gold(sides[0][1])}</b></div></div>'
    return f'{asked}<div class="eva">{gold}</div><div class="eva two">{lists}</div>'


def _side(who: str, answer: Answer) -> str:
    said = escape(cut(answer.said, LONG)) or f"<i>{escape(_('It said nothing.'))}</i>"
    read = f"<b>{escape(answer.taken)}</b>" if answer.taken else f"<i>{escape(_('nothing'))}</i>"
    rows = [(_("Said"), said), (_("Read"), read)]
    if answer.outcome == "failed":
        rows = [(_("Not answered"), escape(failure(answer)))]
    if not who:
        rows.append((_("Solution"), f"<b>{_gold(answer)}</b>"))
    named = f'<div class="who">{escape(who)}</div>' if who else ""
    told = "".join(f'<div class="k">{escape(label)}</div><div class="v">{text}</div>' for label, text in rows)
    return f'<div class="evs">{named}{told}</div>'


def _gold(answer: Answer) -> str:
    return escape(cut(answer.gold, LONG))


def opened(run: int, answer: Answer, key: str, label: str = "") -> None:
    """The fold with the exact prompt, the whole answer, and what a judge said; the prompt is read only when it is opened."""
    fold = st.expander(
        label or _("Exact prompt and whole answer"),
        icon=":material/data_object:",
        type="compact",
        key=f"{key}_open",
        on_change="rerun",
    )
    if not fold.open:
        return
    with fold:
        answer = evaluate_kept.store().answer(run, answer.subject, answer.number)
        for role, text in messages(answer.prompt):
            st.caption(_("Prompt, as it was sent") if not role else _("Prompt: {role}").format(role=f"`{role}`"))
            st.code(text, language=None, wrap_lines=True)
        st.caption(_("Whole answer"))
        if answer.said:
            st.code(answer.said, language=None, wrap_lines=True)
        else:
            st.markdown(errors.plain(failure(answer)))
        judged = answer.note.get("judge")
        if judged:
            who = str(answer.note.get("model") or "")
            st.caption(_("What the judge {model} said").format(model=errors.plain(who)))
            st.code(str(judged), language=None, wrap_lines=True)


def failure(answer: Answer) -> str:
    """Why nothing was said."""
    if "message" in answer.note:
        message, hint = PanelError.from_dict(answer.note).localized()
        return " ".join(filter(None, (message, hint)))
    return _("It said nothing.")


def messages(prompt: str) -> list[tuple[str, str]]:
    """(role, text) of what was sent; plain text has no role."""
    try:
        found = json.loads(prompt)
    except ValueError:
        return [("", prompt)]
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return [("", prompt)]
    return [(_role(each), _text(each)) for each in found]


def _role(message: dict[str, Any]) -> str:
    role = str(message.get("role") or "user")
    return ROLES.get(role, role)


def _text(message: dict[str, Any]) -> str:
    content = message.get("content", message.get("prompt", ""))
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def cut(text: str, most: int) -> str:
    """``text`` without blanks around it, and its end left out where it is long."""
    text = text.strip()
    return text if len(text) <= most else f"{text[:most]} …"
