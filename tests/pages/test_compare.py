"""Side by side without a browser, over real server processes: set up, ask, follow up, differ, vote, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.compare import asking as asking_module
from backend.compare import votes
from backend.compare.asking import Asking
from backend.compare.records import Contender, Turn
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.test_made_models import ended
from tests.support import models
from tests.support.page_text import labels, text
from tests.support.panel import end_all_of
from tests.support.stub_openai import Stub, published, stub

SAYS = {"left": "The cat sat on the mat.", "right": "The dog sat on the mat."}


@pytest.fixture(autouse=True)
def asking(workspace: Workspace, store: Store) -> Iterator[Asking]:
    """What writes answers in this process; at the end neither it nor a watcher that a start brought up is left."""
    found = asking_module.asking(workspace, store)
    yield found
    found.close()
    asking_module._all.pop(str(workspace.root))
    end_all_of(workspace.root)


@pytest.fixture
def servers(store: Store) -> Iterator[dict[str, Stub]]:
    """Two running models, ``left`` and ``right``, which say always the same."""
    with ExitStack() as stack:
        running = {}
        for name, says in SAYS.items():
            running[name] = stack.enter_context(stub(name, script={"say": says}))
            stack.enter_context(published(store, running[name]))
        yield running


def page(**query: str) -> AppTest:
    """The view in a new session, by its address."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for name, value in {"view": "compare", **query}.items():
        app.query_params[name] = value
    app.switch_page(str(ROOT / "pages" / "chat.py")).run()
    assert not app.exception, app.exception
    return app


def ask(app: AppTest, prompt: str = "What sat where?") -> AppTest:
    app.chat_input(key="compare_prompt").set_value(prompt).run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def here(app: AppTest) -> str:
    value = app.query_params["comparison"]
    return value[0] if isinstance(value, list) else value


def chosen(app: AppTest) -> list[str]:
    """The models of the columns to be filled."""
    return [str(box.value) for box in app.selectbox if str(box.key).startswith("compare_model_")]


def turns(asking: Asking, app: AppTest) -> list[Turn]:
    return asking.comparisons.turns(asking.comparisons.get(here(app)))


def widget(app: AppTest, kind: str, start: str) -> Any:
    return next(w for w in app.get(kind) if str(w.key).startswith(start))


def test_two_models_answer_the_same_prompt_with_the_same_seed(servers: dict[str, Stub], asking: Asking) -> None:
    app = page(models="left,right")
    assert chosen(app) == ["left", "right"]
    app.number_input(key="compare_seed").set_value(77).run()
    ask(app)
    shown = text(app)
    assert SAYS["left"] in shown
    assert SAYS["right"] in shown
    assert "**A** · left" in shown
    assert shown.count("first token after") == 2
    assert {name: server.requests()[0]["seed"] for name, server in servers.items()} == {"left": 77, "right": 77}
    assert [turn.seed for turn in turns(asking, app)] == [77]


def test_each_column_goes_on_with_its_own_history(servers: dict[str, Stub]) -> None:
    app = ask(page(models="left,right"), "One")
    ask(app, "Two")
    for name, server in servers.items():
        assert [m["content"] for m in server.requests()[-1]["messages"]] == ["One", SAYS[name], "Two"]
    again = page(comparison=here(app))
    assert text(again).count(SAYS["left"]) == 2


def test_one_model_stands_against_itself_with_settings_of_its_own(servers: dict[str, Stub]) -> None:
    app = page(models="left,left")
    slider = [box for box in app.slider if str(box.key).startswith("compare_temperature_")]
    slider[0].set_value(0.2).run()
    ask(app)
    assert sorted(r["temperature"] for r in servers["left"].requests()) == [0.2, 0.7]
    assert "**A** · left (temperature=0.2)" in text(app)
    assert "**B** · left (temperature=0.7)" in text(app)


def test_columns_are_added_to_four_and_removed(servers: dict[str, Stub]) -> None:
    app = page()
    assert len(chosen(app)) == 2
    press(app, "Add a column")
    press(app, "Add a column")
    assert len(chosen(app)) == 4
    assert "Add a column" not in labels(app)
    before = chosen(app)
    press(app, "Remove column B")
    assert chosen(app) == [before[0], *before[2:]]


def test_a_base_stands_beside_what_was_made_from_it_without_being_asked_for(workspace: Workspace) -> None:
    catalog.add(workspace, models.folder(workspace.root / "ground"), "ground")
    made = models.folder(workspace.root / "made")
    catalog.receive(workspace, made, "made, by me", Lineage(verb="finetune", base="ground"))
    assert chosen(page()) == ["ground", "made, by me"]


def test_a_finished_job_leads_to_what_it_made_beside_its_base(store: Store, workspace: Workspace) -> None:
    row, folder = ended(store)
    catalog.receive(workspace, folder, "mine, at last", Lineage(job=row.id, verb="drill", base="starter"))
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(row.id)
    app.switch_page(str(ROOT / "pages" / "jobs.py")).run()
    link = next(link.proto for link in app.main.get("page_link") if link.proto.label.startswith("Base versus tuned"))
    address = parse_qs(link.query_string)
    assert address["view"] == ["compare"]
    assert chosen(page(models=address["models"][0])) == ["starter", "mine, at last"]


