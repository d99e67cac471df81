"""What a model that a job makes will be called: as asked for, or by default; never like one that is there already."""

from __future__ import annotations

from backend import catalog
from backend.catalog.names import checked_name, free_name, legal_name
from backend.errors import PanelError
from backend.finetune.faults import Faults, Way
from backend.i18n import _
from backend.workspace import Workspace


def check(workspace: Workspace, wished: str, usual: str, taken_code: str, faults: Faults) -> str:
    """The name of the result. usual: where none is wished, made legal and free. taken_code: of the fault that says that the wished one is taken."""
    taken = {one.name for one in catalog.models(workspace)}
    if not wished:
        return free_name(legal_name(usual), taken)
    try:
        label = checked_name(wished)
    except PanelError as error:
        fit = legal_name(wished)
        faults.of(error, "name", ways=(Way(_("Call it '{name}'").format(name=fit), {"name": fit}),))
        return wished
    if label in taken:
        other = free_name(label, taken)
        faults.add(
            taken_code,
            "name",
            _("There is already a model called '{name}'; this one would be called '{other}'.").format(
                name=label, other=other
            ),
            fatal=False,
            ways=(Way(_("Call it '{name}'").format(name=other), {"name": other}),),
        )
    return label
