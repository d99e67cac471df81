"""Settings: limits are checked and kept, variables win, keys are shown once, the token only on request."""

from __future__ import annotations

import stat

import pytest
from streamlit.testing.v1 import AppTest

from backend import hubs, settings
from backend.web.keys import Keys
from backend.web.token import Token
from backend.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.support.page_text import text


def submit(app, label: str):  # type: ignore[no-untyped-def]
    return next(b for b in app.button if b.label == label).click().run()


def test_limits_are_saved_and_read_back(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.number_input(key="set_cpu_slots").set_value(3)
    app.number_input(key="set_grace_int_s").set_value(42.5)
    submit(app, "Save limits")
    assert not app.exception
    assert (settings.load(workspace).cpu_slots, settings.load(workspace).grace_int_s) == (3, 42.5)
    assert open_page("settings").number_input(key="set_cpu_slots").value == 3


def test_a_setting_from_the_environment_cannot_be_changed_here_and_says_so(
    open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_CPU_SLOTS", "7")
    app = open_page("settings")
    assert app.number_input(key="set_cpu_slots").disabled
    assert app.number_input(key="set_cpu_slots").value == 7
    assert "Set by the variable TUNEDECK_CPU_SLOTS" in text(app)
    submit(app, "Save limits")
    assert "cpu_slots" not in workspace.settings_file.read_text()


def test_a_settings_file_that_is_no_json_gives_the_error_card_on_every_page(
    open_page: OpenPage, workspace: Workspace
) -> None:
    workspace.settings_file.write_text("{broken")
    app = open_page("home")
    assert "is not readable JSON" in text(app)
    assert "delete it to go back to the defaults" in text(app)


def test_the_language_for_new_visitors_is_kept_and_used(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.selectbox(key="set_language").set_value("zh_CN").run()
    assert settings.load(workspace).language == "zh_CN"
    assert open_page("home").session_state["language"] == "zh_CN"


def test_a_key_is_shown_until_copied_works_and_can_be_revoked(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.text_input(key="key_name").set_value("notebook")
    submit(app, "Create key")
    assert not app.exception
    shown = [code.value for code in app.code if code.value.startswith("td-")]
    assert len(shown) == 1
    assert Keys(workspace).check(shown[0]) is not None
    app.run()
    assert shown[0] in text(app)  # a redraw does not take it away before it was copied
    submit(app, "I have copied it")
    assert shown[0] not in text(app)
    assert shown[0] not in text(open_page("settings"))
    submit(app, "Revoke notebook")
    assert Keys(workspace).list() == []
    assert Keys(workspace).check(shown[0]) is None


def test_a_second_key_of_that_name_is_refused_in_words(open_page: OpenPage, workspace: Workspace) -> None:
    Keys(workspace).create("notebook")
    app = open_page("settings")
    app.text_input(key="key_name").set_value("notebook")
    submit(app, "Create key")
    assert "There is a key called 'notebook' already." in text(app)
    assert len(Keys(workspace).list()) == 1


def test_the_login_token_is_not_on_the_page_until_somebody_asks(open_page: OpenPage, workspace: Workspace) -> None:
    token = Token(workspace).ensure()
    app = open_page("settings")
    assert token not in text(app)
    app.session_state["login_link"] = True
    app.run()
    assert f"/?token={token}" in text(app)


def test_a_new_login_link_locks_the_old_one_out(open_page: OpenPage, workspace: Workspace) -> None:
    old = Token(workspace).ensure()
    submit(open_page("settings"), "Log everyone out")
    assert not Token(workspace).matches(old)


TOKEN = "hf_" + "Zx9" * 8


def everywhere(app: AppTest) -> str:
    """All that the page sent to the browser, and all that the session keeps."""
    sent = [str(node.proto) for node in app.main if hasattr(node, "proto")]
    return "\n".join([text(app), *sent, repr(app.session_state)])


def test_a_hub_token_is_kept_replaced_and_forgotten_and_never_shown_again(
    open_page: OpenPage, workspace: Workspace
) -> None:
    file = hubs.token_file(workspace, "huggingface")
    app = open_page("settings")
    assert str(file) in text(app)
    app.text_input(key="hub_token_text_huggingface").set_value(f" {TOKEN} ")
    submit(app, "Keep token")
    assert not app.exception
    assert hubs.read_token(workspace, "huggingface") == TOKEN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert app.text_input(key="hub_token_text_huggingface").value == ""
    for shown in (app, open_page("settings")):
        assert TOKEN not in everywhere(shown)
        assert "An access token is kept here since" in text(shown)
    app.text_input(key="hub_token_text_huggingface").set_value("hf_anotherone")
    submit(app, "Replace token")
    assert hubs.read_token(workspace, "huggingface") == "hf_anotherone"
    submit(app, "Forget the token for Hugging Face")
    assert not file.exists()
    assert "An access token is kept here since" not in text(app)


def test_what_cannot_be_a_token_is_refused_without_repeating_it(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.text_input(key="hub_token_text_modelscope").set_value("my secret word")
    app.button(key="hub_token_keep_modelscope").click().run()
    assert "This cannot be an access token for ModelScope" in text(app)
    assert "my secret word" not in everywhere(app)
    assert not hubs.token_file(workspace, "modelscope").exists()


def test_a_mirror_is_kept_and_one_that_is_no_address_is_refused(open_page: OpenPage, workspace: Workspace) -> None:
    app = open_page("settings")
    app.text_input(key="hub_mirror_text_huggingface").set_value("https://hf-mirror.com/")
    submit(app, "Save mirror")
    assert settings.load(workspace).hf_endpoint == "https://hf-mirror.com"
    app.text_input(key="hub_mirror_text_huggingface").set_value("hf-mirror.com")
    submit(app, "Save mirror")
    assert "an address begins with https://" in text(app)
    assert settings.load(workspace).hf_endpoint == "https://hf-mirror.com"


def test_a_mirror_from_the_environment_cannot_be_changed_here(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEDECK_MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    app = open_page("settings")
    assert app.text_input(key="hub_mirror_text_modelscope").disabled
    assert "Set by the variable TUNEDECK_MODELSCOPE_ENDPOINT" in text(app)
