"""Data in a text that is read as Markdown: it stays what it is, whatever it looks like."""

from __future__ import annotations

import re

import pytest

from ui.errors import WORD_JOINER, plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a *b* _c_ [d](e) `f` #g ~h~ $i$ |j| <k>", r"a \*b\* \_c\_ \[d\](e) \`f\` \#g \~h\~ \$i\$ \|j\| \<k\>"),
        ("C:\\red", r"C:\\red"),
        ("llama:red", r"llama\:red"),
        (":red[y]", r"\:red\[y\]"),
        ("tag:rocket:", rf"tag:{WORD_JOINER}rocket:"),
        (":+1: :100:", rf":{WORD_JOINER}+1: :{WORD_JOINER}100:"),
        (":material/arrow_back:", rf":{WORD_JOINER}material/arrow\_back:"),
        ("&amp;", r"\&amp;"),
        ("12:30:45, at http://127.0.0.1:80/v1: nothing", "12:30:45, at http://127.0.0.1:80/v1: nothing"),
        ("one\ntwo", "one  \ntwo"),
    ],
)
def test_what_looks_like_markup_is_written_so_that_it_is_read_as_it_stands(text: str, written: str) -> None:
    assert plain(text) == written
    back = re.sub(r"\\([^A-Za-z0-9\s])", r"\1", written.replace(WORD_JOINER, "").replace("  \n", "\n"))
    assert back == text, "nothing is lost"
