"""Getting models onto the list: by one folder, by looking below a folder, and from a hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.errors import PanelError
from backend.i18n import N_
from backend.queue.events import EventWriter
from backend.queue.rows import JobRow
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.support import by_hand, models
from tests.support.page_text import labels, text
from ui import once

STARTER = ROOT / "models" / "starter"


def view(name: str, **query: str) -> AppTest:
    """The part ``name`` of the Models page, as its address opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in {"view": name, **query}.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "models.py")).run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


def names(workspace: Workspace) -> list[str]:
    return [card.name for card in catalog.models(workspace)]


# --- one folder


def add(app: AppTest, path: str, name: str = "") -> AppTest:
    app.text_input(key="add_path").set_value(path)
    app.text_input(key="add_name").set_value(name)
    return press(app, "Add to the list")


def test_a_folder_is_added_under_a_name_and_the_form_is_empty_again(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "my model")
    app = add(view("add"), str(tmp_path / "my model"), "水稻助手")
    assert app.text_input(key="add_path").value == ""
    assert names(workspace) == ["starter", "水稻助手"]
    assert [toast.value for toast in app.toast] == ["水稻助手 is on the list now."]
    app.query_params["view"] = "list"
    app.run()
    assert "水稻助手" in text(app)


@pytest.mark.parametrize("content", [None, "empty", "truncated"])
def test_a_folder_that_is_no_model_gives_a_card_that_says_what_to_do(
    workspace: Workspace, tmp_path: Path, content: str | None
) -> None:
    folder = tmp_path / "broken"
    if content == "truncated":
        shutil.copytree(STARTER, folder)
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100_000])
    elif content == "empty":
        folder.mkdir()
    app = add(view("add"), str(folder))
    assert str(folder) in plain(app)
    assert ":red[:material/error:]" in text(app)
    assert app.text_input(key="add_path").value == str(folder)  # what was typed is still there to be corrected
    assert names(workspace) == ["starter"]


def test_an_old_error_does_not_follow_to_another_part_or_page(tmp_path: Path) -> None:
    app = add(view("add"), str(tmp_path))
    assert "is not a model" in text(app)
    app.query_params["view"] = "list"
    app.run()
    assert "is not a model" not in text(app)
    for page in ("settings", "models"):
        app.switch_page(str(ROOT / "pages" / f"{page}.py")).run()
        assert "is not a model" not in text(app)


