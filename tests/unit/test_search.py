"""Search: what fits and how well, in every kind of thing; what is never found; and that one damaged store hides no other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import catalog, i18n
from backend.chat.conversations import Conversations
from backend.queue.store import Store
from backend.search import Group, Sources, docs, query, recent, search
from backend.search import talks as talks_module
from backend.search.places import PAGES
from backend.search.words import BEGINS, EXACT, SCATTERED, TEXT, WITHIN, WORDS, Near, around, distance, pieces
from backend.workspace import ROOT, Workspace
from tests.support.datasets import keep, row
from tests.support.talk import Talk, living

SECRET = "hf_abcdefghijklmnopqrstuvwxyz"
ERROR = {
    "code": "oom_gpu",
    "message": "The GPU ran out of memory at step {step}.",
    "params": {"step": 7},
    "evidence": {"line": 1, "text": f"torch.OutOfMemoryError, token {SECRET}"},
}


@pytest.fixture
def talks(workspace: Workspace) -> Iterator[Conversations]:
    opened = Conversations(workspace)
    yield opened
    opened.close()


def kinds(groups: list[Group]) -> dict[str, list[str]]:
    return {group.kind: [hit.title for hit in group.hits] for group in groups}


def found(workspace: Workspace, text: str, *wanted: str) -> dict[str, list[str]]:
    return kinds(search(Sources.of(workspace), query(text), wanted))


@pytest.mark.parametrize(
    ("text", "rank"),
    [
        ("Wheat Adviser", EXACT),
        ("wheat ad", BEGINS),
        ("adviser wheat", WORDS),
        ("dvis", WITHIN),
        ("wheat llama", TEXT),
        ("rye", None),
    ],
)
def test_a_whole_name_comes_before_its_beginning_before_words_in_it_before_its_text(text: str, rank: int) -> None:
    assert query(text).rank("wheat adviser", "llama 8 bit") == rank


def test_what_is_typed_may_hold_anything() -> None:
    for text in ("", "   ", "\0", '"', '""', "%_\\", "🙂" * 500, "'; DROP TABLE jobs; --", "\ud800", "a" * 10_000):
        asked = query(text)
        assert len(asked.text) <= 200
        pieces(asked, "some text")
    assert query("a" * 300).cut
    assert query('"two  words" three').words == ("two words", "three")


def test_one_letter_wrong_is_near_and_a_short_word_has_no_neighbours() -> None:
    assert distance("wheat", "weaht") == 2
    assert distance("wheat", "wehat") == 1
    assert Near(query("wehat adviser"))("wheat adviser")
    assert not Near(query("rie"))("rye bread")


def test_the_piece_that_is_shown_holds_what_was_found_and_marks_only_that() -> None:
    asked = query("RYE frost")
    text = "x " * 200 + "the rye is sown before the frost comes" + " y" * 200
    piece = around(asked, text)
    assert len(piece) < 200
    assert [part for part, marked in pieces(asked, piece) if marked] == ["rye", "frost"]


def test_models_datasets_and_jobs_are_found_by_name_and_by_what_is_known_of_them(
    workspace: Workspace, store: Store
) -> None:
    keep(workspace, "小麦问答", [row("q", "a")], note="Rows about wheat")
    store.submit("drill", {}, title="Wheat adviser")
    other = store.submit("drill", {}, title="Another")
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'failed', error = ? WHERE id = ?", (json.dumps(ERROR), other.id))
    assert found(workspace, "starter")["models"] == ["starter"]
    assert found(workspace, "麦问") == {"datasets": ["小麦问答"]}
    wheat = found(workspace, "WHEAT", "datasets", "jobs")
    assert wheat == {"datasets": ["小麦问答"], "jobs": ["Wheat adviser"]}
    assert found(workspace, "oom_gpu step 7", "jobs") == {"jobs": ["Another"]}
    assert found(workspace, f"#{other.id}", "jobs") == {"jobs": ["Another"]}
    assert found(workspace, "100%", "jobs") == {}


def test_a_job_is_found_by_the_model_that_it_works_on_not_by_the_rest_of_its_spec(
    workspace: Workspace, store: Store
) -> None:
    job = store.submit("drill", {}, title="A run")
    spec = {"model": "Orchard-8B", "prompt": "confidential words"}
    (store.job_dir(job.id) / "spec.json").write_text(json.dumps(spec))
    assert found(workspace, "orchard", "jobs") == {"jobs": ["A run"]}
    assert found(workspace, "confidential", "jobs") == {}


def test_a_conversation_is_found_at_the_newest_message_that_holds_all_the_words(
    workspace: Workspace, talks: Conversations
) -> None:
    with living(talks) as me:
        talk = Talk(talks, me)
        talk.say("How does wheat grow?", "In spring.")
        last = talk.say("And 黑麦?", "Rye is sown BEFORE the frost. Über alles: 100 % sure.")
        Talk(talks, me).say("Hello", "Hi.")
    for text in ("frost rye", "über", "黑", "100 %", "before"):
        [group] = search(Sources.of(workspace), query(text), ["chat"])
        [hit] = group.hits
        assert (group.count, hit.title, hit.address["c"]) == (1, "How does wheat grow?", talk.id), text
        assert int(hit.address["m"]) >= last.id
    assert found(workspace, "frost spring", "chat") == {}
    assert found(workspace, "wheat", "chat") == {"chat": ["How does wheat grow?"]}


def test_only_the_newest_messages_are_looked_at_and_that_is_said(
    workspace: Workspace, talks: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    with living(talks) as me:
        talk = Talk(talks, me)
        talk.say("old barley", "yes")
        for n in range(4):
            talk.say(f"new {n}", "yes")
    monkeypatch.setattr(talks_module, "MOST_TEXTS", 6)
    [group] = search(Sources.of(workspace), query("new 3"), ["chat"])
    assert group.since is not None
    assert group.since <= time.time()
    [hit] = search(Sources.of(workspace), query("barley"), ["chat"])[0].hits
    assert "m" not in hit.address  # its title alone


def test_keys_and_tokens_are_neither_found_nor_shown(workspace: Workspace, store: Store, talks: Conversations) -> None:
    with living(talks) as me:
        Talk(talks, me).say(f"My token is {SECRET}, keep it", "I will.")
    job = store.submit("drill", {}, title="A run")
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'failed', error = ? WHERE id = ?", (json.dumps(ERROR), job.id))
    for text in (SECRET, SECRET[:10], "klmnop"):
        assert found(workspace, text) == {}, text
    shown = json.dumps([[h.title, h.context] for g in search(Sources.of(workspace), query("token")) for h in g.hits])
    assert "My token is" in shown
    assert "OutOfMemoryError" in shown
    assert SECRET not in shown


def test_nearly_the_name_is_found_only_where_nothing_has_it(workspace: Workspace, store: Store) -> None:
    store.submit("drill", {}, title="Wheat adviser")
    groups = search(Sources.of(workspace), query("stater"))
    assert kinds(groups) == {"models": ["starter"]}
    assert groups[0].near
    assert found(workspace, "wehat") == {"jobs": ["Wheat adviser"]}
    assert found(workspace, "zzqqy") == {}


def test_a_damaged_store_says_so_and_the_others_are_shown(workspace: Workspace, store: Store) -> None:
    store.submit("drill", {}, title="starter again")
    for file in (workspace.chat_db, workspace.root / "agent.db"):
        file.write_bytes(b"this is no database, and never was one" * 200)
    groups = {group.kind: group for group in search(Sources.of(workspace), query("starter"))}
    for kind in ("chat", "agent"):
        problem = groups[kind].problem
        assert problem is not None
        assert problem.localized()[1], kind  # what to do
    assert groups["models"].hits[0].title == "starter"
    assert groups["jobs"].hits[0].title == "starter again"
    assert {group.kind for group in recent(Sources.of(workspace)) if group.problem} == {"chat", "agent"}


def test_a_defect_in_one_kind_is_told_as_its_error(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda *_: 1 / 0)
    groups = {group.kind: group for group in search(Sources.of(workspace), query("e"))}
    problem = groups["models"].problem
    assert problem is not None
    assert problem.code == "search_failed"
    assert groups["docs"].count


def test_pages_and_settings_are_found_in_both_languages(workspace: Workspace) -> None:
    assert "Settings › API keys" in found(workspace, "api keys", "pages")["pages"]
    i18n.use("zh_CN")
    assert any("微调" in title for title in found(workspace, "微调", "pages")["pages"])
    assert found(workspace, "fine-tune", "pages")["pages"]


def test_every_page_of_the_panel_can_be_found_under_its_own_name() -> None:
    shell = (ROOT / "ui" / "shell.py").read_text(encoding="utf-8")
    named = {page: name for page, _address, name, _about in PAGES}
    assert set(named) == {path.stem for path in (ROOT / "pages").glob("*.py")} - {"search"}
    for page, name in named.items():
        assert f'"{page}", _("{name}")' in shell.replace("\n            ", " ").replace("( ", "("), page


def test_what_was_used_last_comes_newest_first(workspace: Workspace, store: Store) -> None:
    for title in ("one", "two", "three", "four"):
        store.submit("drill", {}, title=title)
    keep(workspace, "Rows", [row("q", "a")])
    assert kinds(recent(Sources.of(workspace))) == {"jobs": ["four", "three", "two"], "datasets": ["Rows"]}


PAGE = """# The page
Intro.

