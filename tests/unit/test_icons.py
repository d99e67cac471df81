"""Icons that the code names: what Streamlit draws it looks up by itself, what our own components draw nobody does."""

from __future__ import annotations

import re

from streamlit.material_icon_names import ALL_MATERIAL_ICONS

from backend.workspace import ROOT

NAMED = re.compile(r":material/(\w+):")


def test_every_icon_is_in_the_font() -> None:
    files = [each for room in ("pages", "ui", "backend") for each in (ROOT / room).rglob("*.py")]
    named = {(name, each.name) for each in files for name in NAMED.findall(each.read_text(encoding="utf-8"))}
    assert len(named) > 100
    assert {each for each in named if each[0] not in ALL_MATERIAL_ICONS} == set()
