"""The tutorial names what the pages show: each bold label is in the catalogue of its language, each picture is there and small."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from PIL import Image

from backend.course.lessons import STEPS
from scripts import tutorial

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {"en": ("tutorial.md", "en"), "zh": ("tutorial.zh.md", "zh_CN")}
EXPLAINED = {"Bold words", "加粗的字"}
"""How the tutorial says what its bold words are."""
MOST_BYTES, MOST_IN_ALL = 150_000, 3_000_000


def text(language: str) -> str:
    return (DOCS / PAGES[language][0]).read_text(encoding="utf-8")


@cache
def shown(catalogue: str) -> list[re.Pattern[str]]:
    """What the panel can show in that language, as patterns: what is filled in may be anything."""
    with (ROOT / "locale" / catalogue / "LC_MESSAGES" / "tunedeck.po").open("rb") as file:
        texts = [form for message in read_po(file) if message.id for form in forms(message.string)]
    return [re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(one))) for one in texts if one]


def forms(string: object) -> list[str]:
    return [string] if isinstance(string, str) else [str(one) for one in string] if isinstance(string, tuple) else []


def strange(page: str, catalogue: str) -> list[str]:
    """Bold words of ``page`` that no page of the panel shows."""
    labels = set(re.findall(r"\*\*(.+?)\*\*", page)) - EXPLAINED
    assert labels
    # A text that is nothing but what is filled in would fit any label.
    known = [one for one in shown(catalogue) if len(one.pattern.replace(".+", "")) > 1]
    return sorted(label for label in labels if not any(one.fullmatch(label) for one in known))


@pytest.mark.parametrize("language", PAGES)
def test_every_label_that_the_tutorial_quotes_is_one_of_the_panel(language: str) -> None:
    assert strange(text(language), PAGES[language][1]) == []


def test_a_label_that_no_page_shows_is_noticed() -> None:
    assert strange("Press **Open Chat with Robin**, then **Frobnicate it**.", "en") == ["Frobnicate it"]


@pytest.mark.parametrize("language", PAGES)
def test_the_tutorial_has_a_section_for_each_step_of_the_course(language: str) -> None:
    assert re.findall(r"^## (\d+)\. ", text(language), re.MULTILINE) == [str(n + 1) for n in range(len(STEPS))]


def test_the_english_sections_are_called_as_the_steps_are() -> None:
    assert re.findall(r"^## \d+\. (.+)$", text("en"), re.MULTILINE) == [step.title for step in STEPS]


@pytest.mark.parametrize("language", PAGES)
def test_the_tutorial_shows_every_picture_of_its_language(language: str) -> None:
    named = re.findall(r"\]\(images/tutorial/([\w-]+\.png)\)", text(language))
    assert set(named) == {f"{picture.file}-{language}.png" for picture in tutorial.PICTURES.values()}
    assert sorted(named) == sorted(path.name for path in tutorial.FOLDER.glob(f"*-{language}.png"))


def test_the_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in tutorial.FOLDER.iterdir()}
    assert {name for name, size in sizes.items() if size > MOST_BYTES} == set()
    assert sum(sizes.values()) < MOST_IN_ALL
    for name in sizes:
        with Image.open(tutorial.FOLDER / name) as picture:
            assert picture.width == tutorial.WINDOW["width"], name
