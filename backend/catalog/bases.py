"""Which adapter belongs to which base model: by folder, by name on the list, or by the last part of either."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from backend.catalog.cards import ModelCard
from backend.catalog.entries import legal_name, models
from backend.workspace import Workspace


def adapters(workspace: Workspace, base: ModelCard) -> list[ModelCard]:
    """The adapters on the list that belong to ``base``, by name; broken ones too."""
    listed = models(workspace)
    bases = _Bases(listed)
    return [card for card in listed if (found := bases.of(card)) is not None and found.path == base.path]


def base_of(workspace: Workspace, adapter: ModelCard) -> ModelCard | None:
    """The model on the list that ``adapter`` belongs to; None where it is not on the list, or ``adapter`` is none."""
    return _Bases(models(workspace)).of(adapter)


class _Bases:
    """Whole models by what an adapter can call them. A folder is surer than a name, and a whole name surer than its
    last part: an adapter trained elsewhere names a folder of that machine (``/root/model/Meta-Llama-3-8B``), or a hub's
    name (``meta-llama/Meta-Llama-3-8B``)."""

    def __init__(self, listed: list[ModelCard]) -> None:
        whole = [card for card in reversed(listed) if not card.adapter_of]  # of two the first on the list counts
        self.by_folder = {_real(card.path): card for card in whole}
        self.by_last = {card.path.name.casefold(): card for card in whole}
        self.by_name = {card.name.casefold(): card for card in whole}

    def of(self, adapter: ModelCard) -> ModelCard | None:
        wanted = adapter.adapter_of
        if not wanted:
            return None
        folder = Path(wanted).expanduser() if wanted.startswith(("/", "~/")) else None
        last = PurePosixPath(wanted).name.casefold()
        return (
            (self.by_folder.get(_real(folder)) if folder else None)
            or self.by_name.get(wanted.casefold())
            or self.by_name.get(legal_name(wanted).casefold())
            or self.by_name.get(last)
            or self.by_last.get(last)
        )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path