## Jobs <!-- hidden -->
```
# no heading
```
| what | code |
|---|---|
| it stops | `job_lost` |

### Jobs
Deep 小麦 text, see [that](other.md#a-b).
"""


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "page.md").write_text(PAGE)
    (folder / "page.zh.md").write_text("# 页面\n\n## 任务\n黑麦\n")
    monkeypatch.setattr(docs, "FOLDER", folder)
    return folder


def test_the_documentation_is_cut_at_its_headings_and_never_inside_code(pages: Path) -> None:
    found = docs.sections("page")
    assert [(one.title, one.slug, one.above) for one in found] == [
        ("The page", "the-page", ()),
        ("Jobs", "jobs", ("The page",)),
        ("Jobs", "jobs-1", ("The page", "Jobs")),
    ]
    assert "# no heading" in found[1].body
    assert docs.sections("../../etc/passwd") == ()


def test_a_reader_gets_the_page_in_their_language_and_a_changed_file_is_read_again(pages: Path) -> None:
    i18n.use("zh_CN")
    assert [one.title for one in docs.sections("page")] == ["页面", "任务"]
    assert docs.group(query("黑麦"), 5).hits[0].address == {"doc": "page", "section": "任务"}
    (pages / "page.zh.md").write_text("# 页面\n\n## 燕麦 another\n")
    assert docs.group(query("燕麦"), 5).count == 1


def test_an_error_code_leads_to_the_line_that_explains_it(pages: Path) -> None:
    [hit] = docs.group(query("job_lost"), 5).hits
    assert hit.address == {"doc": "page", "section": "jobs"}
    assert hit.context == "it stops · job_lost"
    assert docs.group(query("intro page"), 5).hits[0].rank in (TEXT, SCATTERED)


def test_the_troubleshooting_of_this_checkout_explains_an_error_code(workspace: Workspace) -> None:
    [group] = search(Sources.of(workspace), query("port_taken"), ["docs"])
    assert group.hits[0].more["doc"] == "troubleshooting"
    assert "port_taken" in group.hits[0].context
