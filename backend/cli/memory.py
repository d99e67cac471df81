"""``python -m backend memory …``: who uses the memory now, and what was recorded; forecasts and comparisons beside them.

The other verbs stand in files of their own, ``memory_*.py``, each with ``add_to(app)``.
"""

from __future__ import annotations

from importlib import import_module, util

import typer

from backend.i18n import _

app = typer.Typer(help=_("Who uses the memory, what was recorded, what will fit."))
BESIDE = ("memory_live", "memory_history", "memory_estimate", "memory_compare")

for _name in BESIDE:
    if util.find_spec(f"backend.cli.{_name}") is not None:
        import_module(f"backend.cli.{_name}").add_to(app)
