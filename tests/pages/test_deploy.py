"""Deploy: the plan beside the choices, the start, the running servers with their load, what ended and why, and Connect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from backend import catalog, servers
from backend.deploy.connect import KEY_VARIABLE, snippets
from backend.errors import ServerError
from backend.queue import lifecycle
from backend.queue.store import Store
from backend.web.keys import Keys
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support import models
from tests.support.page_text import labels, text
from tests.support.stub_openai import Stub, published, stub


@pytest.fixture
def server(store: Store) -> Iterator[Stub]:
    """A model called ``stub`` that answers."""
    with stub() as running, published(store, running):
        yield running


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "")


def view(app: AppTest, name: str, **query: str) -> AppTest:
    for key, value in {"view": name, **query}.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def failed(store: Store, code: str, **spec: object) -> int:
    """A server that ended with the failure ``code``."""
    row = store.submit("serve", {"model": "starter", "name": "starter", "engine": "transformers", **spec})
    error = ServerError(code, "The memory was not enough to serve '{model}': {line}", "Stop other servers.",
                        model="starter", line="Killed")  # fmt: skip
    with store.write() as db:
        db.execute("UPDATE jobs SET state = 'running', attempt = 1, started = created WHERE id = ?", (row.id,))
    end = {"attempt": 1, "state": "failed", "ended": row.created + 1, "elapsed": 1.0, "error": error.to_dict()}
    assert lifecycle.finish(store, row.id, 1, end)
    return row.id


# --- the start


def test_the_starter_is_planned_before_it_is_started_and_the_button_makes_that_server(
    open_page: OpenPage, store: Store
) -> None:
    app = open_page("deploy")
    said = plain(app)
    assert "transformers loads starter on the processor." in said
    assert "It gives one answer at a time." in said
    assert "A conversation may have 4,096 tokens" in said
    assert "that are free now (estimate)" in said
    press(app, "Start starter")
    (row,) = store.queue()
    assert (row.title, row.verb) == ("starter", "serve")
    assert {"engine": "transformers", "continuous_batching": "off"}.items() <= store.spec(row.id).items()
    assert "waiting" in text(app)
    assert f"Job {row.id} starts starter." in [toast.value for toast in app.toast]
    press(app, "Cancel")
    assert store.queue() == []


def test_people_and_memory_change_the_plan_and_what_is_submitted(open_page: OpenPage, store: Store) -> None:
    app = open_page("deploy")
    app.number_input(key="deploy_people").set_value(8).run()
    assert "Answers are computed together, so that 8 people need not wait" in plain(app)
    app.number_input(key="deploy_memory").set_value(0.46).run()
    assert "the others wait for their turn" in plain(app)
    press(app, "Start starter")
    spec = store.spec(store.queue()[0].id)
    assert spec["continuous_batching"] == "off"
    assert 256 <= spec["context_length"] < 4096


def test_too_little_memory_says_why_and_nothing_can_be_started(open_page: OpenPage) -> None:
    app = open_page("deploy")
    app.number_input(key="deploy_memory").set_value(0.1).run()
    assert "needs at least 0.4 GiB, and may take 0.1 GiB." in plain(app)
    assert next(button for button in app.button if button.label == "Start starter").disabled


def test_more_settings_win_and_what_is_wrong_is_said_beside_the_button(open_page: OpenPage, store: Store) -> None:
    app = open_page("deploy")
    app.number_input(key="deploy_spec_context_length").set_value(1024).run()
    app.text_input(key="deploy_spec_name").set_value("for class").run()
    assert "A conversation may have 1,024 tokens" in plain(app)
    app.selectbox(key="deploy_spec_device").set_value("cuda").run()
    assert "**Computes on** · This machine shows no NVIDIA GPU" in plain(app)
    assert next(button for button in app.button if button.label == "Start starter").disabled
    app.selectbox(key="deploy_spec_device").set_value("cpu").run()
    press(app, "Start starter")
    spec = store.spec(store.queue()[0].id)
    assert (spec["name"], spec["context_length"], spec["device"]) == ("for class", 1024, "cpu")


def test_a_server_that_failed_because_its_engine_is_not_installed_leads_to_where_that_is_mended(
    open_page: OpenPage, store: Store
) -> None:
    failed(store, "engine_missing_environment")
    assert "Open Environments" in labels(open_page("deploy"))
    failed(store, "engine_crashed")
    assert "Open Environments" not in labels(open_page("deploy"))


def test_engines_and_models_that_cannot_serve_here_are_named_with_the_reason(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    app = open_page("deploy")
    assert app.selectbox(key="deploy_model").options == ["starter"]
    assert app.selectbox(key="deploy_engine").options == ["transformers"]
    assert any("LMDeploy" in caption.value for caption in app.caption)
    assert "1 model cannot be served here" in [expander.label for expander in app.expander]
    assert "lora · 'lora' was trained on a model with a, and its base" in plain(app).replace("*", "")


def test_an_adapter_is_deployed_like_a_model_and_says_what_it_is_loaded_with(
    open_page: OpenPage, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    catalog.add(workspace, models.folder(tmp_path / "plain"))
    catalog.add(workspace, models.adapter(tmp_path / "lora", "plain", shapes=models.lora_shapes()))
    app = open_page("deploy")
    assert app.selectbox(key="deploy_model").options == ["starter", "lora", "plain"]
    app.selectbox(key="deploy_model").set_value("lora").run()
    assert any("its base plain is loaded" in caption.value for caption in app.caption)
    assert "transformers loads plain with the adapter lora on the processor." in plain(app)
    assert "A conversation may have 128 tokens" in plain(app)
    press(app, "Start lora")
    assert store.spec(store.queue()[0].id)["model"] == "lora"


def test_the_address_names_the_model(open_page: OpenPage, workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "mine"))
    app = open_page("models")
    assert "Deploy with settings" in [link.proto.label for link in app.main.get("page_link")]
    app.query_params["model"] = "mine"
    app.switch_page(str(ROOT / "pages" / "deploy.py")).run()
    assert app.selectbox(key="deploy_model").value == "mine"
    assert "Start mine" in labels(app)


def test_the_exact_command_is_shown_on_request_and_holds_the_settings(open_page: OpenPage) -> None:
    app = open_page("deploy")
    assert not any("jobs.serve" in code.value for code in app.code)
    app.session_state["deploy_command"] = True
    app.run()
    job, engine = (code.value for code in app.code)
    assert "-m jobs.serve serve.json" in job
    assert json.dumps("transformers") in job
    assert "-m jobs.serving.engine" in engine


# --- the servers


def test_a_running_server_shows_its_load_and_where_it_answers(open_page: OpenPage, server: Stub) -> None:
    app = open_page("deploy")
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Computing now"] == "1"
    assert figures["Waiting"] == "2"
    assert figures["KV cache"] == "25%"
    assert figures["Requests so far"] == "0"
    assert figures["Tokens/s"] == "…"
    assert "ready" in text(app)
    assert "/v1`" in text(app)
    assert {"Talk to it", "Connect a program", "Restart", "Stop server"} <= set(labels(app))
    assert "Sleep" not in labels(app)


def test_a_server_whose_counters_do_not_answer_says_so_and_shows_no_figure(
    open_page: OpenPage, store: Store, server: Stub
) -> None:
    server.kill()
    app = open_page("deploy")
    assert "does not tell its counters" in plain(app)
    assert not app.metric


def test_one_that_can_sleep_offers_it_and_asleep_it_only_offers_to_wake(
    open_page: OpenPage, store: Store, server: Stub
) -> None:
    (row,) = store.list(verb="serve")
    published_now = replace(server.server, job_id=row.id, sleeps=True)
    servers.publish(store.job_dir(row.id), published_now)
    app = open_page("deploy")
    assert "Sleep" in labels(app)
    servers.publish(store.job_dir(row.id), replace(published_now, asleep=True))
    app.run()
    assert "asleep" in text(app)
    assert "Wake" in labels(app)
    assert not {"Sleep", "Talk to it", "Connect a program"} & set(labels(app))


def test_stop_and_restart_with_other_settings(open_page: OpenPage, store: Store) -> None:
    app = press(open_page("deploy"), "Start starter")
    first = store.queue()[0].id
    app.number_input(key="deploy_people").set_value(8).run()
    assert f"It runs as job {first}." in plain(app)
    press(app, "Restart starter with these settings")
    assert store.get(first).state == "cancelled"
    (second,) = store.queue()
    assert store.spec(second.id)["continuous_batching"] == "on"


def test_a_failure_says_why_and_offers_the_likely_fix(open_page: OpenPage, store: Store) -> None:
    failed(store, "engine_out_of_memory", context_length=2048)
    app = open_page("deploy")
    assert "The memory was not enough to serve 'starter': Killed" in plain(app)
    press(app, "Start again with less memory")
    (row,) = store.queue()
    assert store.spec(row.id)["context_length"] == 1024
    assert "The memory was not enough" not in plain(app)


def test_a_failure_without_a_known_fix_can_be_tried_again_and_a_stopped_server_too(
    open_page: OpenPage, store: Store
) -> None:
    failed(store, "engine_crashed", context_length=2048)
    app = press(open_page("deploy"), "Start again")
    (row,) = store.queue()
    assert store.spec(row.id)["context_length"] == 2048
    press(app, "Cancel")
    press(app, "Start again")
    assert [again.id for again in store.queue()] == [row.id + 1]


# --- Connect


def test_without_a_server_connect_says_so_and_leads_to_the_servers(open_page: OpenPage) -> None:
    app = view(open_page("deploy"), "connect")
    assert "No model answers now" in text(app)
    press(app, "Go to the servers")
    assert "Start starter" in labels(app)


def test_connect_shows_every_example_for_the_model_in_the_address(
    open_page: OpenPage, store: Store, server: Stub
) -> None:
    with stub("another") as other, published(store, other):
        app = view(open_page("deploy"), "connect", model="stub")
        assert app.selectbox(key="connect_model").value == "stub"
        shown = [code.value for code in app.code]
        here = next(value for value in shown if value.endswith("/v1")).removesuffix("/v1")
        expected = snippets(here, "stub", "Who are you?")
        assert [snippet.name for snippet in expected if snippet.text.strip() not in shown] == []
        assert any(value.startswith("ssh -N -L") for value in shown)
        app.selectbox(key="connect_model").set_value("another").run()
        assert '"another"' in app.code[-2].value


def test_a_key_made_here_stands_in_the_export_line_until_it_was_copied(
    open_page: OpenPage, workspace: Workspace, server: Stub
) -> None:
    app = view(open_page("deploy"), "connect")
    assert f"export {KEY_VARIABLE}=..." in [code.value for code in app.code]
    app.text_input(key="key_name").set_value("notebook")
    press(app, "Create key")
    line = next(code.value for code in app.code if code.value.startswith("export"))
    key = line.removeprefix(f"export {KEY_VARIABLE}=")
    assert Keys(workspace).check(key) is not None
    press(app, "I have copied it")
    assert not any(key in code.value for code in app.code)
