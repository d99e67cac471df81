"""How an engine's environment reads: its state, its flavour, what it holds."""

from __future__ import annotations

from backend.engines import Engine
from backend.envs.status import Status
from backend.i18n import N_, _
from ui import errors, words

PROVEN = words.Look(N_("installed and proven"), ":material/verified:", "green")
UNTESTED = words.Look(N_("installed, not tested"), ":material/help:", "orange")
FAILED = words.Look(N_("self-test failed"), ":material/error:", "red")
MISSING = words.Look(N_("not installed"), ":material/radio_button_unchecked:", "gray")
OUTDATED = words.Look(N_("update available"), ":material/upgrade:", "orange")
DAMAGED = words.Look(N_("needs repair"), ":material/build:", "orange")
BUILTIN = words.Look(N_("built in"), ":material/check_circle:", "gray")
BUILTIN_PROVEN = words.Look(N_("built in and proven"), ":material/verified:", "green")
OWN = words.Look(N_("your own"), ":material/person:", "gray")
OWN_PROVEN = words.Look(N_("your own, proven"), ":material/verified:", "green")

MEANINGS = {
    "ready": N_("Made from the packages that this TuneDeck was tested with, and its self-test has passed here."),
    "unproven": N_("Its packages are there, but no self-test of it has passed here."),
    "missing": N_("Its packages are not on this machine yet."),
    "outdated": N_("It works, and this TuneDeck comes with newer packages for it."),
    "damaged": N_("Its files are not what was installed. A repair makes it anew."),
    "builtin": N_("It lives in the panel's own environment, so there is nothing to install."),
    "own": N_("A Python of your own is named in the settings. TuneDeck uses it and changes nothing in it."),
}
FLAVOURS = {
    "cpu": N_("for the CPU"),
    "cuda": N_("for NVIDIA GPUs"),
}
CHOICES = {
    "auto": N_("what this machine needs"),
    "cpu": N_("for the CPU: runs anywhere, slowly"),
    "cuda": N_("for NVIDIA GPUs: several GB more"),
}


def look(status: Status) -> words.Look:
    """The state as people see it. Only a self-test that passed makes it green."""
    report = status.report
    if report is not None and not report.passed and status.state in ("ready", "unproven", "builtin", "own"):
        return FAILED
    if status.state == "builtin":
        return BUILTIN_PROVEN if report is not None else BUILTIN
    if status.state == "own":
        return OWN_PROVEN if report is not None else OWN
    known = {"ready": PROVEN, "unproven": UNTESTED, "missing": MISSING, "outdated": OUTDATED, "damaged": DAMAGED}
    return known[status.state]


def flavour(name: str) -> str:
    """What it computes on; a flavour of an engine's own stands for itself."""
    return _(FLAVOURS[name]) if name in FLAVOURS else name


def choice(name: str) -> str:
    """The flavour ``name`` as one of several to choose from."""
    return _(CHOICES[name]) if name in CHOICES else name


def facts(status: Status) -> str:
    """Versions, size, flavour and age, in one line of Markdown; empty where nothing is known."""
    parts = [f"{package} {version}" for package, version in status.versions.items() if version]
    if status.size_bytes:
        parts.append(words.size(status.size_bytes))
    if status.flavour and status.state != "own":
        parts.append(flavour(status.flavour))
    if status.installed_at:
        parts.append(_("installed {ago}").format(ago=words.ago(status.installed_at)))
    if status.shared:
        parts.append(_("in a folder shared by all"))
    return errors.plain(" · ".join(parts))


def count_line(statuses: list[Status], engines: dict[str, Engine]) -> str:
    """How many engines can be used now, and which."""
    usable = [engines[status.engine].title for status in statuses if status.usable]
    if not usable:
        return _("No engine can be used yet.")
    return _("Can be used now: {names} ({n} of {all}).").format(
        names=", ".join(usable), n=len(usable), all=len(statuses)
    )
