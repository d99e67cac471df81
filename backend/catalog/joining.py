"""An adapter and its base put together: which model on the list is the base, whether the two fit, and what they are as one.

An adapter trained elsewhere names a folder of that machine (``/root/model/Meta-Llama-3-8B``), or a hub's name
(``meta-llama/Meta-Llama-3-8B``). A folder is surer than a name on the list, and a whole name surer than its last part.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from backend.catalog.cards import ModelCard
from backend.catalog.files import read_object
from backend.catalog.fitting import misfit
from backend.catalog.names import legal_name
from backend.catalog.template import read_template
from backend.errors import ModelError, PanelError
from backend.i18n import N_

_joined: dict[tuple[str, str], tuple[ModelCard, tuple[ModelCard, ...], ModelCard]] = {}
"""(path, name) -> the adapter's card, those of its possible bases, and what came of them: headers are read once."""


class Bases:
    """The whole models of a list, by what an adapter can call them."""

    def __init__(self, listed: Iterable[ModelCard]) -> None:
        self._whole = [card for card in listed if not card.adapter_of]
        self._by_path = {str(card.path): card for card in reversed(self._whole)}  # of two the first on the list counts
        self._by_real: dict[Path, ModelCard] | None = None
        self._by_name: dict[str, list[ModelCard]] = {}
        self._by_last: dict[str, list[ModelCard]] = {}
        for card in self._whole:
            self._by_name.setdefault(card.name.casefold(), []).append(card)
            self._by_last.setdefault(card.path.name.casefold(), []).append(card)

    def of(self, adapter: ModelCard) -> list[ModelCard]:
        """The models that ``adapter`` can mean: none, one, or several different folders of which nothing tells the right
        one; the first on the list first."""
        wanted = adapter.adapter_of
        if not wanted or wanted == "?":
            return []
        last = PurePosixPath(wanted).name.casefold()
        found = (
            self._in_folder(wanted)
            or self._by_name.get(wanted.casefold(), [])[:1]
            or self._by_name.get(legal_name(wanted).casefold(), [])[:1]
            or self._by_name.get(last, [])[:1]
            or self._by_last.get(last, [])
        )
        return found if len(found) < 2 else list({_real(card.path): card for card in reversed(found)}.values())[::-1]

    def _in_folder(self, wanted: str) -> list[ModelCard]:
        if not wanted.startswith(("/", "~/")):
            return []
        folder = Path(wanted).expanduser()
        found = self._by_path.get(str(folder))
        if found is None and os.path.lexists(folder):  # else no link can lead there, and none has to be followed
            if self._by_real is None:
                self._by_real = {_real(card.path): card for card in reversed(self._whole)}
            found = self._by_real.get(_real(folder))
        return [found] if found else []


def join_all(cards: list[ModelCard]) -> list[ModelCard]:
    """``cards``, a whole list of models, its adapters with their bases."""
    if not any(card.adapter_of for card in cards):
        return cards
    bases = Bases(cards)
    return [join(card, bases.of(card)) if card.adapter_of else card for card in cards]


def join(adapter: ModelCard, candidates: Sequence[ModelCard]) -> ModelCard:
    """``adapter`` with ``base`` set where ``candidates`` is one model that it fits, else with ``unfit``: why not."""
    if adapter.problem is not None:
        return adapter
    key, bases = (str(adapter.path), adapter.name), tuple(candidates)
    known = _joined.get(key)
    # They stay the same objects for as long as their folders do not change.
    if known is None or known[0] is not adapter or [*map(id, known[1])] != [*map(id, bases)]:
        known = _joined[key] = (adapter, bases, _put_together(adapter, bases))
    return known[2]


def base_missing(adapter: ModelCard) -> ModelError:
    """The base of ``adapter`` is not on the list."""
    if adapter.adapter_of == "?":
        return ModelError(
            "adapter_base_unknown",
            N_("'{model}' is an adapter that does not say which model it was trained on."),
            N_("Write that model's name or folder as base_model_name_or_path into {file}."),
            model=adapter.name,
            file=str(adapter.path / "adapter_config.json"),
        )
    return ModelError(
        "adapter_base_missing",
        N_("'{model}' is an adapter of {base}, and that model is not on the list."),
        N_("Put its base on the list on the Models page, under the name {name}; then it can be used."),
        model=adapter.name,
        base=adapter.adapter_of,
        name=legal_name(PurePosixPath(adapter.adapter_of).name),
    )


def template_changed(card: ModelCard) -> ModelError | None:
    """Why a model that was made here must not be asked: with another chat template, other special tokens or ends than it was
    taught with. None where they are the same, or nobody wrote down what they were."""
    taught, now = card.lineage.template if card.lineage else "", card.served.template_fingerprint
    if not taught or taught == now or card.problem is not None:
        return None
    if card.base is not None and not (card.own_tokenizer and card.chat_template):
        return ModelError(
            "template_of_base_changed",
            N_(
                "'{model}' was taught with another chat template ({was}) than its base '{base}' has now ({now}); its answers "
                "would be worse, and nothing would tell why."
            ),
            N_(
                "Put the tokenizer's files of '{base}' back, or the template that was chosen for it on the Models page; or "
                "teach it again."
            ),
            model=card.name,
            base=card.base.name,
            was=taught,
            now=now or "–",
        )
    return ModelError(
        "template_not_as_taught",
        N_(
            "'{model}' was taught with another chat template, other special tokens or ends ({was}) than its folder says now "
            "({now}); its answers would be worse, and nothing would tell why."
        ),
        N_("Put back what it was taught with: python -m backend models template {model} --restore"),
        model=card.name,
        was=taught,
        now=now or "–",
    )


def _put_together(adapter: ModelCard, bases: Sequence[ModelCard]) -> ModelCard:
    if not bases:
        return replace(adapter, base=None, unfit=base_missing(adapter))
    if len(bases) > 1:
        return replace(adapter, base=None, unfit=_ambiguous(adapter, bases))
    base = bases[0]
    try:
        unfit: PanelError | None = misfit(adapter, base)
        adapter = _with_template(adapter, base)
        unfit = unfit or template_changed(replace(adapter, base=base))
    except ModelError as error:
        unfit = error
    except OSError:
        unfit = base_missing(adapter)  # gone under our hands: the next look says more
    return replace(adapter, base=base, unfit=unfit)


def _with_template(adapter: ModelCard, base: ModelCard) -> ModelCard:
    """Its own template as it is on top of ``base``: the answers end as the base says, the architecture parses tool calls."""
    if not adapter.own_tokenizer:
        return adapter
    own = read_template(adapter.path, read_object(base.path / "config.json"), base.path)
    return replace(
        adapter,
        chat_template=own.present,
        templates=own.names,
        template_fingerprint=own.fingerprint,
        tools=own.tools,
    )


def _ambiguous(adapter: ModelCard, bases: Sequence[ModelCard]) -> ModelError:
    return ModelError(
        "adapter_base_ambiguous",
        N_("'{model}' is an adapter of {base}, and {count} models on the list could be that: {names}."),
        N_("Give the right one the name {name} on the list: add its folder once more under that name."),
        model=adapter.name,
        base=adapter.adapter_of,
        count=len(bases),
        names=", ".join(card.name for card in bases[:5]),
        name=legal_name(PurePosixPath(adapter.adapter_of).name),
    )


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path
