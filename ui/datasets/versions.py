"""The versions of a set, newest first: who made which when, by what, from what; what differs between two; and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from backend.catalog.files import size_text
from backend.data.diff import Change, Diff, diff
from backend.data.versions import Version, VersionInfo
from backend.i18n import N_, _, ngettext
from ui import errors, words
from ui.datasets import diff as datasets_diff
from ui.datasets import list as datasets_list
from ui.datasets import state as datasets_state
from ui.datasets import words as named

SHOWN, MORE = 20, 40
CHANGES = 10
"""Changes on one page."""
OLD, NEW, PLACE = "from", "to", "change"
"""The address's parameters of a comparison: the two versions, and the change that the page begins with."""
CURRENT = words.Look(N_("current"), ":material/check_circle:", "green")
KINDS = {"added": N_("Added"), "removed": N_("Removed"), "changed": N_("Changed")}


def draw(version: Version) -> None:
    """Draw all versions of the set that ``version`` belongs to, and what differs between two of them."""
    sets = datasets_state.sets()
    name = version.dataset
    current = sets.get(name).current.id
    found = sets.versions(name)
    known = {info.id: info for info in found}
    old, new = (str(st.query_params.get(key, "")) for key in (OLD, NEW))
    if old in known and new in known:
        _compared(name, known, old, new)
        return
    drawn = int(st.session_state.get("datasets_versions_drawn") or SHOWN)
    for place, info in enumerate(found[:drawn]):
        earlier = found[place + 1] if place + 1 < len(found) else None
        _card(name, info, earlier, current)
    if len(found) > drawn:
        left = min(len(found) - drawn, MORE)
        st.button(
            ngettext("Show {n} more", "Show {n} more", left).format(n=left),
            key="datasets_versions_more",
            icon=":material/expand_more:",
            on_click=_more,
            args=(drawn + MORE,),
        )
    if len(found) == 1:
        st.caption(
            _("Every change makes a new version here, so that none is lost and each can be compared and restored.")
        )


def _more(count: int) -> None:
    st.session_state["datasets_versions_drawn"] = count


def _card(name: str, info: VersionInfo, earlier: VersionInfo | None, current: str) -> None:
    with st.container(border=True, key=f"datasets_version_{info.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(title(info))}**", width="content")
            if info.id == current:
                st.markdown(CURRENT.chip, width="content")
        st.caption(facts(info), help=words.stamp(info.created))
        if info.note:
            st.markdown(errors.plain(info.note))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                _("Show its rows"),
                key=f"version_open_{info.id}",
                icon=":material/visibility:",
                on_click=datasets_list.open_set,
                args=(name,),
                kwargs={"version": "" if info.id == current else info.id},
            )
            if earlier is not None:
                st.button(
                    _("What changed"),
                    key=f"version_diff_{info.id}",
                    icon=":material/difference:",
                    help=_("Compared with the version before it"),
                    on_click=compare,
                    args=(name, earlier.id, info.id),
                )
            if info.id != current:
                st.button(
                    _("Compare with current"),
                    key=f"version_current_{info.id}",
                    type="tertiary",
                    icon=":material/compare_arrows:",
                    on_click=compare,
                    args=(name, info.id, current),
                )
                st.button(
                    _("Restore"),
                    key=f"version_use_{info.id}",
                    type="tertiary",
                    icon=":material/settings_backup_restore:",
                    help=_("It becomes the current one. The others stay, so this can be undone in the same way."),
                    on_click=restore,
                    args=(name, info.id),
                )
                _removal(name, info)


def _removal(name: str, info: VersionInfo) -> None:
    """Removing one version, for its room on the disk; asked once more."""
    with st.popover(_("Remove"), icon=":material/delete:", type="tertiary", key=f"version_forget_{info.id}"):
        st.markdown(
            _("These rows cannot be brought back. {size} become free; the other versions stay.").format(
                size=size_text(info.bytes)
            )
        )
        st.button(
            _("Remove version {version}").format(version=info.id[:6]),
            key=f"version_forget_yes_{info.id}",
            icon=":material/delete:",
            on_click=forget,
            args=(name, info.id),
        )


def forget(name: str, version: str) -> None:
    """Callback: remove a version that is not the current one."""
    with datasets_state.problems():
        datasets_state.sets().forget(name, version)
        st.query_params.pop(datasets_state.VERSION, None)
        datasets_state.say(_("Version {version} is removed.").format(version=version[:6]))


def title(info: VersionInfo) -> str:
    """What was done to make it, else its number."""
    return f"{named.steps(info.steps) or _('made')} · {info.id[:6]}"


def facts(info: VersionInfo) -> str:
    """Rows, splits, maker, age and origin, in one line of Markdown."""
    origin = named.origin(info)
    parts = [named.rows(info.rows), named.splits(info.counts)]
    if info.rejected:
        text = ngettext("{n} record not taken", "{n} records not taken", info.rejected)
        parts.append(text.format(n=f"{info.rejected:,}"))
    parts += [_("from {origin}").format(origin=origin) if origin else "", info.by, words.ago(info.created)]
    return errors.plain(" · ".join(filter(None, parts)))


