"""What a model folder says of its tokens: tokenizer, chat template, special tokens; read without transformers.

``tokenizer.json`` alone is read, as transformers' fast tokenizers do; one in another format (``tokenizer.model``) is not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.catalog.files import LFS_MARK, pointer_file, read_optional, unreadable
from backend.catalog.template import TOKENIZER_FILES, template_texts
from backend.errors import ModelError
from backend.i18n import N_
from backend.workspace import Workspace

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that templates are given by these names (transformers 5.17, ``SPECIAL_TOKENS_ATTRIBUTES``)."""
FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "</s>", "<|END_OF_TURN_TOKEN|>", "<eos>")
"""Tokens that end an answer in well-known families, beside what the model itself says."""


@dataclass(frozen=True)
class TokenModel:
    """The tokens of one model.

    folder: where its tokenizer lies. templates: name -> Jinja. special: ``bos_token`` and the like -> text. specials:
    ids of tokens that are no text. ends: texts of tokens that end an answer. kind: the tokenizer's class, as its
    settings name it. fingerprint: 16 hex digits over all that decides how many tokens a row has.
    """

    folder: Path
    tokenizer: Tokenizer
    templates: dict[str, str]
    special: dict[str, str]
    specials: frozenset[int]
    ends: frozenset[str]
    kind: str
    fingerprint: str

    def template(self, *, tools: bool = False) -> str:
        """The chat template; for rows with tools the one that is meant for them, as transformers chooses.

        Raises:
            ModelError: ``tokens_no_template``.
        """
        if not self.templates:
            raise ModelError(
                "tokens_no_template",
                N_(
                    "The model in {folder} has no chat template, so nobody can say how a conversation becomes its text."
                ),
                N_("Choose a template for it on the Models page, or take another model."),
                folder=str(self.folder),
            )
        if tools and "tool_use" in self.templates:
            return self.templates["tool_use"]
        return self.templates.get("default") or next(iter(self.templates.values()))

    def text_of(self, token: int) -> str:
        """The text that stands for ``token`` in the vocabulary; empty for one that is not there."""
        return self.tokenizer.id_to_token(token) or ""


def open_listed(workspace: Workspace, name: str) -> TokenModel:
    """The tokens of the model called ``name`` (or in that folder), with the template that was chosen for it; of an adapter
    without a tokenizer those of its base.

    Raises:
        NotFoundError: ``model_unknown``. ModelError: as :func:`open_model`.
    """
    card = catalog.find(workspace, name)
    if card.problem is not None and not (card.path / "tokenizer.json").is_file():
        raise card.problem
    if card.adapter_of and not card.own_tokenizer and card.base is None:
        raise card.unfit or _no_tokenizer(card.path)
    holder = card.base if card.adapter_of and not card.own_tokenizer and card.base is not None else card
    chosen = catalog.chosen_template(workspace, holder.path) if holder.template_chosen else None
    return open_model(holder.path, chosen.template if chosen else "")


def open_model(folder: Path, template: str = "") -> TokenModel:
    """The tokens of the model in ``folder``; ``template`` is its chat template where its tokenizer has none.

    Raises:
        ModelError: ``tokens_no_tokenizer``, ``tokens_tokenizer_bad``; ``model_pointer``, ``model_config_bad`` or
            ``model_unreadable`` for a file that is not what it says.
    """
    stamps = tuple(_stamp(folder / name) for name in FILES)
    return _opened(folder, template, stamps)


# A large tokenizer takes a second to read and tens of MB to hold.
@lru_cache(maxsize=2)
def _opened(folder: Path, template: str, stamps: tuple[tuple[int, int], ...]) -> TokenModel:
    del stamps  # part of the key: a changed folder is read again
    raw = _tokenizer_json(folder)
    settings = {**read_optional(folder / "special_tokens_map.json"), **read_optional(folder / "tokenizer_config.json")}
    tokenizer = _tokenizer(folder, raw, settings)
    special = {name: text for name in NAMED if (text := _plain(settings.get(name)))}
    templates = template_texts(folder) or ({"default": template} if template else {})
    canonical = repr((sorted(templates.items()), sorted(special.items()), settings.get("added_tokens_decoder")))
    fingerprint = hashlib.sha256(raw + canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    specials = frozenset(n for n, token in tokenizer.get_added_tokens_decoder().items() if token.special)
    ends = {special.get("eos_token", ""), *ENDS, *_stops(folder, tokenizer)} - {""}
    kind = str(settings.get("tokenizer_class") or "")
    return TokenModel(folder, tokenizer, templates, special, specials, frozenset(ends), kind, fingerprint)


def _tokenizer_json(folder: Path) -> bytes:
    file = folder / "tokenizer.json"
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise _no_tokenizer(folder) from None
    except OSError as error:
        raise unreadable(file, error) from error
    if raw.startswith(LFS_MARK):
        raise pointer_file(file)
    return raw


def _no_tokenizer(folder: Path) -> ModelError:
    others = [name for name in TOKENIZER_FILES[1:] if (folder / name).is_file()]
    return ModelError(
        "tokens_no_tokenizer",
        N_("{folder} has no tokenizer.json, so its tokens cannot be counted here. Found instead: {others}."),
        N_("Copy tokenizer.json of the same model into the folder, or choose another model."),
        folder=str(folder),
        others=", ".join(others) or "–",
    )


def _tokenizer(folder: Path, raw: bytes, settings: dict[str, Any]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer

    try:
        tokenizer = Tokenizer.from_str(raw.decode("utf-8"))
    except Exception as error:
        raise ModelError(
            "tokens_tokenizer_bad",
            N_("{file} cannot be read as a tokenizer: {problem}"),
            N_("Copy the file of the same model again."),
            file=str(folder / "tokenizer.json"),
            problem=str(error)[:500],
        ) from error
    # As they are in the file; a row is never padded nor cut off by the tokenizer.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # transformers adds what the settings name and the file has not (TokenizersBackend.__init__).
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    decoder = settings.get("added_tokens_decoder")
    for _id, one in sorted(decoder.items(), key=lambda item: int(item[0])) if isinstance(decoder, dict) else ():
        if isinstance(one, dict) and one.get("content") and one["content"] not in known:
            flags = {name: bool(one.get(name)) for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
            tokenizer.add_tokens([AddedToken(one["content"], **flags)])
            known.add(one["content"])
    named = [text for name in NAMED if (text := _plain(settings.get(name))) and text not in known]
    if named:
        tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in named])
    return tokenizer


def _stops(folder: Path, tokenizer: Tokenizer) -> list[str]:
    found = read_optional(folder / "generation_config.json").get("eos_token_id")
    ids = found if isinstance(found, list) else [found]
    return [tokenizer.id_to_token(one) or "" for one in ids if isinstance(one, int) and one >= 0]


def _plain(token: Any) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
