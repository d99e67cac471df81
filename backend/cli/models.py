"""``python -m backend models …``: which models there are, what each of them is, and where to get more."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend import catalog, hubs
from backend.catalog import Found, ModelCard, Removal
from backend.catalog.files import size_text
from backend.cli import output
from backend.errors import AccessError, ConflictError
from backend.finetune import contract
from backend.i18n import N_, _, ngettext
from backend.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from backend.queue.rows import JobRow

app = typer.Typer(help=_("Find models, look at them, download them, put them on the list and take them off."))
Json = Annotated[bool, typer.Option("--json", help=_("Print one JSON document."))]


class Source(StrEnum):
    """Where models can be downloaded from."""

    huggingface = "huggingface"
    modelscope = "modelscope"


def as_dict(card: ModelCard) -> dict[str, Any]:
    """A card as JSON, with what is wrong as a sentence beside its code."""
    data = card.to_dict()
    for name, problem in (("problem", card.problem), ("unfit", card.unfit)):
        if problem:
            message, hint = problem.localized()
            data[name] |= {"text": message, "hint_text": hint}
    return data


def line(card: ModelCard) -> str:
    """A model in one line for a person."""
    if card.problem:
        return f"{card.name:<28}  {card.problem.localized()[0]}"
    facts = [_size(card), card.dtype, card.quantization, card.architecture, str(card.path)]
    return "  ".join([f"{card.name:<28}", *(fact for fact in facts if fact)])


@app.command("list", help=_("List the models: the shipped one, then those that were added."))
def list_models(as_json: Json = False) -> None:
    cards = catalog.models(open_workspace())
    output([as_dict(card) for card in cards], as_json, "\n".join(map(line, cards)))


@app.command(help=_("Put a model folder on the list, under its own name or another. Nothing is copied."))
def add(
    path: Annotated[str, typer.Argument(help=_("Folder with config.json and *.safetensors files, or a link to one."))],
    name: Annotated[
        str | None, typer.Option(help=_("Name on the list; the folder's name where none is given."))
    ] = None,
    as_json: Json = False,
) -> None:
    card = catalog.add(open_workspace(), path, name)
    output(as_dict(card), as_json, line(card))


@app.command(help=_("Find all models below a folder, such as a shared model store or a download cache."))
def scan(
    folder: Annotated[str, typer.Argument(help=_("Folder to look in. Links are followed, hidden folders skipped."))],
    add: Annotated[bool, typer.Option("--add", help=_("Put every usable model found on the list."))] = False,
    depth: Annotated[int, typer.Option(min=0, max=20, help=_("Look so many levels below the folder."))] = 6,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    result = catalog.scan(folder, workspace, depth)
    usable = [one.card for one in result.found if not one.listed and one.card.problem is None]
    added = catalog.add_all(workspace, usable) if add else []
    data = {
        "folder": str(Path(folder).expanduser().absolute()),
        "models": [{**as_dict(one.card), "listed": one.listed, "repo": one.repo} for one in result.found],
        "added": [_added(one) for one in added],
        "unreadable": [str(path) for path in result.unreadable],
        "complete": result.complete,
    }
    lines = [_found_line(one) for one in result.found] or [_("There is no model in this folder.")]
    lines += [_("{folder} could not be looked into.").format(folder=path) for path in result.unreadable]
    if not result.complete:
        lines.append(_("There are too many folders; not all were looked into. Name a folder further below."))
    if add:
        count = sum(one.card is not None for one in added)
        lines.append(ngettext("{n} model put on the list.", "{n} models put on the list.", count).format(n=count))
        lines += [f"{one.path}: {one.problem.localized()[0]}" for one in added if one.problem]
    elif usable:
        lines.append(_("The same command with --add puts those on the list that can be used."))
    output(data, as_json, "\n".join(lines))


@app.command(
    help=_(
        "Show what a model is, by name or by folder, on the list or not; of a broken one what is known, with exit code 1. "
        "Reads no weights."
    )
)
def card(
    model: Annotated[str, typer.Argument(metavar="PATH", help=_("Name on the list, or a folder."))],
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    found = catalog.find(workspace, _name_or_folder(workspace, model))
    data = {**as_dict(found), "adapters": [one.name for one in catalog.adapters(workspace, found)]}
    hidden = ("problem", "unfit", "code_files")
    shown = {k: v for k, v in data.items() if v not in (None, "", False, (), []) and k not in hidden}
    lines = [f"{k:<26} {', '.join(map(str, v)) if isinstance(v, list | tuple) else v}" for k, v in shown.items()]
    lines += [f"{'code_file':<26} {f.name}  {size_text(f.size)}  {f.sha256 or '?'}" for f in found.code_files]
    output(data, as_json, "\n".join(lines))
    if found.problem and as_json:
        raise typer.Exit(1)  # the one document says why
    if found.problem:
        raise found.problem
    if found.unfit and not as_json:
        typer.echo(" ".join(found.unfit.localized()), err=True)


@app.command(
    help=_("Take a model off the list. Its folder stays, unless --delete-files is given and TuneDeck made it.")
)
def remove(
    model: Annotated[str, typer.Argument(metavar="NAME", help=_("Name on the list."))],
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help=_("Delete the files too, where TuneDeck downloaded or made them."))
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=_("Delete without asking."))] = False,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    goes = catalog.removal(workspace, model)
    if delete_files and goes.deletes_files and not yes:
        if as_json or not sys.stdin.isatty():
            raise ConflictError(
                "deletion_not_confirmed",
                N_("Deleting '{model}' would delete {files} files ({size}) in {folder}."),
                N_("Give --yes to do it."),
                model=model,
                files=goes.files,
                size=size_text(goes.bytes),
                folder=str(goes.path),
            )
        typer.echo(_what_goes(goes))
        typer.confirm(_("Delete these files?"), abort=True)
    catalog.remove(workspace, model, delete_files)
    deleted = delete_files and goes.deletes_files
    data = {"removed": model, "deleted_files": goes.files if deleted else 0, "bytes": goes.bytes if deleted else 0}
    text = _("'{model}' is off the list.").format(model=model)
    if deleted:
        text += " " + _("Deleted: {files} files, {size}.").format(files=goes.files, size=size_text(goes.bytes))
    output(data, as_json, text)


@app.command(help=_("Let a model on the list run the program code in its folder, or take that back."))
def code(
    model: Annotated[str, typer.Argument(metavar="NAME", help=_("Name on the list."))],
    allow: Annotated[
        str, typer.Option(metavar="FINGERPRINT", help=_("Allow exactly this code: code_fingerprint of its card."))
    ] = "",
    forbid: Annotated[bool, typer.Option("--forbid", help=_("Take the consent back."))] = False,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    found = catalog.allow_code(workspace, model, "" if forbid else allow) if allow or forbid else None
    found = found or catalog.find(workspace, model)
    data = {
        key: as_dict(found)[key] for key in ("name", "needs_code", "code_allowed", "code_fingerprint", "code_files")
    }
    if not found.code_files:
        text = _("'{model}' brings no program code along.").format(model=found.name)
    elif not found.needs_code:
        text = _(
            "'{model}' brings program code along, and none of it runs: the engine has this architecture itself."
        ).format(model=found.name)
    else:
        state = _("allowed") if found.code_allowed else _("not allowed")
        listing = [f"  {f.name}  {size_text(f.size)}  {f.sha256 or '?'}" for f in found.code_files]
        text = "\n".join([f"{found.name}: {state}  {found.code_fingerprint}", *listing])
    output(data, as_json, text)


@app.command(help=_("Say which known chat templates fit a model whose tokenizer has none, and choose one."))
def template(
    model: Annotated[str, typer.Argument(metavar="NAME", help=_("Name on the list."))],
    use: Annotated[str, typer.Option(metavar="TEMPLATE", help=_("Use this known template."))] = "",
    forget: Annotated[bool, typer.Option("--forget", help=_("Take the choice back."))] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help=_("Write the template back that a model made here was taught with."))
    ] = False,
    as_json: Json = False,
) -> None:
    workspace = open_workspace()
    if restore:
        contract.restore(catalog.find(workspace, model).path)
    found = catalog.choose_template(workspace, model, "" if forget else use) if use or forget else None
    found = found or catalog.find(workspace, model)
    fits = catalog.fitting_templates(found.path)
    data = {
        **{key: as_dict(found)[key] for key in ("name", "chat_template", "template_chosen", "template_fingerprint")},
        "known": [{"key": fit.template.key, "label": fit.template.label, "missing": fit.missing} for fit in fits],
    }
    if found.chat_template and not found.template_chosen:
        output(data, as_json, _("'{model}' has a chat template of its own.").format(model=found.name))
        return
    lines = [f"{found.name}: {found.template_chosen or _('no chat template')}"]
    lines += [
        f"  {fit.template.key:<12} {fit.template.label}  {' '.join(fit.missing) and _('lacks')} {' '.join(fit.missing)}".rstrip()
        for fit in fits
    ]
    output(data, as_json, "\n".join(lines))


@app.command(help=_("Download a model from a hub. It becomes a job, and the model is on the list when that is done."))
def download(
    repo: Annotated[str, typer.Argument(metavar="REPO", help=_("Repository on the hub, such as Qwen/Qwen3-0.6B."))],
    source: Annotated[Source, typer.Option("--from", help=_("The hub."))] = Source.huggingface,
    revision: Annotated[
        str, typer.Option(help=_("Branch, tag or commit; the hub's default where none is given."))
    ] = "",
    name: Annotated[str, typer.Option(help=_("Name on the list; the repository's name where none is given."))] = "",
    as_json: Json = False,
) -> None:
    row = _submit("download", {"source": source.value, "repo": repo, "revision": revision, "name": name})
    text = _("Job {job} downloads {repo}. Follow it with: python -m backend jobs watch {job}").format(
        job=row.id, repo=repo
    )
    output({"job": row.id, "repo": repo, "title": row.title, "state": row.state}, as_json, text)


@app.command(
    help=_("Write the pickled weights of a folder as safetensors, as a job that runs none of the code in them.")
)
def convert(
    path: Annotated[str, typer.Argument(help=_("Folder with config.json and weights such as pytorch_model.bin."))],
    name: Annotated[str, typer.Option(help=_("Name on the list; the folder's name where none is given."))] = "",
    as_json: Json = False,
) -> None:
    row = _submit("convert", {"path": str(Path(path).expanduser().absolute()), "name": name})
    text = _("Job {job} converts {folder}. Follow it with: python -m backend jobs watch {job}").format(
        job=row.id, folder=path
    )
    output({"job": row.id, "title": row.title, "state": row.state}, as_json, text)


def _submit(verb: str, spec: dict[str, Any]) -> JobRow:
    # The queue is loaded where a job is made; the other verbs need none of it.
    from backend.queue import watcher
    from backend.queue.store import open_store

    workspace = open_workspace()
    row = open_store(workspace).submit(verb, spec)
    watcher.ensure_running(workspace)
    return row


@app.command(help=_("Keep an access token for a hub, read from standard input; or forget it. It is never shown."))
def token(
    source: Annotated[Source, typer.Argument(metavar="HUB", help=_("The hub: huggingface or modelscope."))],
    forget: Annotated[bool, typer.Option("--forget", help=_("Delete the token that is kept."))] = False,
    as_json: Json = False,
) -> None:
    workspace, hub = open_workspace(), hubs.HUBS[source.value]
    # Never an argument: everybody on this machine sees those.
    if forget:
        hubs.save_token(workspace, source.value, "")
    elif sys.stdin.isatty():
        hubs.save_token(workspace, source.value, typer.prompt(_("Access token"), hide_input=True))
    else:
        given = sys.stdin.readline()
        if not given.strip():
            raise AccessError(
                "hub_token_none",
                N_("No access token came on standard input."),
                N_("Give it there, such as from a file: models token HUB < FILE. Or use --forget."),
            )
        hubs.save_token(workspace, source.value, given)
    file, kept = hubs.token_file(workspace, source.value), not forget
    text = _("The access token for {hub} is kept in {file}.") if kept else _("No access token for {hub} is kept.")
    data = {"hub": source.value, "kept": kept, "file": str(file)}
    output(data, as_json, text.format(hub=hub.title, file=file))


def _name_or_folder(workspace: Workspace, model: str) -> str:
    """A name on the list as it is; else a folder that exists, as an absolute path: a shell's people say ``.``"""
    if any(card.name == model for card in catalog.models(workspace)) or not os.path.lexists(model):
        return model
    return str(Path(model).absolute())


def _found_line(found: Found) -> str:
    mark = _("[on the list as {name}]").format(name=found.listed) if found.listed else ""
    return f"{line(found.card)}  {mark}".rstrip()


def _added(one: catalog.Added) -> dict[str, Any]:
    problem = one.problem.to_dict() | {"text": one.problem.localized()[0]} if one.problem else None
    return {"path": str(one.path), "name": one.card.name if one.card else "", "problem": problem}


def _what_goes(goes: Removal) -> str:
    lines = [
        _("{files} files, {size}, in {folder}").format(files=goes.files, size=size_text(goes.bytes), folder=goes.path)
    ]
    if goes.adapters:
        lines.append(_("Adapters that need this model: {names}").format(names=", ".join(goes.adapters)))
    if goes.others:
        lines.append(_("On the list under other names too: {names}").format(names=", ".join(goes.others)))
    return "\n".join(lines)


def _size(card: ModelCard) -> str:
    if card.parameters is None:
        return ""
    return f"{card.parameters / 1e9:.1f} B" if card.parameters >= 1e9 else f"{card.parameters / 1e6:.1f} M"
