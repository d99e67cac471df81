"""Program code in a model's folder: what would run, to be read before it does, and the consent to exactly that."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from backend import catalog
from backend.catalog import CodeFile, ModelCard
from backend.errors import PanelError
from backend.i18n import _, ngettext
from ui import context, errors, words

LONGEST_CODE = 200_000
"""Characters of a program file that are shown."""


def draw(card: ModelCard, key: str) -> None:
    """Draw what code ``card`` has, if any: the files, to be read here, and the consent to exactly them."""
    if card.code_files and not card.needs_code:
        names = ", ".join(file.name for file in card.code_files)
        st.markdown(
            ":material/code_off: "
            + errors.plain(
                _(
                    "Program code lies in its folder, and none of it runs: the engine has this architecture itself. "
                    "Files: {files}."
                ).format(files=names)
            )
        )
    if not card.needs_code:
        return
    with st.container(border=True, key=f"code_{key}"):
        st.markdown(
            ":material/code: "
            + _(
                "**Program code in its folder.** Loading this model runs the files below, with all rights of the "
                "account that TuneDeck runs under. Allow them only if you know who wrote them."
            )
        )
        for number, file in enumerate(card.code_files):
            _code_file(card, file, f"code_{key}_{number}")
        if card.code_allowed:
            st.markdown(
                ":green[:material/check_circle:] " + _("Allowed. If any of these files changes, it is asked again.")
            )
            st.button(
                _("Take the consent back"),
                key=f"forbid_{key}",
                icon=":material/undo:",
                on_click=_consent,
                args=(card.name, ""),
            )
        elif all(file.sha256 for file in card.code_files):
            st.button(
                ngettext("Allow this {n} file to run", "Allow these {n} files to run", len(card.code_files)).format(
                    n=len(card.code_files)
                ),
                key=f"allow_{key}",
                icon=":material/lock_open:",
                on_click=_consent,
                args=(card.name, card.code_fingerprint),
            )
        else:
            st.caption(
                _("It cannot be allowed: nobody can look at what is not here. Get the missing files into its folder.")
            )


def _code_file(card: ModelCard, file: CodeFile, key: str) -> None:
    if not file.sha256:
        st.markdown(f":red[:material/error:] `{file.name}` " + _("is not in the folder"))
        return
    listing = st.expander(
        f"{errors.plain(file.name)} · {words.size(file.size)}",
        icon=":material/description:",
        key=key,
        on_change="rerun",
    )
    if not listing.open:
        return
    with listing:
        try:
            text = Path(card.path, file.name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            st.caption(errors.plain(f"{file.name}: {error.strerror}"))
            return
        st.caption(f"SHA-256 {file.sha256}")
        st.code(text[:LONGEST_CODE], language="python", height=360, line_numbers=True)
        if len(text) > LONGEST_CODE:
            st.caption(_("Only its beginning is shown."))


def _consent(name: str, fingerprint: str) -> None:
    """Callback: allow exactly the code that was shown; an empty ``fingerprint`` takes that back."""
    st.session_state.pop("models_problem", None)
    try:
        catalog.allow_code(context.workspace(), name, fingerprint)
    except PanelError as error:
        st.session_state["models_problem"] = error.to_dict()
        return
    st.session_state["models_said"] = (
        _("{model} may run its program code now.") if fingerprint else _("{model} may no longer run its program code.")
    ).format(model=name)
