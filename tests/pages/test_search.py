"""The Search page: what it shows of what was found, where its links lead, and what it never takes for markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.chat.conversations import Conversations
from backend.errors import PanelError
from backend.queue.store import Store
from backend.search import docs, query, things
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support.datasets import keep, row
from tests.support.page_text import text
from tests.support.talk import Talk, living
from ui.search import doc as search_doc
from ui.search import words as search_words

Asked = Callable[..., AppTest]


@pytest.fixture
def asked() -> Asked:
    """``asked(q="wheat", kind="jobs")``: the page at that address."""

    def open_(**address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
        app.switch_page(str(ROOT / "pages" / "search.py"))
        app.query_params.update(address)
        app.run()
        assert not app.exception, app.exception
        return app

    return open_


def links(app: AppTest) -> dict[str, str]:
    """Label -> where it leads, of the links in the main part."""
    return {
        element.proto.label: f"{element.proto.page}?{element.proto.query_string}"
        for element in app.main.get("page_link")
    }


def test_enter_in_the_sidebar_opens_the_page_with_what_was_typed(open_page: OpenPage) -> None:
    app = open_page("jobs")
    app.text_input(key="search_side").set_value("starter").run()
    assert app.title[0].value == "Search"
    assert app.query_params["q"] == "starter"
    assert app.text_input(key="search_page").value == "starter"


def test_on_the_page_itself_the_address_changes_and_on_others_the_input_is_empty_again(asked: Asked) -> None:
    app = asked(q="starter", kind="jobs")
    assert app.text_input(key="search_side").value == "starter"
    app.text_input(key="search_page").set_value("zzqqy").run()
    assert app.query_params["q"] in ("zzqqy", ["zzqqy"])
    assert "Nothing holds “zzqqy”." in text(app)
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    assert app.text_input(key="search_side").value == ""


def test_each_kind_says_how_many_it_has_and_shows_all_of_them(store: Store, asked: Asked) -> None:
    for n in range(60):
        store.submit("drill", {}, title=f"Wheat adviser {n}")
    app = asked(q="wheat")
    assert [heading.value for heading in app.subheader] == ["Jobs"]
    assert ":gray-badge[60]" in text(app)
    found = links(app)
    assert found["Show all 60"] == "search?q=wheat&kind=jobs"
    assert len([to for to in found.values() if to.startswith("jobs?job=")]) == 5
    alone = links(asked(q="wheat", kind="jobs"))
    assert len([to for to in alone.values() if to.startswith("jobs?job=")]) == 50
    assert alone["Show more"] == "search?q=wheat&kind=jobs&n=100"
    assert len(links(asked(q="wheat", kind="jobs", n="100"))) == 60


def test_links_lead_to_the_very_thing(workspace: Workspace, store: Store, asked: Asked) -> None:
    keep(workspace, "Robin & wheat", [row("q", "a")])
    talks = Conversations(workspace)
    with living(talks) as me:
        talk = Talk(talks, me)
        said = talk.say("Anything", "Robin was here.")
    talks.close()
    places = set(links(asked(q="robin")).values())
    assert "datasets?set=Robin+%26+wheat" in places
    assert f"chat?c={talk.id}&m={said.id + 1}" in places
    assert "models?view=list&model=starter" in links(asked(q="starter", kind="models")).values()


def test_names_from_outside_are_never_markup() -> None:
    shown = search_words.marked(query("bold"), "<b>$x$ **bold** :red[a] https://example.org/x [l](y)")
    assert "\\<b\\>\\$x\\$" in shown
    assert ":violet-background[**bold**]" in shown
    assert "\\:red\\[a\\]" in shown
    assert "https\\://example" in shown


def test_a_kind_that_cannot_be_searched_is_an_error_card_beside_the_others(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise PanelError("workspace_damaged", "The list is damaged.", "Start the panel again.")

    monkeypatch.setattr(things, "sets", type("Broken", (), {"listed": staticmethod(broken)}))
    app = asked(q="starter")
    assert "**The list is damaged.**" in text(app)
    assert "Go to its page" in [button.label for button in app.button]
    assert "Models" in [heading.value for heading in app.subheader]


def test_without_words_it_shows_what_was_used_last_and_the_documentation(store: Store, asked: Asked) -> None:
    store.submit("drill", {}, title="The last one")
    app = asked()
    assert "The last one" in links(app)
    assert links(app)["Troubleshooting"] == "search?doc=troubleshooting"


def test_a_section_is_read_in_the_panel_with_the_row_that_was_looked_for_first(asked: Asked) -> None:
    app = asked(doc="troubleshooting", section="setting-up-and-starting", q="port_taken")
    assert app.title[0].value == "Setting up and starting"
    first, whole = [m.value for m in app.main.markdown if m.value.startswith("| what you see")]
    assert first.count("\n") == 2
    assert "`port_taken`" in first
    assert len(whole) > len(first)
    assert links(app)["Back to what was found"] == "search?q=port_taken"
    assert any("section=reaching-the-page" in to for to in links(app).values())
    assert "There is no such page" in text(asked(doc="../../etc/passwd"))


def test_pictures_come_from_the_checkout_only_and_links_stay_in_the_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "home.png").write_bytes((ROOT / "docs" / "images" / "home.png").read_bytes())
    (tmp_path / "outside.png").write_bytes((ROOT / "docs" / "images" / "home.png").read_bytes())
    (tmp_path / "page.md").write_text(
        "# Page\nSee [that](page.md#a), [out](https://example.org) and [file](file:///etc/passwd). It costs $5 or $6.\n\n"
        "![Home](images/home.png)\n\n![Outside](outside.png) ![Far](https://example.org/x.png)\n"
    )
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    app = asked(doc="page")
    assert len(app.main.get("image")) == 1
    assert "[that](/search?doc=page&section=a), [out](https://example.org) and file." in text(app)
    assert "\\$5 or \\$6" in text(app)
    assert "Outside" in [caption.value for caption in app.main.caption]
    assert search_doc._target("page", "javascript:alert(1)") == ""


def test_a_link_opens_the_conversation_at_its_message_once(panel: object, workspace: Workspace) -> None:
    talks = Conversations(workspace)
    with living(talks) as me:
        talk = Talk(talks, me)
        first = talk.say("The first question", "An answer.")
        other = Talk(talks, me)
        foreign = other.say("Elsewhere", "Yes.")
    talks.close()
    for message, marks in ((first.id, True), (foreign.id, False), (99_999, False)):
        app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=30).run()
        app.switch_page(str(ROOT / "pages" / "chat.py"))
        app.query_params.update({"c": talk.id, "m": str(message)})
        app.run()
        assert not app.exception, app.exception
        assert ("chat_found" in app.session_state) is marks, message
        assert len(app.chat_message) == 2
