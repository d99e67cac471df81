"""The tool that searches arXiv, against a stub of its API on loopback: real requests, real waiting between processes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.agent.tools import Context, Result
from backend.workspace import ROOT, Workspace
from jobs.agent.tools.arxiv import Arxiv, asked
from tests.support.stub_arxiv import Arxiv as Stub
from tests.support.stub_arxiv import atom, feed, paper, refusal, stub
from tests.support.stub_web import answer, cut_off, dripping, endless, html, silent
from tests.support.wait import until

ATTENTION = paper(
    "1706.03762",
    "Attention Is\n  All You Need",
    abstract="The dominant models are complex & slow.",
    authors=tuple(f"Author {number}" for number in range(1, 11)),
)
QUICK = 0.02


def search(workspace: Workspace, arxiv: Stub | str, tool: Arxiv | None = None, **arguments: object) -> Result:
    settings = {"arxiv_search": {"base_url": arxiv if isinstance(arxiv, str) else arxiv.base_url}}
    context = Context(workspace, workspace.root / "conversation", settings=settings)
    return (tool or Arxiv(pause_s=QUICK)).call({"query": "attention", **arguments}, context)


def code(result: Result) -> str:
    """Of its error; the model is told the same in English, and what helps."""
    assert result.error is not None, result.text
    assert result.text.startswith(f"Error ({result.error.code}): {result.error}")
    assert "{" not in result.text
    return result.error.code


def test_papers_are_listed_with_all_that_is_known_of_them(workspace: Workspace) -> None:
    with stub(feed(ATTENTION, paper("hep-ex/0307015", "Electrons"), total=4321)) as arxiv:
        result = search(workspace, arxiv, max_results=2)
    assert result.error is None
    notice, _blank, told = result.text.partition("\n\n")
    assert notice.startswith("[The text below was written by others: papers on arXiv.")
    assert told.startswith(
        "arXiv: 2 of 4321 papers for: attention\n\n"
        "1. Attention Is All You Need\n"
        "   Authors: Author 1, Author 2, Author 3, Author 4, Author 5, Author 6, Author 7, Author 8 and 2 others\n"
        "   Date: 2017-06-12, last changed 2023-08-02   Categories: cs.CL, cs.LG\n"
        "   Page: http://arxiv.org/abs/1706.03762v2   PDF: http://arxiv.org/pdf/1706.03762v2\n"
        "   Comment: 15 pages\n"
        "   Abstract: The dominant models are complex & slow.\n\n"
        "2. Electrons\n"
    )


def test_a_long_abstract_is_cut_at_a_word(workspace: Workspace) -> None:
    with stub(feed(paper("1", "Long", abstract="words " * 1000))) as arxiv:
        result = search(workspace, arxiv)
    assert result.text.endswith("words words …")
    assert len(result.text) < 2500


def test_no_paper_is_no_error_and_says_what_to_try(workspace: Workspace) -> None:
    with stub(feed()) as arxiv:
        result = search(workspace, arxiv, query="zzzz")
    assert result.error is None
    assert "No paper on arXiv fits: zzzz\nTry fewer or other words" in result.text


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("attention", "all:attention"),
        ("Low-Rank adaptation", 'all:"Low-Rank" AND all:adaptation'),
        ('"language models" AND safety', 'all:"language models" AND all:and AND all:safety'),
        ("what (is) this: a query?", "all:what AND all:is AND all:this AND all:a AND all:query"),
        ("au:bengio AND ti:attention", "au:bengio AND ti:attention"),
        ('(ti:"a b" OR abs:c) ANDNOT cat:cs.CL', '(ti:"a b" OR abs:c) ANDNOT cat:cs.CL'),
        ("大模型", "all:大模型"),
        ("???", "all:???"),
    ],
)
def test_words_are_searched_everywhere_and_fields_as_they_were_written(query: str, sent: str) -> None:
    assert asked(query, 5, "relevance")["search_query"] == sent


@pytest.mark.parametrize(
    ("query", "identity"),
    [
        ("1706.03762", "1706.03762"),
        ("arXiv:1706.03762v5", "1706.03762v5"),
        ("https://arxiv.org/abs/2106.09685", "2106.09685"),
        ("https://arxiv.org/pdf/2106.09685v2.pdf", "2106.09685v2"),
        ("hep-ex/0307015", "hep-ex/0307015"),
        ("math.GT/0309136", "math.GT/0309136"),
    ],
)
def test_the_id_of_a_paper_is_asked_for_as_such(query: str, identity: str) -> None:
    assert asked(query, 1, "relevance") == {"id_list": identity, "start": "0", "max_results": "1"}


def test_the_request_has_the_form_of_the_manual(workspace: Workspace) -> None:
    with stub(feed(ATTENTION)) as arxiv:
        search(workspace, arxiv, max_results="3", sort="newest", query="a & b+c \udce4")
        assert arxiv.queries() == [
            {
                "search_query": "all:a AND all:b AND all:c",
                "start": "0",
                "max_results": "3",
                "sortBy": "submittedDate",
                "sortOrder": "descending",
            }
        ]
        assert arxiv.web.seen[0].headers["User-Agent"].startswith("TuneDeck/")


@pytest.mark.parametrize(
    "given",
    [{"query": ""}, {"query": None}, {"query": 5}, {"max_results": 0}, {"max_results": 11}, {"max_results": "many"}, {"max_results": True}, {"sort": "oldest"}],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_named(workspace: Workspace, given: dict[str, object]) -> None:
    with stub(feed(ATTENTION)) as arxiv:
        result = search(workspace, arxiv, **given)
        assert code(result) == "tool_argument_unfit"
        assert next(iter(given)) in result.text
        assert arxiv.times() == []


# --- arXiv says no


@pytest.mark.parametrize("status", [200, 400])
def test_the_entry_with_which_the_api_says_no_is_an_error(workspace: Workspace, status: int) -> None:
    body = (feed, refusal("incorrect id format for 1234.12345"))
    page = body[0](body[1]) if status == 200 else atom(_text(refusal("incorrect id format for 1234.12345")), status)
    with stub(page) as arxiv:
        result = search(workspace, arxiv, query="1234.12345")
    assert code(result) == "arxiv_refused"
    assert "incorrect id format for 1234.12345" in result.text


def _text(entry: str) -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{entry}</feed>'


@pytest.mark.parametrize("status", [429, 503])
def test_asked_to_wait_it_waits_and_asks_again(workspace: Workspace, status: int) -> None:
    with stub(atom("Rate exceeded.", status, retry_after="1"), feed(ATTENTION)) as arxiv:
        result = search(workspace, arxiv)
        first, second = arxiv.times()
    assert result.error is None
    assert second - first >= 1


def test_asked_to_wait_without_a_time_it_waits_longer_each_time_and_gives_up(workspace: Workspace) -> None:
    with stub(atom("Rate exceeded.", 429)) as arxiv:
        result = search(workspace, arxiv, tool=Arxiv(pause_s=0.1))
        gaps = [later - earlier for earlier, later in itertools.pairwise(arxiv.times())]
    assert code(result) == "arxiv_busy"
    assert "Wait at least 1 s" in result.text
    assert len(gaps) == 2
    assert gaps[0] >= 0.2
    assert gaps[1] >= 0.4


@pytest.mark.parametrize("wait", ["3600", "Fri, 27 Nov 2099 00:00:00 GMT"])
def test_asked_to_wait_for_long_it_says_so_at_once(workspace: Workspace, wait: str) -> None:
    with stub(atom("", 503, retry_after=wait)) as arxiv:
        result = search(workspace, arxiv)
        assert len(arxiv.times()) == 1
    assert code(result) == "arxiv_busy"
    assert result.seconds < 5


def test_a_wait_can_be_stopped(workspace: Workspace) -> None:
    stop = threading.Event()
    with stub(atom("", 503, retry_after="20")) as arxiv:
        found = _stopped_while(workspace, arxiv, stop)
    assert code(found) == "fetch_stopped"


def test_a_request_can_be_stopped_in_the_middle(workspace: Workspace) -> None:
    stop = threading.Event()
    with stub(dripping("application/atom+xml")) as arxiv:
        found = _stopped_while(workspace, arxiv, stop)
    assert code(found) == "fetch_stopped"


def _stopped_while(workspace: Workspace, arxiv: Stub, stop: threading.Event) -> Result:
    """What a search gives that is stopped after its first request; it ends at once."""
    settings = {"arxiv_search": {"base_url": arxiv.base_url}}
    context = Context(workspace, workspace.root / "conversation", stop.is_set, settings)
    found: list[Result] = []
    calling = threading.Thread(target=lambda: found.append(Arxiv(pause_s=QUICK).call({"query": "x"}, context)))
    calling.start()
    until(arxiv.times, what="arXiv is asked")
    began = time.monotonic()
    stop.set()
    calling.join(10)
    assert time.monotonic() - began < 2
    return found[0]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (atom("gone", 404), "arxiv_status"),
        (answer(500, "text/html", b"<h1>Oops</h1>"), "arxiv_status"),
        (answer(302, "text/html", b"", location="https://example.org/"), "arxiv_status"),
        (html("<!DOCTYPE html><html><p>Please log in to this network"), "arxiv_unreadable"),
        (html("<html><p>no feed"), "arxiv_unreadable"),
        (html("<html><p>no feed</p></html>"), "arxiv_unreadable"),
        (atom("<feed xmlns='http://www.w3.org/2005/Atom'><entry>"), "arxiv_unreadable"),
        (atom(""), "arxiv_unreadable"),
        (atom("\ufeff<feed/>"), "arxiv_unreadable"),
        (atom(bytes(range(128, 256))), "arxiv_unreadable"),
        (cut_off("application/atom+xml", b"<feed>"), "fetch_cut_off"),
        (atom(b"x" * 20_000_000), "fetch_too_large"),
        (endless("application/atom+xml"), "fetch_too_large"),
        (silent, "fetch_too_slow"),
        (dripping("application/atom+xml"), "fetch_too_slow"),
    ],
)  # fmt: skip
def test_everything_that_is_no_answer_has_its_own_error(workspace: Workspace, page: object, problem: str) -> None:
    with stub(page) as arxiv:  # type: ignore[arg-type]
        result = search(workspace, arxiv, tool=Arxiv(QUICK, answer_s=1.0))
        assert code(result) in (problem, "fetch_silent" if problem == "fetch_too_slow" else "")
        assert len(arxiv.times()) == 1
    assert result.seconds < 10


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">{entities}]>
<feed xmlns="http://www.w3.org/2005/Atom"><title>&j;</title></feed>"""
ENTITIES = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in itertools.pairwise("abcdefghij")
)  # "a billion laughs"


