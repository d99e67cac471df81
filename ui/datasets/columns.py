"""Which column of a file is which part of a conversation: as it was recognised, and as a person corrects it."""

from __future__ import annotations

import streamlit as st

from backend.data.importing import Inspection
from backend.data.schemas import FORMATS, NAMES, PART_TITLES, PARTS, Mapping
from backend.i18n import _
from ui.datasets import words as named

SURE = 0.8
"""Below this confidence the choice is open at once: a person should look."""


def draw(found: Inspection, *, key: str) -> Mapping:
    """Draw the choice; returns how the records are to be read. ``key`` is unique for the file."""
    detected = found.detection
    open_ = detected.schema == "table" or detected.confidence < SURE
    box = st.expander(
        _("Format and columns"), open_, icon=":material/view_column:", key=f"datasets_columns_{key}", type="compact"
    )
    with box:
        schema = st.selectbox(
            _("Format of the rows"),
            NAMES,
            index=NAMES.index(detected.schema),
            key=f"datasets_schema_{key}",
            format_func=named.format_word,
            filter_mode=None,
        )
        usual = detected.mapping if schema == detected.schema else Mapping(schema, dict(FORMATS[schema].columns))
        known = list(found.columns)
        known += [column for column in detected.mapping.columns.values() if column not in known]
        chosen: dict[str, str] = {}
        places = st.columns(2)
        for place, part in enumerate(PARTS[schema]):
            first = usual.columns.get(part, "")
            options = ["", *known]
            column = places[place % 2].selectbox(
                _(PART_TITLES[part]),
                options,
                index=options.index(first) if first in options else 0,
                key=f"datasets_column_{key}_{schema}_{part}",
                format_func=lambda name: name or _("none"),
            )
            if column:
                chosen[part] = column
            elif first and first not in known:
                chosen[part] = first  # its usual column: rows further on may have it
        system = st.text_area(
            _("System prompt for rows that have none"),
            key=f"datasets_system_{key}",
            height=68,
            help=_("Stands before every conversation: who the model is, how it answers. Leave it empty for none."),
        )
    unchanged = chosen == usual.columns and schema == detected.schema and not system.strip()
    return detected.mapping if unchanged else Mapping(schema, chosen, system.strip())
