"""Comparisons without a server: what is stored, how votes are counted, which pair is proposed, and names in addresses."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import catalog
from backend.catalog import Lineage
from backend.chat.answers import Answers
from backend.chat.params import ChatParams
from backend.compare import pairs, votes
from backend.compare.comparisons import Comparisons
from backend.compare.records import Comparison, Contender, labels
from backend.errors import ConflictError, NotFoundError, WorkspaceError
from backend.workspace import Workspace
from tests.support import models
from tests.support.talk import living

A, B, C = Contender("a"), Contender("b"), Contender("c")


@pytest.fixture
def comparisons(workspace: Workspace) -> Iterator[Comparisons]:
    opened = Comparisons(workspace)
    with living(opened.columns):
        yield opened
    opened.columns.close()


def answered(comparisons: Comparisons, *contenders: Contender, blind: bool = False) -> tuple[Comparison, int]:
    """A comparison with one turn, each column answered with the name of its model."""
    made = comparisons.create(contenders, seed=3, title="Who?", blind=blind)
    turn = comparisons.add_turn(made.id, "Who?", 3)
    answers = Answers(comparisons.columns)
    for position, (contender, column) in enumerate(zip(made.contenders, made.columns, strict=True)):
        _, reply = answers.ask(column, "Who?", model=contender.model, params=contender.params, owner="me")
        assert answers.finish(reply.id, "me", "done", contender.model, completion_tokens=1)
        comparisons.set_answer(turn, position, reply.id)
    return made, turn


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_comparison_has_two_to_four_columns(comparisons: Comparisons, count: int) -> None:
    with pytest.raises(ConflictError, match=f"2 to 4 columns; this one has {count}") as caught:
        comparisons.create([A] * count, seed=1)
    assert caught.value.code == "contenders_count"
    assert comparisons.list() == []


def test_turns_hold_the_answers_of_all_columns(comparisons: Comparisons) -> None:
    made, turn = answered(comparisons, A, B)
    found = comparisons.turns(comparisons.get(made.id))
    assert [(t.id, t.prompt, t.seed) for t in found] == [(turn, "Who?", 3)]
    assert [answer.content if answer else "" for answer in found[0].answers] == ["a", "b"]
    later = comparisons.add_turn(made.id, "And now?", 4)
    found = comparisons.turns(comparisons.get(made.id))
    assert (found[1].id, found[1].answers, found[1].votable) == (later, (None, None), False)


def test_columns_are_no_conversations_of_the_chat(comparisons: Comparisons, workspace: Workspace) -> None:
    answered(comparisons, A, B)
    assert not workspace.chat_db.exists()
    assert workspace.compare_db.stat().st_mode & 0o077 == 0


def test_deleting_a_comparison_forgets_answers_and_votes(comparisons: Comparisons) -> None:
    made, turn = answered(comparisons, A, B)
    votes.cast(comparisons, made.id, turn, "tie")
    comparisons.delete(made.id)
    with comparisons.columns.read() as db:
        tables = ("comparisons", "contenders", "turns", "turn_answers", "votes", "conversations", "messages")
        assert {db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables} == {0}
    with pytest.raises(NotFoundError, match="does not exist"):
        comparisons.get(made.id)


def test_a_blind_comparison_has_an_order_that_nobody_chose(comparisons: Comparisons) -> None:
    orders = {tuple(c.model for c in comparisons.create([A, B, C], seed=1, blind=True).contenders) for _ in range(60)}
    assert len(orders) > 1  # sixty times the same of six by chance: never
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_a_vote_shows_the_names_and_says_that_it_was_blind(comparisons: Comparisons) -> None:
    made, turn = answered(comparisons, A, B, blind=True)
    assert comparisons.get(made.id).hidden
    votes.cast(comparisons, made.id, turn, "both_bad")
    assert not comparisons.get(made.id).hidden
    votes.cast(comparisons, made.id, turn, "better", 0)  # a change of mind with the names in sight
    assert [json.loads(line)["blind"] for line in votes.export(comparisons)] == [True]


def test_the_export_holds_all_that_was_judged(comparisons: Comparisons) -> None:
    cool = Contender("a", ChatParams(temperature=0.2, system="Be brief"))
    made, turn = answered(comparisons, cool, B)
    votes.cast(comparisons, made.id, turn, "better", 1)
    votes.explain(comparisons, turn, "  shorter,\n and 对 \udcff")
    (line,) = [json.loads(text) for text in votes.export(comparisons)]
    assert line["time"].endswith("+00:00")
    assert {key: line[key] for key in ("format", "verdict", "winner", "reason", "prompt", "seed", "before")} == {
        "format": 1, "verdict": "better", "winner": 1, "reason": "shorter, and 对 ?", "prompt": "Who?", "seed": 3,
        "before": [],
    }  # fmt: skip
    assert line["contenders"][0]["params"]["temperature"] == 0.2
    assert line["contenders"][0]["params"]["system"] == "Be brief"
    assert [(answer["text"], answer["completion_tokens"]) for answer in line["answers"]] == [("a", 1), ("b", 1)]


def test_votes_are_counted_by_pair_and_shares_need_ten_of_them(comparisons: Comparisons) -> None:
    for number in range(10):
        # Either order of the columns is the same pair.
        made, turn = answered(comparisons, *((A, B) if number % 2 else (B, A)))
        votes.cast(comparisons, made.id, turn, *(("better", 0) if number < 7 else ("tie",)))
    made, turn = answered(comparisons, A, B, C)
    votes.cast(comparisons, made.id, turn, "better", 2)
    first, *others = votes.tally(comparisons)
    assert (first.a, first.b, first.a_better, first.b_better, first.ties, first.both_bad) == ("a", "b", 3, 4, 3, 0)
    assert first.share(first.a_better) == 0.3
    # Among three, that C is better says nothing about A and B.
    assert [(pair.a, pair.b, pair.a_better, pair.b_better) for pair in others] == [("a", "c", 0, 1), ("b", "c", 0, 1)]
    assert others[0].share(1) is None


def test_nothing_is_judged_before_there_is_an_answer(comparisons: Comparisons) -> None:
    made = comparisons.create([A, B], seed=1)
    turn = comparisons.add_turn(made.id, "Who?", 1)
    with pytest.raises(ConflictError, match="no answer that could be judged"):
        votes.cast(comparisons, made.id, turn, "tie")
    _, reply = Answers(comparisons.columns).ask(made.columns[0], "Who?", model="a", params=A.params, owner="me")
    comparisons.set_answer(turn, 0, reply.id)
    with pytest.raises(ConflictError, match="still being written"):
        votes.cast(comparisons, made.id, turn, "tie")
    assert votes.count(comparisons) == 0


def test_a_name_says_the_settings_only_where_a_model_stands_twice() -> None:
    cool, warm = (Contender("a", ChatParams(temperature=t, seed=1)) for t in (0.0, 0.7))
    assert labels([cool, B]) == ["a", "b"]
    assert labels([cool, warm, B]) == ["a (temperature=0)", "a (temperature=0.7)", "b"]
    assert labels([warm, warm]) == ["a", "a"]
    told = Contender("a", ChatParams(system="You are a very patient\nteacher of botany"))
    assert labels([warm, told]) == ['a (system="")', 'a (system="You are a very patient …")']


@pytest.mark.parametrize("names", [["a", "b"], ["with, comma", "100%", "%2C"], ["中文 模型", "a&b=c"]])
def test_names_come_back_from_the_address(names: list[str]) -> None:
    assert pairs.from_address(pairs.to_address(names)) == names


def test_an_address_names_no_more_than_a_comparison_holds() -> None:
    assert pairs.from_address("a,b,,c,d,e") == ["a", "b", "c", "d"]


def test_the_base_of_a_tuned_model_is_found_by_name_folder_or_hub_name(workspace: Workspace, tmp_path: Path) -> None:
    ground = models.folder(tmp_path / "Llama-9")
    catalog.add(workspace, ground, "ground")
    for number, base in enumerate(("ground", str(ground), "meta/Llama-9", "elsewhere", "")):
        name = f"tuned-{number}"
        catalog.receive(workspace, models.folder(tmp_path / name), name, Lineage(verb="finetune", base=base))
    found = [pairs.base_and_tuned(workspace, f"tuned-{number}") for number in range(5)]
    assert found == [("ground", "tuned-0"), ("ground", "tuned-1"), ("ground", "tuned-2"), None, None]
    assert pairs.base_and_tuned(workspace, "no such model") is None


def test_one_model_alone_is_proposed_with_two_temperatures(workspace: Workspace) -> None:
    proposed = pairs.default(workspace, {"starter": True})
    assert [(c.model, c.params.temperature) for c in proposed] == [("starter", 0.0), ("starter", 1.0)]
    assert [c.model for c in pairs.default(workspace, {"x": True, "starter": False})] == ["x", "starter"]
    assert pairs.default(workspace, {}) == []


def test_a_file_of_a_newer_tunedeck_is_left_alone(comparisons: Comparisons, workspace: Workspace) -> None:
    with comparisons.columns.write() as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'comparison_tables'")
    comparisons.columns.close()
    with pytest.raises(WorkspaceError, match="written by a newer TuneDeck"):
        Comparisons(workspace)


def test_a_damaged_file_is_kept_beside_and_said(comparisons: Comparisons, workspace: Workspace) -> None:
    answered(comparisons, A, B)
    comparisons.columns.close()
    workspace.compare_db.write_bytes(b"not a database at all" * 100)
    again = Comparisons(workspace)
    notice = again.columns.notice()
    assert notice is not None
    assert "was damaged" in str(notice)
    assert again.list() == []
    answered(again, A, B)
    assert len(again.list()) == 1
    with sqlite3.connect(workspace.compare_db) as db:
        assert db.execute("SELECT count(*) FROM turn_answers").fetchone() == (2,)
    again.columns.close()
