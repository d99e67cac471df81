"""Keep the catalogues in `locale/` equal to the sources: `make translate` updates them, `--check` only tells.

    locale/tunedeck.pot                       every text of app.py, ui/, pages/, backend/ and jobs/
    locale/<code>/LC_MESSAGES/tunedeck.po     its translation; what is new there waits with an empty text
    locale/<code>/LC_MESSAGES/tunedeck.mo     the same, compiled; committed, so that a fresh clone speaks both languages

English entries are filled with the source text, and may be polished in the catalogue without touching the code.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import string
import sys
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "zh_CN")
ROOMS = ("app.py", "ui", "pages", "backend", "jobs")
KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "N_": None, "ngettext": (1, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when something is amiss")
    if not parser.parse_args().check:
        update(ROOT)
    found = problems(ROOT)
    print("\n".join(found) or f"{len(extract(ROOT))} texts, complete in {' and '.join(LANGUAGES)}.")
    return 1 if found else 0


def sources(root: Path) -> Iterator[Path]:
    """The Python files whose texts people read."""
    for room in ROOMS:
        path = root / room
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def extract(root: Path) -> Catalog:
    """Every marked text below ``root``, with the files it stands in."""
    template = Catalog(project="TuneDeck", charset="utf-8")
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        for line, message, comments, context in extract_from_file("python", path, KEYWORDS, ("Translators:",)):
            if message and message != ("", ""):
                template.add(message, None, [(name, line)], auto_comments=comments, context=context)
        for line, message in formatted(path):
            template.add(message, None, [(name, line)])
    return template


def formatted(path: Path) -> Iterator[tuple[int, str | tuple[str, ...]]]:
    """Texts inside f-strings, with their lines: to the collector, before Python 3.12, an f-string is one opaque piece."""
    for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for node in ast.walk(outer) if isinstance(outer, ast.JoinedStr) else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
                arguments = node.args[: len(KEYWORDS[node.func.id] or (1,))]
                said = tuple(a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str))
                if said and len(said) == len(arguments):
                    yield node.lineno, said if len(said) > 1 else said[0]


def files(root: Path, language: str) -> tuple[Path, Path]:
    """Source and compiled catalogue of ``language``."""
    folder = root / "locale" / language / "LC_MESSAGES"
    return folder / "tunedeck.po", folder / "tunedeck.mo"


def read(path: Path, language: str | None = None) -> Catalog:
    """The catalogue in ``path``; an empty one where there is none yet."""
    if not path.exists():
        return Catalog(locale=language, project="TuneDeck", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def text(catalogue: Catalog) -> bytes:
    """``catalogue`` as a .po file, by file and text: no line numbers, dates or orders that change by themselves."""
    ordered = Catalog(locale=catalogue.locale, charset="utf-8")
    for where, message in sorted((({file for file, _ in m.locations}, m) for m in catalogue if m.id), key=order):
        ordered.add(
            message.id, message.string, [(file, 1) for file in sorted(where)], message.flags, message.auto_comments
        )
    buffer = io.BytesIO()
    write_po(buffer, ordered, width=120, include_lineno=False, omit_header=True)
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    if catalogue.locale:
        header += f'"Language: {catalogue.locale_identifier}\\n"\n"Plural-Forms: {catalogue.plural_forms}\\n"\n'
    return f"{header}\n".encode() + buffer.getvalue()


def order(row: tuple[set[str], Message]) -> tuple[list[str], str]:
    return sorted(row[0]), name(row[1].id)


def compiled(catalogue: Catalog) -> bytes:
    """``catalogue`` as gettext reads it."""
    # The header holds dates, "now" where the source has none: the same source must give the same bytes tomorrow.
    catalogue.creation_date = catalogue.revision_date = datetime(2000, 1, 1, tzinfo=UTC)
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def update(root: Path) -> None:
    """Bring the template, both .po and both .mo files below ``root`` to what the sources say."""
    template = extract(root)
    (root / "locale").mkdir(exist_ok=True)
    (root / "locale" / "tunedeck.pot").write_bytes(text(template))
    for language in LANGUAGES:
        po, mo = files(root, language)
        catalogue = read(po, language)
        # A copy: the catalogue takes over the template's very messages. No guesses from similar texts: a gap is seen.
        catalogue.update(deepcopy(template), no_fuzzy_matching=True)
        if language == "en":
            for message in catalogue:
                if message.id and not all(forms(message)):
                    message.string = message.id
        po.parent.mkdir(parents=True, exist_ok=True)
        po.write_bytes(text(catalogue))
        mo.write_bytes(compiled(read(po, language)))


def problems(root: Path) -> list[str]:
    """What is missing, stale or wrong in the catalogues below ``root``, one line each; empty when all is well."""
    template = extract(root)
    found = [line for path in sources(root) for line in unreadable(path, root)]
    pot = root / "locale" / "tunedeck.pot"
    if not pot.exists() or pot.read_bytes() != text(template):
        found.append("locale/tunedeck.pot is not what the sources say: run make translate")
    wanted = {message.id for message in template if message.id}
    for language in LANGUAGES:
        po, mo = files(root, language)
        catalogue = read(po, language)
        have = {message.id for message in catalogue if message.id}
        found += [f"{language}: not in the catalogue: {name(id_)}" for id_ in sorted(wanted - have, key=name)]
        found += [f"{language}: no longer in the sources: {name(id_)}" for id_ in sorted(have - wanted, key=name)]
        found += [f"{language}: {line}" for message in catalogue if message.id for line in faults(message)]
        if not po.exists() or po.read_bytes() != text(catalogue):
            found.append(f"{language}: tunedeck.po is not as make translate writes it")
        if not mo.exists() or mo.read_bytes() != compiled(catalogue):
            found.append(f"{language}: tunedeck.mo is not what tunedeck.po says: run make translate")
    return found


def unreadable(path: Path, root: Path) -> Iterator[str]:
    """Calls whose text is put together inside the call: the collector would see its pieces as one text, or none."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
            for argument in node.args[: len(KEYWORDS[node.func.id] or (1,))]:
                # Strings inside a further call, such as get("key"), are not collected.
                inner = {id(n) for call in ast.walk(argument) if isinstance(call, ast.Call) for n in ast.walk(call)}
                pieces = [n for n in ast.walk(argument) if isinstance(n, ast.Constant) and id(n) not in inner]
                if not isinstance(argument, ast.Constant) and any(isinstance(n.value, str) and n.value for n in pieces):
                    yield f"{path.relative_to(root)}:{node.lineno}: a text must stand in the call as it is"