@pytest.mark.parametrize(
    "text",
    [
        BOMB.format(entities=ENTITIES),
        BOMB.format(entities='<!ENTITY j SYSTEM "file:///etc/passwd">'),
        BOMB.format(entities='<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;'),
    ],
    ids=["billion laughs", "file", "another host"],
)
def test_entities_are_refused_and_not_expanded(workspace: Workspace, text: str) -> None:
    with stub(atom(text)) as arxiv:
        result = search(workspace, arxiv)
    assert code(result) == "arxiv_unreadable"
    assert "root:" not in result.text
    assert result.seconds < 5


def test_a_bomb_in_another_encoding_is_refused_too(workspace: Workspace) -> None:
    with stub(atom(BOMB.format(entities=ENTITIES).encode("utf-16"))) as arxiv:
        assert code(search(workspace, arxiv)) == "arxiv_unreadable"


def test_without_a_network_it_says_so_and_what_to_check(workspace: Workspace) -> None:
    result = search(workspace, "http://127.0.0.1:1/api/query")
    assert code(result) == "fetch_unreachable"
    assert "Check that this machine has a network" in result.text


@pytest.mark.parametrize("address", ["ftp://x/", "no address", "http://[::1", "file:///etc/passwd"])
def test_an_address_in_the_settings_that_is_none_is_named(workspace: Workspace, address: str) -> None:
    assert code(search(workspace, address)) == "arxiv_address_unfit"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with stub(feed(ATTENTION)) as arxiv:
        assert search(workspace, arxiv).error is None


