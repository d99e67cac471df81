"""Write the tree in README.md, one comment per file, from the files' own docstrings: `python scripts/tree.py [--check]`."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- tree: written by scripts/tree.py -->\n", "<!-- end of tree -->"
SKIPPED = {"__pycache__", "__init__.py"}

NOTES = {
    "app.py": "",
    "ui": "",
    "ui/static": "logo, and the fonts of both languages, cut to the characters that are used",
    "pages": "one script per page: read, draw, submit",
    "backend": "",
    "jobs": "",
    "jobs/starter/data": "small tables of facts, in both languages",
    "jobs/shims": "the few files that run inside an engine's own environment",
    "jobs/shims/patches": "small modules that mend an engine without touching it, put on its path",
    "jobs/shims/patches/torch_cpu_bf16": "XTuner asks torch.cpu for a function that it lacks",
    "jobs/shims/patches/torchvision_stub": "XTuner imports a constant of torchvision, which has no CPU build",
    "tests/data": "measurements that others have published, with their sources, and the shapes of their models",
    "models": "the models that are shipped, see docs/starter-model.md",
    "locale": "texts in English and Simplified Chinese (make translate)",
    "scripts": "",
    "tests": "real processes, real SQLite, a real browser, a real tiny model",
    "tests/unit": "one module at a time",
    "tests/pages": "pages without a browser (Streamlit's AppTest)",
    "tests/jobs": "jobs and servers as real processes",
    "tests/engines": "engines in their own environments, really installed (make test-engines)",
    "tests/e2e": "the panel in a real browser",
    "tests/gpu": "what needs an NVIDIA GPU; skipped elsewhere",
    "tests/bench": "speed and memory as ratios (make bench)",
    "tests/support": "what several tests share",
    "docs": "operations, troubleshooting, benchmarks, decisions",
    "docs/decisions": "why it is built this way, one page each",
    "docs/images": "screenshots (scripts/screenshot.py)",
    ".streamlit/config.toml": "theme, light and dark; server options",
    ".ci/run": "what has to pass before a change is taken over",
    ".pre-commit-config.yaml": "the same checks before a commit",
    "Makefile": "setup, run, test, check, bench, translate",
    "pyproject.toml": "linter, layers, types, tests",
    "requirements.txt": "what the panel and the jobs need, pinned",
    "requirements-dev.txt": "what tests and checks need",
    "constraints.txt": "the exact version of everything these bring along (make lock)",
    "README.md": "this page",
    "CHANGELOG.md": "what changed",
}
"""What has no docstring; an empty note means: the docstring of the file, or of the folder's ``__init__.py``."""

CLOSED = {"ui/static", "models", "locale", "jobs/starter/data", "docs/images"}
"""Folders that are shown as one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when the tree is not true")
    check = parser.parse_args().check
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = with_tree(old, ROOT)
    missing = [name for name, note in rows(ROOT) if not note]
    for name in missing:
        print(f"{name} has no docstring, so the tree in README.md cannot say what it is")
    if check and new != old:
        print("The tree in README.md is not true any more: run python scripts/tree.py")
    if not check:
        readme.write_text(new, encoding="utf-8")
    return 1 if missing or (check and new != old) else 0


def with_tree(readme: str, root: Path) -> str:
    """``readme`` with the tree of ``root`` between its two marks."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}```\n{drawing(root)}```\n{END}{after}"


def drawing(root: Path) -> str:
    """The tree as text: two blanks a level, the comments of one folder in one column."""
    lines = []
    listed = list(rows(root))
    width = {
        parent: max(len(label(name, root)) for name, _ in listed if parent_of(name) == parent)
        for parent in {parent_of(name) for name, _ in listed}
    }
    for name, note in listed:
        indent = "" if name.startswith(".") else "  " * name.count("/")
        lines.append(f"{indent}{label(name, root):<{width[parent_of(name)]}}  {note}".rstrip())
    return "\n".join(lines) + "\n"


def rows(root: Path) -> Iterator[tuple[str, str]]:
    """(path, comment) of every file and folder of the tree, in its order; the comment is empty where none can be found."""
    for name in NOTES:
        path = root / name
        if path.exists() and ("/" not in name or name.startswith(".")):
            yield from below(path, root)


def below(path: Path, root: Path) -> Iterator[tuple[str, str]]:
    name = path.relative_to(root).as_posix()
    yield name, NOTES.get(name) or summary(path)
    if path.is_dir() and name not in CLOSED:
        folders = [p for p in path.iterdir() if p.is_dir() and p.name not in SKIPPED and holds_sources(p, root)]
        files = [p for p in path.iterdir() if p.suffix in (".py", ".md", ".sh") and p.name not in SKIPPED]
        for each in [*sorted(files), *sorted(folders)]:
            yield from below(each, root)


def holds_sources(folder: Path, root: Path) -> bool:
    if folder.relative_to(root).as_posix() in CLOSED:
        return True
    return any(p.suffix in (".py", ".md", ".toml") and "__pycache__" not in p.parts for p in folder.rglob("*"))


def summary(path: Path) -> str:
    """The first sentence of what ``path`` says about itself; empty where it says nothing."""
    if path.is_dir():
        path = path / "__init__.py"
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
    elif path.suffix == ".sh":
        text = " ".join(line[2:] for line in text.splitlines()[1:] if line.startswith("# "))
    elif path.suffix == ".md":
        text = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")
    first = " ".join(text.split("\n\n")[0].split())
    first = re.split(r"(?<=[^.])\. (?=[A-Z`(])", first)[0].rstrip(".")
    return re.sub(r":\w+:`~?([\w.]+)`", r"\1", first).replace("``", "").replace("`", "")


def parent_of(name: str) -> str:
    # A file shown at the top although it lies in a folder (.ci/run) belongs to the top's column.
    return name.rpartition("/")[0] if not name.startswith(".") else ""


def label(name: str, root: Path) -> str:
    shown = name if name.startswith(".") else name.rpartition("/")[2]
    return f"{shown}/" if (root / name).is_dir() else shown


if __name__ == "__main__":
    sys.exit(main())
