"""What was found when a set of questions was looked at: problems and notices, one a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from ui import errors

SHOWN = 6


def draw(told: Sequence[Mapping[str, Any]], most: int = SHOWN) -> None:
    """Draw them (``PanelError.to_dict`` each); beyond ``most`` only their number."""
    for each in told[:most]:
        message, hint = PanelError.from_dict(dict(each)).localized()
        st.markdown(f":orange[:material/warning:] {errors.plain(message)} :gray[{errors.plain(hint)}]")
    if len(told) > most:
        st.caption(_("{n} more are not shown here.").format(n=f"{len(told) - most:,}"))