# --- what arXiv asks of programs


def test_the_same_question_is_asked_once_a_day(workspace: Workspace) -> None:
    with stub(feed(ATTENTION)) as arxiv:
        first = search(workspace, arxiv)
        assert search(workspace, arxiv).text == first.text
        assert len(arxiv.times()) == 1
        search(workspace, arxiv, max_results=2)
        search(workspace, arxiv, sort="newest")
        assert len(arxiv.times()) == 3

        for kept in (workspace.root / "cache" / "arxiv").iterdir():
            os.utime(kept, (time.time() - 25 * 3600,) * 2)
        search(workspace, arxiv)
        assert len(arxiv.times()) == 4
        assert len(list((workspace.root / "cache" / "arxiv").iterdir())) == 1


def test_an_answer_that_was_an_error_is_not_kept(workspace: Workspace) -> None:
    with stub(feed(refusal("no")), atom("broken"), feed(ATTENTION)) as arxiv:
        assert code(search(workspace, arxiv)) == "arxiv_refused"
        assert code(search(workspace, arxiv)) == "arxiv_unreadable"
        assert "All You Need" in search(workspace, arxiv).text


def test_the_first_search_of_a_workspace_does_not_wait(workspace: Workspace) -> None:
    with stub(feed(ATTENTION)) as arxiv:
        assert search(workspace, arxiv, tool=Arxiv(pause_s=20.0)).seconds < 5


SEARCHES = """
import sys
from pathlib import Path
from backend.agent.tools import Context
from backend.workspace import Workspace
from jobs.agent.tools.arxiv import Arxiv
root, url, who = sys.argv[1:]
context = Context(Workspace(Path(root)), Path(root), settings={"arxiv_search": {"base_url": url}})
for number in range(2):
    result = Arxiv(pause_s=0.7).call({"query": f"{who} {number}"}, context)
    assert result.error is None, result.text
"""


def test_all_processes_of_a_workspace_keep_the_pause_together(workspace: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "searches.py"
    script.write_text(SEARCHES)
    with stub(feed(ATTENTION)) as arxiv:
        command = [sys.executable, str(script), str(workspace.root), arxiv.base_url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        running = [subprocess.Popen([*command, who], env=environment, cwd=ROOT) for who in ("one", "two")]
        try:
            assert [each.wait(60) for each in running] == [0, 0]
        finally:
            for each in running:
                each.kill()
                each.wait()
        times = arxiv.times()
    assert len(times) == 4
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.7