def test_a_column_that_fails_disturbs_no_other_and_is_asked_again_alone(
    store: Store, asking: Asking, workspace: Workspace
) -> None:
    with stub("left", script={"say": "fine"}) as left, published(store, left):
        with stub("right", script={"tokens": 9, "die_at": 3}) as right, published(store, right):
            app = ask(page(models="left,right"))
            shown = text(app)
            assert "fine" in shown
            assert "w0 w1 w2" in shown
            assert "The server of 'right' stopped in the middle of the answer." in shown.replace("\\", "")
        with stub("right", script={"say": "back"}) as right, published(store, right):
            press(app, "Ask B again")
            assert "back" in text(app)
            assert len(left.requests()) == 1


def test_a_model_that_is_gone_is_said_in_its_column(servers: dict[str, Stub]) -> None:
    app = page(models="left,vanished")
    assert "not on the list" in text(app)
    ask(app)
    assert SAYS["left"] in text(app)
    assert "There is no model called 'vanished'." in text(app).replace("\\", "")


def test_the_differences_of_two_answers_are_marked(servers: dict[str, Stub]) -> None:
    app = ask(page(models="left,right"))
    widget(app, "toggle", "compare_diff_").set_value(True).run()
    html = "".join(str(e.proto.body) for e in app.get("html"))
    assert "The <del>cat</del> sat on the mat." in html
    assert "The <ins>dog</ins> sat on the mat." in html
    assert "83% of the words are in both" in text(app)


def test_a_vote_is_stored_with_what_was_judged_explained_changed_and_taken_back(
    servers: dict[str, Stub], asking: Asking
) -> None:
    app = ask(page(models="left,right"))
    vote = widget(app, "button_group", "compare_vote_")
    vote.set_value("1").run()
    widget(app, "text_input", "compare_why_").set_value("dogs are better").run()
    lines = [json.loads(line) for line in votes.export(asking.comparisons)]
    assert [(v["verdict"], v["winner"], v["reason"], v["blind"]) for v in lines] == [
        ("better", 1, "dogs are better", False)
    ]
    assert [answer["text"] for answer in lines[0]["answers"]] == [SAYS["left"], SAYS["right"]]
    assert "left better: 0 · right better: 1 · tie: 0 · both bad: 0" in text(app)
    later = page(comparison=here(app))
    vote = widget(later, "button_group", "compare_vote_")
    assert vote.value == "1"
    vote.set_value("tie").run()
    assert [(pair.ties, pair.votes) for pair in votes.tally(asking.comparisons)] == [(1, 1)]
    widget(later, "button_group", "compare_vote_").set_value(None).run()
    assert votes.count(asking.comparisons) == 0


def test_blind_hides_names_speeds_and_reasons_until_the_vote(servers: dict[str, Stub], asking: Asking) -> None:
    app = page(models="left,right")
    app.toggle(key="compare_blind").set_value(True).run()
    ask(app)
    shown = text(app)
    assert SAYS["left"] in shown
    assert "**A**" in shown
    assert "· left" not in shown
    assert "first token after" not in shown
    assert "Change the columns" not in labels(app)
    widget(app, "button_group", "compare_vote_").set_value("0").run()
    assert "· left" in text(app)
    assert json.loads(next(votes.export(asking.comparisons)))["blind"] is True


def test_comparisons_are_opened_renamed_and_deleted(servers: dict[str, Stub], asking: Asking) -> None:
    app = ask(page(models="left,right"), "About wheat")
    first = here(app)
    press(app, "New comparison")
    ask(app, "About law")
    app.button(key=f"compare_open_{first}").click().run()
    assert here(app) == first
    app.text_input(key=f"compare_title_{first}").set_value("Wheat").run()
    press(app, "Rename")
    assert "**Wheat**" in text(app)
    press(app, "Delete comparison")
    assert [each.title for each in asking.comparisons.list()] == ["About law"]
    assert "This comparison does not exist" in text(page(comparison=first))


def test_the_columns_of_one_comparison_begin_the_next(servers: dict[str, Stub]) -> None:
    app = ask(page(models="right,left"))
    press(app, "Change the columns")
    assert chosen(app) == ["right", "left"]


def test_what_was_refused_goes_back_into_the_input(servers: dict[str, Stub], asking: Asking) -> None:
    app = ask(page(models="left,right"), "   ")
    assert "There is nothing to send." in text(app)
    assert app.chat_input(key="compare_prompt").proto.value == "   "
    assert asking.comparisons.list() == []


def test_an_answer_that_its_panel_left_behind_is_shown_as_interrupted(asking: Asking, servers: dict[str, Stub]) -> None:
    begun = asking.begin(
        [Contender("left"), Contender("right")], "!" + json.dumps({"tokens": 5000, "delay_s": 0.05}), seed=1
    )
    asking.close()
    app = page(comparison=begun.id)
    assert text(app).count("Interrupted: the panel ended") == 2
    assert {"Ask A again", "Ask B again"} <= set(labels(app))
