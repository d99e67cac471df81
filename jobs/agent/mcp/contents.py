"""The result of a server's tool: its text, and its pictures, sounds and resources as files of the conversation."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mcp_types as types

MOST_FILES, MOST_FILE_BYTES = 20, 20 << 20
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
}


def taken_in(result: types.CallToolResult, folder: Path, name: str) -> tuple[str, tuple[Path, ...]]:
    """The text for the model and the files that were written. name: of the tool, for files without one."""
    parts: list[str] = []
    files: list[Path] = []
    for block in result.content:
        if isinstance(block, types.TextContent):
            parts.append(block.text)
        elif isinstance(block, types.ResourceLink):
            parts.append(f"[{block.name[:200]}: {block.uri[:500]}]")
        else:
            parts.append(_kept(block, folder, name, files))
    structured = _structured(result.structured_content, parts)
    return "\n".join([*parts, *structured]), tuple(files)


def _structured(content: Any, parts: list[str]) -> list[str]:
    """As JSON, where the text does not say the same: servers send both for clients that know one of them."""
    if content is None:
        return []
    for text in ("\n".join(parts), *parts):
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = text
        if content in (said, {"result": said}, {"result": text}):
            return []
    return [json.dumps(content, ensure_ascii=False)]


def _kept(
    block: types.ImageContent | types.AudioContent | types.EmbeddedResource,
    folder: Path,
    name: str,
    files: list[Path],
) -> str:
    """Write the block's data; the line that stands for it in the text."""
    source: Any = block
    if isinstance(block, types.EmbeddedResource):
        source = block.resource
        wanted = _UNFIT.sub("_", unquote(urlsplit(source.uri[:2000]).path).rpartition("/")[2])
        kind, told = source.mime_type or "", source.uri[:200]
    else:
        wanted, kind, told = "", block.mime_type, block.type
    text = source.text if isinstance(source, types.TextResourceContents) else None
    coded = source.blob if isinstance(source, types.BlobResourceContents) else getattr(source, "data", "")
    if len(files) >= MOST_FILES or (len(coded) * 3 // 4 if text is None else len(text)) > MOST_FILE_BYTES:
        return f"[{told}: left out, because it is too large or there are too many files]"
    try:
        data = base64.b64decode(coded, validate=True) if text is None else text.encode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return f"[{told}: left out, because its data are damaged]"
    stem, suffix = _parts(wanted, kind, name)
    path = _write(folder, stem, suffix, data)
    files.append(path)
    line = f"[{told}: written to the file {path.name}, {len(data):,} bytes]"
    return line if text is None else f"{line}\n{text}"


def _parts(wanted: str, kind: str, name: str) -> tuple[str, str]:
    """Stem and suffix of a file's name: nothing that a shell, a browser or a folder takes in another sense."""
    stem, dot, suffix = wanted.strip("._-")[-80:].rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    known = _SUFFIXES.get(kind.partition(";")[0].strip().lower(), "")
    return stem.strip("._-")[:60] or name[:60], f".{suffix[:10].lower()}" if suffix else known or ".bin"


def _write(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
        try:
            # "x" takes neither a file that is there nor a link that points elsewhere.
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return path
