"""Documents are read as text with their structure: real files of every kind, and those that people should not have to explain."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data import documents
from backend.data.documents import limits, preview, uploads
from backend.data.documents.document import Block
from backend.errors import DataError
from backend.workspace import Workspace
from tests.support.documents import pdf, word

Told = list[tuple[int, str]]


def told(data: bytes, name: str) -> Told:
    """(level, text) of each block."""
    return [(block.level, block.text) for block in documents.read_bytes(data, name).blocks]


def refused(data: bytes, name: str) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        documents.read_bytes(data, name)
    return caught.value.code, str(caught.value)


# --- PDF


def test_a_pdf_has_paragraphs_with_their_pages_and_headings_from_its_bookmarks() -> None:
    first = [
        "1 Sowing",
        "",
        "Rice likes warmth. Sow it when the nights have be-",
        "come mild and the soil is warm enough.",
        "Done.",
    ]
    data = pdf([first, ["Seeds are soaked for two days."]], [("1 Sowing", 1)])
    found = documents.read_bytes(data, "rice.pdf")
    assert (found.kind, found.pages) == ("pdf", 2)
    assert found.blocks[0] == Block("1 Sowing", level=1, page=1)
    assert found.blocks[1].text.startswith("Rice likes warmth. Sow it when the nights have become mild and the soil")
    assert found.blocks[-1] == Block("Seeds are soaked for two days.", page=2)


def test_running_titles_and_page_numbers_are_no_part_of_the_text() -> None:
    pages = [["Handbook of rice", "", f"Sentence {'abc'[n]} stands here.", "", f"page {n + 1} of 3"] for n in range(3)]
    sentences = [(0, f"Sentence {letter} stands here.") for letter in "abc"]
    assert told(pdf(pages), "h.pdf") == sentences
    marked = pdf(pages, [("Handbook of rice", 1)])
    assert told(marked, "h.pdf") == [(1, "Handbook of rice"), *sentences], "where it is the heading, it stays"


def test_a_scanned_pdf_is_told_and_so_are_single_scanned_pages() -> None:
    code, message = refused(pdf([None, None]), "scan.pdf")
    assert code == "document_scanned"
    assert message == "'scan.pdf' was scanned: its pages (2) are pictures and hold no text."
    found = documents.read_bytes(pdf([["Some text."], None]), "half.pdf")
    assert [str(notice) for notice in found.notices] == [
        "1 of the 2 pages of 'half.pdf' are pictures without text and were left out: 2."
    ]


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_pdf_with_a_password_is_told_and_one_that_only_forbids_printing_is_read(algorithm: str) -> None:
    def locked(password: str) -> bytes:
        writer = pypdf.PdfWriter(pypdf.PdfReader(BytesIO(pdf([["Secret rice."]]))))
        writer.encrypt(password, "owner", algorithm=algorithm)
        written = BytesIO()
        writer.write(written)
        return written.getvalue()

    try:
        data = locked("pass")
    except pypdf.errors.DependencyError:
        pytest.skip("this pypdf has no AES")
    assert refused(data, "locked.pdf") == ("document_encrypted", "'locked.pdf' is protected by a password.")
    assert told(locked(""), "open.pdf") == [(0, "Secret rice.")]


def test_only_the_first_pages_are_read_for_a_preview() -> None:
    found = documents.read_bytes(pdf([[f"Page {n}."] for n in range(9)]), "long.pdf", most_pages=2)
    assert ([block.page for block in found.blocks], found.pages) == ([1, 2], 9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.binary(max_size=40))
def test_a_damaged_pdf_is_read_or_told_and_never_a_crash(at: int, junk: bytes) -> None:
    data = pdf([["Rice likes warmth.", "", "So do we."], ["The end."]], [("Rice", 1)])
    damaged = data[:at] + junk + data[at + len(junk) :]
    try:
        said = [block.text.strip() for block in documents.read_bytes(damaged, "x.pdf").blocks]
    except DataError as error:
        said = [error.code.removeprefix("document_")] if "'x.pdf'" in str(error) else []
    assert any(said)


# --- DOCX


def test_a_docx_has_its_headings_paragraphs_and_tables_in_order() -> None:
    data = word((0, "Rice"), "Warm.", (2, "Sowing"), [["kind", "days"], ["early", "90"]], "End.")
    assert told(data, "rice.docx") == [
        (1, "Rice"), (0, "Warm."), (2, "Sowing"), (0, "kind | days\nearly | 90"), (0, "End."),
    ]  # fmt: skip


def test_a_docx_that_unpacks_to_a_bomb_is_not_opened() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * (30 << 20))
    code, message = refused(packed.getvalue(), "bomb.docx")
    assert code == "document_zip_bomb"
    assert "unpacks to far more than a document holds" in message
    many = BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(limits.MAX_PARTS + 1):
            archive.writestr(f"{number}", b"")
    assert refused(many.getvalue(), "many.docx")[0] == "document_zip_bomb"


def test_what_is_no_word_document_is_told_by_what_it_is() -> None:
    sheet = BytesIO()
    with zipfile.ZipFile(sheet, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    assert refused(sheet.getvalue(), "a.docx")[1] == "'a.docx' is no document that can be read here (Excel)."
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert refused(old, "old.doc")[1] == "'old.doc' is no document that can be read here (Microsoft Office 97-2003)."
    assert refused(old + "EncryptedPackage".encode("utf-16-le"), "x.docx")[0] == "document_encrypted"
    assert refused(b"{\\rtf1 hello}", "a.rtf")[0] == "document_unknown"
    half = word("Rice " * 100)
    assert refused(half[: len(half) // 2], "half.docx")[0] == "document_broken"


@pytest.mark.parametrize("part", ["<not xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", ""])
def test_a_docx_with_damaged_xml_is_told(part: str) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(word("Rice."))) as old, zipfile.ZipFile(packed, "w") as new:
        for item in old.infolist():
            new.writestr(item, part if item.filename == "word/document.xml" else old.read(item))
    assert refused(packed.getvalue(), "x.docx")[0] == "document_broken"


# --- texts


def test_markdown_keeps_headings_tables_and_code_and_loses_its_marks() -> None:
    text = """---
