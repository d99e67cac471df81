"""What the documents promise is there: links, commands, settings, error codes, versions, the tree."""

from __future__ import annotations

import ast
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
import typer.main

from backend import cli, errors
from backend.settings import Settings
from scripts import tree, troubleshooting
from tests.unit.test_requirements import pins

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ERRORS = {
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.PanelError)
}


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_tree_in_the_readme_is_true_and_says_what_every_file_is() -> None:
    assert [name for name, note in tree.rows(ROOT) if not note] == []
    assert tree.with_tree(text(ROOT / "README.md"), ROOT) == text(ROOT / "README.md")


def test_a_new_file_makes_the_tree_untrue(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "__init__.py").write_text('"""What can be tested. More."""\n')
    readme = f"# T\n{tree.BEGIN}{tree.END}\nEnd\n"
    first = tree.with_tree(readme, tmp_path)
    assert "backend/  What can be tested\n" in first
    assert tree.with_tree(first, tmp_path) == first
    (tmp_path / "backend" / "new.py").write_text('"""Something new: ``this``."""\n')
    assert "  new.py  Something new: this\n" in tree.with_tree(first, tmp_path)
    assert first.endswith("\nEnd\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text(page)):
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = [re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in titles(goal)]
            assert anchor in headings, f"{page.name} links to {target}"


def titles(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_make_command_in_the_documents_exists(page: Path) -> None:
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text(page), re.MULTILINE))
    assert named <= makefile_targets()


def test_make_alone_lists_its_targets() -> None:
    result = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for target in ("setup", "run", "test", "check", "bench", "translate", "token"):
        assert f"  make {target} " in result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_line_in_the_documents_exists(page: Path) -> None:
    root = typer.main.get_command(cli.build())
    for noun, verb in re.findall(r"python -m backend ([a-z]+)(?: ([a-z]+))?", text(page)):
        commands = root.commands  # type: ignore[attr-defined]
        assert noun in commands, f"{page.name}: backend {noun}"
        if verb and hasattr(commands[noun], "commands"):
            assert verb in commands[noun].commands, f"{page.name}: backend {noun} {verb}"


def test_every_setting_is_described() -> None:
    described = set(re.findall(r"^\| `TUNEDECK_(\w+)` \|", text(ROOT / "docs/operations.md"), re.MULTILINE))
    assert described == {name.upper() for name in Settings.model_fields} | {"WORKSPACE"}


def codes(path: Path) -> Iterator[str]:
    """The codes of the errors that ``path`` makes; a code chosen in the call counts with all its choices."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in ERRORS and node.args:
            first = node.args[0]
            if isinstance(first, ast.Call):
                continue  # read back from what was stored
            # Of "a if x == 'b' else 'c'" the condition is no code.
            chosen = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            yield from (n.value for n in chosen if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_every_error_that_a_person_can_meet_is_in_troubleshooting() -> None:
    sources = [
        ROOT / "app.py",
        *(p for room in ("ui", "pages", "backend", "jobs") for p in (ROOT / room).rglob("*.py")),
    ]
    made = {code: path.relative_to(ROOT) for path in sources for code in codes(path)}
    assert len(made) > 50
    # The table of what logs say has codes of its own, which are no errors.
    known = set(re.findall(r"`([a-z0-9_]+)`", troubleshooting.by_hand(text(ROOT / "docs/troubleshooting.md"))))
    assert {code: str(path) for code, path in made.items() if code not in known} == {}


def test_every_dependency_has_a_reason_and_its_true_version() -> None:
    page = text(ROOT / "docs/decisions/0005-dependencies.md")
    rows = dict(re.findall(r"^\| ([\w-]+) \| ([\d.]+) \|", page, re.MULTILINE))
    assert {name.replace("_", "-"): version for name, version in rows.items()} == pins("requirements.txt")
    tools = dict(re.findall(r"([a-z][\w-]+) (\d[\d.]*\d)", page.split("For tests and checks:")[1].split("\n\n")[0]))
    assert tools == pins("requirements-dev.txt")


def test_the_backup_command_copies_a_database_in_use(tmp_path: Path) -> None:
    line = next(x for x in text(ROOT / "docs/operations.md").splitlines() if ".backup(" in x)
    source, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    with sqlite3.connect(source) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE said (words)")
        db.execute("INSERT INTO said VALUES ('hello')")
        db.commit()
        program = shlex.split(line)[2]
        subprocess.run([sys.executable, "-c", program, str(source), str(copy)], check=True)
    db.close()
    db = sqlite3.connect(copy)
    assert db.execute("SELECT words FROM said").fetchall() == [("hello",)]
    db.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_document_names_somebodys_machine(page: Path) -> None:
    assert re.search(r"/(?:work|home/\w+|root|tmp/\w)", text(page)) is None
