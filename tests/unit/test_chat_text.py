"""What a model writes is drawn as Markdown, and must load nothing from elsewhere."""

from __future__ import annotations

import re

import pytest

from ui.chat.text import safe

IMAGE = re.compile(r"!\[")


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://evil.test/a.png)",
        "text ![a][ref] more\n\n[ref]: http://evil.test/a.png",
        "![ref]\n\n[REF]: http://evil.test/a.png",
        "![ref][]\n\n> [ref]: http://evil.test/a.png",
        "[![x](http://evil.test/a.png)](http://evil.test)",
        "- ![a\nb](//evil.test/a)",
        "![a [nested] b](<http://evil.test/a b>)",
        "<div>\n```\n\n![x](http://evil.test/a.png)\n```",
        "$$\n```\n$$\n![x](http://evil.test/a.png)\n```",
        ":red[![x](data:image/svg+xml;base64,AAAA)]",
        "![a\\]b]\n\n[a\\]b]: http://evil.test/a.png",
        "![  The\n Ref ]\n\n[the ref]: http://evil.test/a.png",
    ],
)
def test_no_image_survives_in_any_form(text: str) -> None:
    assert not IMAGE.search(safe(text))
    assert safe(text).replace("\u200b", "") == text


@pytest.mark.parametrize(
    "text",
    [
        "Plain **bold** [link](http://example.test) text!",
        "```rust\nlet a = vec![1, 2, 3];\n#![allow(unused)]\n```",
        "Use `vec![0; n]` here.\n\nSee [docs](http://example.test).",
        "```python\nprint('```')\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
    ],
)
def test_what_cannot_load_anything_is_left_alone(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    "fence",
    [
        "```mermaid",
        "``` mermaid",
        "~~~MERMAID",
        "````mermaid-v2",
        "```&#109;ermaid",
        "```mer\\maid",
        "> - ```mermaid x",
    ],
)
def test_diagrams_whose_nodes_could_hold_images_become_plain_code(fence: str) -> None:
    drawn = safe(f'{fence}\nflowchart LR\nA@{{ img: "http://evil.test/a.png" }}\n```')
    assert "ermaid" not in drawn.replace("\\", "")
    assert "flowchart LR" in drawn