def compare(name: str, old: str, new: str) -> None:
    """Callback: show what differs between two versions of ``name``."""
    there = datasets_state.address(name, part="versions")
    shown = st.query_params.get(datasets_state.VERSION, "")
    st.query_params.from_dict(there | ({datasets_state.VERSION: shown} if shown else {}) | {OLD: old, NEW: new})


def restore(name: str, version: str) -> None:
    """Callback: make ``version`` the current one."""
    with datasets_state.problems():
        info = datasets_state.sets().use(name, version)
        datasets_list.open_set(name, part="versions")
        datasets_state.say(_("Version {version} is the current one now.").format(version=info.id[:6]))


@st.cache_data(show_spinner=False, max_entries=8)
def _diff(root: str, name: str, old: str, new: str) -> Diff:
    """Versions never change, so neither does what differs between them. A few numbers a row that differs are kept."""
    sets = datasets_state.sets()
    return diff(sets.open(name, old), sets.open(name, new))


def _compared(name: str, known: dict[str, VersionInfo], old: str, new: str) -> None:
    st.button(
        _("All versions"),
        key="datasets_versions_back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=datasets_list.open_set,
        args=(name,),
        kwargs={"part": "versions"},
    )
    _choice(name, known, old, new)
    sets = datasets_state.sets()
    with st.spinner(_("Comparing the rows …"), show_time=True):
        found = _diff(str(sets.folder), name, old, new)
    st.markdown(f"**{summary(found)}**")
    if not len(found):
        return
    total = len(found)
    place = str(st.query_params.get(PLACE, ""))
    first = min(int(place) if place.isascii() and place.isdigit() and len(place) < 12 else 0, total - 1)
    changes = found.changes(first, first + CHANGES)
    _changes(sets.open(name, old), sets.open(name, new), changes)
    if total > CHANGES:
        with st.container(horizontal=True, vertical_alignment="center"):
            _turn(_("Previous page"), ":material/arrow_back:", max(0, first - CHANGES), first == 0)
            text = _("Changes {first}–{last} of {total}")
            last = first + len(changes)
            st.caption(text.format(first=f"{first + 1:,}", last=f"{last:,}", total=f"{total:,}"), width="content")
            _turn(_("Next page"), ":material/arrow_forward:", first + CHANGES, last >= total)


def _choice(name: str, known: dict[str, VersionInfo], old: str, new: str) -> None:
    """The two versions; choosing others compares those."""
    ids = list(known)

    def label(version: str) -> str:
        return f"{title(known[version])} · {words.ago(known[version].created)}"

    st.session_state["datasets_diff_from"], st.session_state["datasets_diff_to"] = old, new
    for column, text, key in zip(
        st.columns(2), (_("From"), _("To")), ("datasets_diff_from", "datasets_diff_to"), strict=True
    ):
        column.selectbox(text, ids, key=key, format_func=label, on_change=_chosen, args=(name,), filter_mode=None)


def _chosen(name: str) -> None:
    compare(name, str(st.session_state["datasets_diff_from"]), str(st.session_state["datasets_diff_to"]))


def _turn(label: str, icon: str, place: int, off: bool) -> None:
    st.button(label, key=f"datasets_change_{icon[10:-1]}", icon=icon, disabled=off, on_click=_to, args=(place,))


def _to(place: int) -> None:
    st.query_params[PLACE] = str(place)


def summary(found: Diff) -> str:
    """``2 rows added, 1 removed, 3 changed, 94 the same``."""
    if not len(found):
        return _("Both versions hold the same rows.")
    parts = []
    if found.changed:
        parts.append(_("{n} changed").format(n=f"{found.changed:,}"))
    if found.removed:
        parts.append(_("{n} removed").format(n=f"{found.removed:,}"))
    if found.added:
        parts.append(_("{n} added").format(n=f"{found.added:,}"))
    parts.append(_("{n} the same").format(n=f"{found.same:,}"))
    return " · ".join(parts)


def _changes(older: Version, newer: Version, changes: Sequence[Change]) -> None:
    for change in changes:
        before = older[change.before] if change.before is not None else None
        after = newer[change.after] if change.after is not None else None
        with st.container(border=True, key=f"datasets_change_{change.before}_{change.after}", gap="xsmall"):
            st.markdown(_head(change))
            datasets_diff.draw(before, after, key=f"{change.before}_{change.after}")


def _head(change: Change) -> str:
    colour, icon = {
        "added": ("green", ":material/add:"),
        "removed": ("red", ":material/remove:"),
        "changed": ("orange", ":material/edit:"),
    }[change.kind]
    numbers = [index + 1 for index in (change.before, change.after) if index is not None]
    if change.kind == "changed" and len(set(numbers)) == 2:
        where = _("row {old}, now row {new}").format(old=f"{numbers[0]:,}", new=f"{numbers[1]:,}")
    else:
        where = _("row {n}").format(n=f"{numbers[0]:,}")
    return f":{colour}-badge[{icon} {_(KINDS[change.kind])}] {where}"
