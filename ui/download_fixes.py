"""What helps a download that failed: the button that fits the failure, not always the same one."""

from __future__ import annotations

import shutil
from dataclasses import replace

from backend import hubs
from backend.i18n import _
from backend.queue.rows import JobRow
from backend.workspace import ROOT
from ui import context
from ui.errors import Action

MODELS_PAGE, SETTINGS_PAGE = ROOT / "pages" / "models.py", ROOT / "pages" / "settings.py"
AGAIN = "again"
"""The address's parameter with the download whose fields the form takes over."""

TOKEN = ("download_token_missing", "download_token_refused", "hub_token_bad")
MISSING = ("download_repo_missing", "download_revision_missing")
TAKEN = ("model_name_taken", "download_folder_taken", "download_other_version", "download_busy")
UNUSABLE = (
    "download_pickled",
    "download_other_format",
    "download_no_model",
    "download_unsafe_name",
    "download_file_too_large",
)
"""The same again would end the same: another model is wanted."""
ADDRESS = ("download_unreachable", "download_not_a_hub", "download_refused")
FULL = ("download_no_room", "workspace_full")


def fixes(row: JobRow, resume: Action) -> list[Action]:
    """The likeliest fix first; ``resume`` is among them where another attempt can end better without a change."""
    code = str(row.error.get("code", ""))
    params = row.error.get("params") or {}
    hub = str(context.store().spec(row.id).get("source", ""))
    form = Action("", icon=":material/edit:", page=MODELS_PAGE, query={"view": "download", AGAIN: str(row.id)})
    settings = Action("", page=SETTINGS_PAGE, query={"hub": hub, "job": str(row.id)})
    token = replace(settings, label=_("Enter an access token"), icon=":material/key:")
    if code in TOKEN:
        return [token, resume]
    if code == "download_gated":
        page = Action(_("Open its page"), icon=":material/open_in_new:", url=str(params.get("page", "")))
        return [page, token, resume] if page.url.startswith("https://") else [token, resume]
    if code == "download_repo_missing":
        return [replace(form, label=_("Correct the name")), token, resume]
    if code in MISSING:
        return [replace(form, label=_("Correct the revision"))]
    if code in TAKEN:
        return [replace(form, label=_("Give it another name")), resume]
    if code in UNUSABLE:
        return [replace(form, label=_("Choose another model"))]
    if code in FULL:
        return _room(resume, params.get("wanted_bytes"))
    if code in ADDRESS:
        return [resume, replace(settings, label=_("Set a mirror"), icon=":material/lan:")]
    return [resume]


def _room(resume: Action, wanted: object) -> list[Action]:
    """Resume where there is room by now; until then, the way to what takes it."""
    free = Action(
        _("Free room"),
        icon=":material/delete_sweep:",
        page=MODELS_PAGE,
        query={"view": "list"},
        help=_("Shows the models that are here. Finished jobs take room, too: delete them on the Jobs page."),
    )
    if not isinstance(wanted, int):
        return [free, resume]
    now = shutil.disk_usage(context.workspace().root).free
    if now >= wanted:
        return [resume]
    short = _("It takes {wanted}, and {free} are free.").format(wanted=hubs.size_text(wanted), free=hubs.size_text(now))
    return [free, replace(resume, disabled=True, help=short)]