# --- below a folder


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two models, an adapter, and a model that was not downloaded whole."""
    top = tmp_path / "shelf"
    models.folder(top / "alpha")
    models.folder(top / "deep" / "beta")
    models.adapter(top / "lora", "alpha")
    models.pointer(models.folder(top / "half") / "model.safetensors")
    return top


def look(app: AppTest, folder: Path) -> AppTest:
    app.text_input(key="scan_path").set_value(str(folder))
    return press(app, "Look for models below it")


def test_what_lies_below_a_folder_is_found_and_all_that_is_usable_is_added(workspace: Workspace, shelf: Path) -> None:
    app = look(view("add"), shelf)
    assert "3 models can be added · 1 not usable" in text(app)
    assert "git lfs pull" in plain(app)
    press(app, "Add 3 models")
    assert names(workspace) == ["starter", "alpha", "beta", "lora"]
    assert [toast.value for toast in app.toast] == ["3 models are on the list now."]
    # The result is still there, and true: nothing is offered twice.
    assert "3 on the list already" in text(app)
    assert not [label for label in labels(app) if label.startswith("Add 3")]


def test_only_what_is_ticked_is_added(workspace: Workspace, shelf: Path) -> None:
    app = look(view("add"), shelf)
    next(box for box in app.checkbox if "beta" in box.label).uncheck().run()
    press(app, "Add 2 models")
    assert names(workspace) == ["starter", "alpha", "lora"]
    assert "1 model can be added · 2 on the list already · 1 not usable" in text(app)


def test_tick_none_then_one(workspace: Workspace, shelf: Path) -> None:
    app = press(look(view("add"), shelf), "Tick none")
    assert next(b for b in app.button if b.label == "Add 0 models").disabled
    next(box for box in app.checkbox if "alpha" in box.label).check().run()
    press(app, "Add 1 model")
    assert names(workspace) == ["starter", "alpha"]


def test_the_folder_stands_in_the_address_so_that_another_tab_shows_the_same(shelf: Path) -> None:
    app = look(view("add"), shelf)
    assert app.query_params["folder"] in (str(shelf), [str(shelf)])
    assert "3 models can be added" in text(view("add", folder=str(shelf)))


def test_more_than_are_drawn_are_added_all_the_same(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(33):
        models.adapter(tmp_path / "many" / f"run {number:02}", "starter")
    app = look(view("add"), tmp_path / "many")
    assert len(app.checkbox) == 30
    assert "3 more are not shown here" in text(app)
    press(app, "Add 33 models")
    assert len(names(workspace)) == 34


def test_a_folder_that_is_not_there_or_holds_no_model_says_so(tmp_path: Path) -> None:
    app = look(view("add"), tmp_path / "nowhere")
    assert "There is no folder at" in plain(app)
    assert "It must be a folder on the machine that TuneDeck runs on" in plain(app)
    (tmp_path / "bare").mkdir()
    assert "There is no model in this folder" in text(look(app, tmp_path / "bare"))


# --- from a hub


def fill(app: AppTest, **fields: str) -> AppTest:
    for name, value in fields.items():
        app.text_input(key=f"download_{name}").set_value(value)
    return press(app, "Download model")


@pytest.mark.parametrize("same_click_s", [60.0, 0.0])
def test_a_pasted_address_becomes_one_job_however_often_and_slowly_it_is_pressed(
    store: Store, monkeypatch: pytest.MonkeyPatch, same_click_s: float
) -> None:
    monkeypatch.setattr(once, "SAME_CLICK_S", same_click_s)
    app = view("download")
    for _ in range(2):
        fill(app, repo="https://modelscope.cn/models/Qwen/Qwen3-0.6B", name="little one")
    (row,) = store.list(verb="download")
    assert store.spec(row.id) == {
        "source": "modelscope",
        "repo": "Qwen/Qwen3-0.6B",
        "revision": "",
        "name": "little one",
    }
    assert "1 download under way" in [head.value for head in app.subheader]
    press(app, "Cancel")
    assert store.get(row.id).state == "cancelled"


def test_where_it_comes_from_and_the_room_for_it_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEDECK_HF_ENDPOINT", "http://127.0.0.1:9/hub")
    said = plain(view("download"))
    assert "Hugging Face: `http://127.0.0.1:9/hub`, a mirror, from the settings" in said
    assert "ModelScope: `https://modelscope.cn`" in said
    assert "Free for downloads:" in said


def test_a_repository_that_cannot_be_one_is_explained_and_makes_no_job(store: Store) -> None:
    app = fill(view("download"), repo="just-a-name")
    assert "org/name" in plain(app)
    assert store.list(verb="download") == []
    fill(app, repo="   ")
    assert store.list(verb="download") == []


def failed(store: Store, code: str, repo: str = "org/name", **params: object) -> JobRow:
    """A download that failed with ``code``."""
    row = by_hand.running(store, "download", {"repo": repo, "source": "modelscope", "name": "mine"})
    by_hand.end(store, row, "failed", PanelError(code, N_("It failed."), **params))
    return row


@pytest.mark.parametrize(
    ("code", "buttons"),
    [
        ("download_token_missing", ["Enter an access token", "Resume"]),
        ("download_token_refused", ["Enter an access token", "Resume"]),
        ("download_gated", ["Enter an access token", "Resume"]),
        ("download_repo_missing", ["Correct the name", "Enter an access token", "Resume"]),
        ("download_revision_missing", ["Correct the revision"]),
        ("model_name_taken", ["Give it another name", "Resume"]),
        ("download_pickled", ["Choose another model"]),
        ("workspace_full", ["Free room", "Resume"]),
        ("download_unreachable", ["Resume", "Set a mirror"]),
        ("download_cut_off", ["Resume"]),
    ],
)
def test_the_button_of_a_failed_download_fits_the_failure(store: Store, code: str, buttons: list[str]) -> None:
    row = failed(store, code, page="https://modelscope.cn/models/org/name")
    for app in (view("download"), job_page(row.id)):
        fixes = [button.label for button in app.button if "_fix_" in str(button.key)]
        assert fixes == buttons
    opened = [link.proto.url for link in app.main.get("link_button")]
    assert opened == (["https://modelscope.cn/models/org/name"] if code == "download_gated" else [])


def job_page(job: int) -> AppTest:
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    app.query_params["job"] = str(job)
    return app.switch_page(str(ROOT / "pages" / "jobs.py")).run()


def test_a_full_disk_is_resumed_when_there_is_room_and_not_before(store: Store) -> None:
    failed(store, "download_no_room", wanted_bytes=1)
    assert [b.label for b in view("download").button if "_fix_" in str(b.key)] == ["Resume"]
    failed(store, "download_no_room", wanted_bytes=10**18)
    app = view("download")
    free, resume = (b for b in app.button if ("_fix_" in str(b.key) and b.label != "Resume") or b.disabled)
    assert (free.label, resume.label) == ("Free room", "Resume")
    assert "It takes 1e+06 TB" in resume.help


def test_correcting_the_name_fills_the_form_with_what_was_asked_for(store: Store) -> None:
    row = failed(store, "download_repo_missing", repo="org/mispelt")
    app = press(view("download"), "Correct the name")
    assert app.text_input(key="download_repo").value == "org/mispelt"
    assert app.selectbox(key="download_source").value == "modelscope"
    assert app.selectbox(key="download_source").options == ["Hugging Face", "ModelScope"]
    fill(app, repo="org/misspelt")
    newest = store.list(verb="download")[0]
    wanted = {"repo": "org/misspelt", "source": "modelscope", "revision": "", "name": "mine"}
    assert (newest.id, store.spec(newest.id)) == (row.id + 1, wanted)
    # The address no longer says so, or a reload would undo what was typed.
    assert "again" not in app.query_params


def test_a_missing_token_leads_to_the_settings_of_that_hub_and_back(store: Store) -> None:
    failed(store, "download_token_missing")
    app = press(view("download"), "Enter an access token")
    assert app.query_params["hub"] in ("modelscope", ["modelscope"])
    assert [box.proto.expanded for box in app.expander if box.label.startswith("ModelScope")] == [True]
    assert "Back to the downloads" in [link.proto.label for link in app.main.get("page_link")]


def test_downloads_show_their_progress_and_why_one_failed(store: Store) -> None:
    running = by_hand.running(store, "download", {"repo": "org/running"})
    events = EventWriter(store.job_dir(running.id))
    events.progress("download", 250.0, 1000.0, 60.0, {"mb_per_s": 12.5, "files": 1, "files_total": 4})
    events.close()
    failed = by_hand.running(store, "download", {"repo": "org/failed"})
    by_hand.end(
        store, failed, "failed", PanelError("download_refused", N_("The hub refused '{repo}'."), "", repo="org/failed")
    )
    app = view("download")
    assert "download org/running" in plain(app)
    assert "The hub refused 'org/failed'" in plain(app)
    assert {"Cancel", "Resume"} <= set(labels(app))
    links = [link.proto.label for link in app.main.get("page_link")]
    assert links.count("Details") == 2
    app.query_params["view"] = "list"
    app.run()
    assert "download org/running" in plain(app)
