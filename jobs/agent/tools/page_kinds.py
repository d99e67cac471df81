"""What a web server sent, as text: told by its declared type, decoded as browsers do."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

import httpx

from backend.data.documents import plain
from backend.errors import DataError
from jobs.agent.tools import page_html, page_pdf, page_refusals
from jobs.agent.tools.fetching import Reply

HTML = ("text/html", "application/xhtml+xml")
TEXT = ("text/plain", "text/markdown", "text/x-markdown")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_META_BYTES = 4096
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def read(reply: Reply, url: httpx.URL, stopped: Callable[[], bool]) -> str:
    """The text of ``reply``.

    Raises:
        PanelError: ``web_page_type``, ``web_page_empty``, ``web_page_pdf``, or those of documents.
    """
    address, declared = str(url)[:300], reply.headers.get("content-type", "")
    kind = declared.partition(";")[0].strip().lower() or _sniffed(reply.body)
    if kind == "application/pdf":
        return page_pdf.text(reply.body, url.path.rpartition("/")[2][-80:] or "page.pdf", stopped)
    if kind in HTML:
        found = page_html.text(decoded(reply.body, declared, meta=True), str(url))
    elif kind in TEXT or kind == "application/json" or kind.endswith("+json"):
        found = decoded(reply.body, declared, meta=False)
        if len(_BINARY.findall(found[:10_000])) > 0:
            raise page_refusals.kind(address, f"{kind}, binary")
    else:
        raise page_refusals.kind(address, kind)
    if not found.strip():
        raise page_refusals.empty(address)
    return found


def decoded(data: bytes, declared: str, *, meta: bool) -> str:
    """``data`` as text, by its mark, the header ``declared``, the page's own word (``meta``), or its bytes, in this order. A
    declaration that does not fit the bytes is not believed."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    header = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", declared, re.IGNORECASE)
    own = _META.search(data[:_META_BYTES]) if meta else None
    told = [marked, header[1] if header else None, own[1].decode("ascii", "replace") if own else None]
    known = [name for each in told if each and (name := _codec(each))]
    for name in (*known, "utf-8"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    try:
        return plain.decoded("page", data)
    except DataError:
        return data.decode(known[0] if known else "utf-8", errors="replace")


def _codec(name: str) -> str | None:
    """Python's codec for a name of the web, where labels of the small old sets mean the large ones."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding:
        return None  # "hex" and "zlib" are codecs, too
    wider = {
        "gb2312": "gb18030",
        "gbk": "gb18030",
        "iso8859-1": "cp1252",
        "ascii": "cp1252",
        "euc_kr": "cp949",
        "shift_jis": "cp932",
    }
    return wider.get(found.name, found.name)


def _sniffed(data: bytes) -> str:
    start = data[:1024].lstrip().lower()
    if b"%pdf-" in start:
        return "application/pdf"
    return "text/html" if start.startswith((b"<!doctype html", b"<html")) else "text/plain"