title: front
---
Rice
====

It is **warm** and [wet](http://example.org), not `dry`. ![picture](a.png)

## Sowing ##

| a | b |
|---|---|
| 1 | 2 |

- one
- two

```python
# no heading
```
"""
    assert told(text.encode(), "rice.md") == [
        (1, "Rice"), (0, "It is warm and wet, not dry. picture"), (2, "Sowing"), (0, "| a | b |\n| 1 | 2 |"),
        (0, "- one\n- two"), (0, "# no heading"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("水稻喜温。适宜的温度是二十五度。", "gb18030"),
        ("水稻喜温。", "utf-8-sig"),
        ("水稻喜温。", "utf-16"),
        ("Größe, naïve café: señor", "utf-8"),
        ("A naïve reader wants a menu", "cp1252"),
    ],
)
def test_the_encoding_of_a_text_is_told_from_its_bytes(text: str, encoding: str) -> None:
    assert told(text.encode(encoding), "a.txt") == [(0, text)]


def test_a_text_has_paragraphs_between_blank_lines_or_on_its_lines_and_chapters() -> None:
    assert told(b"One\r\ntwo.\r\n\r\nThree.", "a.txt") == [(0, "One\ntwo."), (0, "Three.")]
    assert told("第一章 播种\n水稻喜温。\n要晒种。".encode(), "a.txt") == [
        (1, "第一章 播种"),
        (0, "水稻喜温。"),
        (0, "要晒种。"),
    ]


def test_html_keeps_what_a_reader_reads() -> None:
    page = b"""<!doctype html><html><head><title>x</title><style>p{}</style></head><body><header>Shop</header>
    <nav><a>Menu</a><script>alert(1)</script></nav><div hidden><p aria-hidden="true">no</p></div>
    <main><article><header><h1>Rice <em>and</em> water</h1></header><p>It likes   <b>warmth</b>.<br>Yes.</p><!-- no -->
    <ul><li>one<ul><li>two</li></ul></li></ul>
    <table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>
    </article></main><footer>Imprint</footer></body></html>"""
    assert told(page, "rice.html") == [
        (1, "Rice and water"), (0, "It likes warmth.\nYes."), (0, "one"), (0, "two"), (0, "a | b\n1 | 2"),
    ]  # fmt: skip
    chinese = '<html><head><meta charset="gbk"></head><body><p>水稻喜温。</p></body></html>'.encode("gbk")
    assert told(chinese, "a.htm") == [(0, "水稻喜温。")]
    strict = b'<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>Rice.</p></body></html>'
    assert told(strict, "a.xhtml") == [(0, "Rice.")]


def test_html_may_be_nested_deeper_than_any_stack() -> None:
    assert told(b"<html>" + b"<div>" * 5000 + b"deep" + b"</div>" * 5000, "deep.html") == [(0, "deep")]


def test_what_a_file_holds_counts_not_what_it_is_called() -> None:
    found = documents.read_bytes(pdf([["Rice."]]), "rice.txt")
    assert found.kind == "pdf"
    assert [str(n) for n in found.notices] == ["'rice.txt' is named like another kind of file; it was read as pdf."]
    assert documents.read_bytes(b"<!DOCTYPE html><p>Rice.", "rice.txt").kind == "html"


@pytest.mark.parametrize(("data", "code"), [(b"", "document_empty"), (b" \n ", "document_empty"), (b"<html></html>", "document_empty"),
                                            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "document_unknown"), (b"ab\0cd", "document_unknown")])  # fmt: skip
def test_what_holds_no_text_is_told(data: bytes, code: str) -> None:
    assert refused(data, "a.txt")[0] == code


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 3 << 20)
    monkeypatch.setattr(limits, "MAX_TEXT_CHARS", 1 << 20)
    monkeypatch.setattr(limits, "MAX_HTML_BYTES", 1 << 20)
    (tmp_path / "big.txt").write_bytes(b"a" * (4 << 20))
    with pytest.raises(DataError, match=r"'big.txt' has 4 MiB; a document may have at most 3 MiB"):
        documents.read(tmp_path / "big.txt")
    assert refused(b"word " * (1 << 18), "long.txt")[0] == "document_too_long"
    assert "may have at most 1 MiB" in refused(b"<html>" + b"word " * (1 << 18), "long.html")[1]


# --- files and folders


def test_a_folder_gives_its_documents_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("b.md", "sub/a.TXT", ".hidden.txt", "~$open.docx", "picture.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    (tmp_path / "in" / "link.txt").symlink_to("/etc/hostname")
    found = documents.gather([tmp_path / "in", tmp_path / "in" / "b.md"])
    assert [path.name for path in found] == ["b.md", "a.TXT"]
    with pytest.raises(DataError, match="There is no file"):
        documents.gather([tmp_path / "gone.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no document in"):
        documents.gather([tmp_path / "empty"])
    with pytest.raises(DataError, match="There is no file"):
        documents.read(tmp_path / "empty")


def test_a_long_document_is_only_begun_and_its_passages_are_estimated(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(
        "\n\n".join(f"Sentence number {n:06d} is of this length." for n in range(20_000))
    )
    look = preview.look(tmp_path / "long.txt", 1000, 0)
    exact = preview.look(tmp_path / "long.txt", 20_000, 0)
    assert (look.exact, len(look.chunks)) == (False, preview.SHOWN)
    assert 780 < look.count < 1000
    assert 38 < exact.count < 50
    (tmp_path / "b.txt").write_text("x" * (tmp_path / "long.txt").stat().st_size)
    count = preview.count([look], [tmp_path / "b.txt"])
    assert (count.chunks, count.exact) == (2 * look.count, False)
    gone = preview.look(tmp_path / "gone.txt", 1000, 0)
    assert gone.problem is not None
    assert preview.count([gone], []).chunks == 0


def test_an_upload_is_kept_by_its_content_and_swept_when_no_job_needs_it(workspace: Workspace) -> None:
    first = uploads.keep(workspace, "../../手册.pdf", b"one")
    assert (first.name, uploads.is_upload(workspace, first)) == ("手册.pdf", True)
    assert uploads.keep(workspace, "手册.pdf", b"one") == first
    other = uploads.keep(workspace, ".hidden", b"two")
    uploads.sweep(workspace, set())
    assert first.is_file(), "it is new: somebody may be choosing it"
    for path in (first, other):
        os.utime(path.parent, (0, 0))
    uploads.sweep(workspace, {str(first)})
    assert (first.is_file(), other.exists()) == (True, False)