def faults(message: Message) -> Iterator[str]:
    """What is wrong with one translation."""
    label = name(message.id)
    texts = forms(message)
    if not all(texts):
        yield f"not translated: {label}"
        return
    if message.fuzzy:
        yield f"marked as a guess: {label}"
    ids = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
    # "one job" may leave out the number that "{n} jobs" shows.
    allowed = set().union(*(places(each) for each in ids))
    needed = set.intersection(*(places(each) for each in ids)) if len(texts) > 1 else places(ids[-1])
    for each in texts:
        if not needed <= places(each) <= allowed:
            yield f"has other places in braces: {label} -> {each}"
        if each.strip() != each and ids[0].strip() == ids[0]:
            yield f"begins or ends with a blank: {label}"


def forms(message: Message) -> list[str]:
    """The translated texts of ``message``: one, or one per plural form."""
    return (
        [each or "" for each in message.string] if isinstance(message.string, (list, tuple)) else [message.string or ""]
    )


def places(template: str) -> set[str]:
    """Names in braces of a ``str.format`` template; a text that is no template counts what looks like one."""
    try:
        return {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError:
        return set(re.findall(r"{(\w*)}", template))


def name(id_: str | tuple[str, ...] | list[str]) -> str:
    """A text by its singular, to sort and to print."""
    return id_ if isinstance(id_, str) else id_[0]


if __name__ == "__main__":
    sys.exit(main())
