"""Models: the list and what its cards say, starting and stopping, consent to code, removal, and how a program connects."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.queue.store import Store
from backend.workspace import ROOT, Workspace
from tests.pages.conftest import OpenPage
from tests.support import models
from tests.support.page_text import labels, text
from ui.models import list as models_list

STARTER = ROOT / "models" / "starter"


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def key_of(name: str) -> str:
    """What the widgets of the model ``name`` are called after."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def unfold(app: AppTest, name: str, part: str = "details") -> AppTest:
    """The page with ``part`` of the model ``name`` open."""
    app.session_state[f"{part}_{key_of(name)}"] = True
    app.run()
    assert not app.exception
    return app


def plain(app: AppTest) -> str:
    """What is written on the page, without Markdown's escapes, and the cells of its tables."""
    cells = [str(value) for table in app.table for value in table.value.to_numpy().ravel()]
    return "\n".join([text(app), *cells]).replace("\\", "")


def test_the_starter_is_listed_with_size_parameters_and_context(open_page: OpenPage) -> None:
    app = open_page("models")
    assert "starter" in text(app)
    assert "parameters · context 4,096 tokens" in plain(app)
    assert "Start server" in labels(app)


def test_a_model_that_broke_later_hides_no_other_says_what_is_broken_and_cannot_be_started(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(STARTER, tmp_path / "gone")
    catalog.add(workspace, tmp_path / "gone", "gone")
    shutil.rmtree(tmp_path / "gone")
    app = open_page("models")
    assert "not usable" in text(app)
    assert f"There is no model folder at {tmp_path / 'gone'}" in plain(app)
    assert labels(app).count("Start server") == 1


def test_a_pointer_file_and_pickled_weights_are_errors_with_a_way_out(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    for name in ("pointer", "pickled"):
        catalog.add(workspace, models.folder(tmp_path / name), name)
    models.pointer(tmp_path / "pointer" / "model.safetensors")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    app = open_page("models")
    assert "git lfs pull" in plain(app)
    assert "pytorch_model.bin" in plain(app)
    assert labels(app).count("Start server") == 1


def test_start_makes_a_job_that_waits_visibly_and_stop_ends_it(open_page: OpenPage, store: Store) -> None:
    app = press(open_page("models"), "Start server")
    assert [row.title for row in store.queue()] == ["starter"]
    assert "waiting" in text(app)
    press(app, "Stop server")
    assert store.queue() == []
    assert "not running" in text(app)


def test_a_card_says_quantization_sight_licence_and_whose_adapter(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    vision = models.folder(tmp_path / "eyes", vision_config={"model_type": "clip"})
    (vision / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    catalog.add(workspace, vision)
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    app = open_page("models")
    assert "sees images" in plain(app)
    assert "licence apache-2.0" in plain(app)
    assert "adapter of starter" in plain(app)
    assert "'lora' was trained on a model with a, and its base 'starter' (LlamaForCausalLM) has no such part" in plain(
        app
    )
    assert labels(app).count("Start server") == 2
    assert "lora" in plain(unfold(app, "starter"))
    assert "on the list as starter" in plain(unfold(app, "lora"))


def test_an_adapter_that_fits_is_usable_and_one_without_its_base_leads_to_adding_it(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    catalog.add(workspace, models.folder(tmp_path / "plain"))
    catalog.add(workspace, models.adapter(tmp_path / "good", "plain", shapes=models.lora_shapes()))
    catalog.add(workspace, models.adapter(tmp_path / "lost", "org/other", shapes=models.lora_shapes()))

    def links(app: AppTest) -> list[str]:
        return [link.proto.label for link in app.main.get("page_link")]

    app = open_page("models")
    assert labels(app).count("Start server") == 3
    assert "'lost' is an adapter of org/other, and that model is not on the list" in plain(app)
    assert labels(app).count("Add its base") == 1
    app.segmented_control(key="models_kind").set_value("usable").run()
    assert "adapter of plain" in plain(app)
    assert "adapter of org/other" not in plain(app)
    assert "Add its base" not in labels(app)
    unfold(app, "good")
    assert "Base versus tuned: ask both the same" in links(app)
    assert "that of its base: yes" in plain(app)
    app.segmented_control(key="models_kind").set_value("adapters").run()
    next(button for button in app.button if button.label == "Add its base").click().run()
    assert "Add to the list" in labels(app)


def test_filters_sorting_and_search_narrow_the_list(open_page: OpenPage, workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "store" / "large", width=4096))
    catalog.add(workspace, models.adapter(tmp_path / "lora", "starter"))
    catalog.add(workspace, models.folder(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    app = open_page("models")

    def names() -> list[str]:
        return [name for m in app.markdown if (name := m.value.strip("*")) in ("starter", "large", "lora", "gone")]

    assert names() == ["starter", "gone", "large", "lora"]
    for kind, left in (("usable", ["starter", "large"]), ("adapters", ["lora"]), ("broken", ["gone"])):
        app.segmented_control(key="models_kind").set_value(kind).run()
        assert names() == left
    app.segmented_control(key="models_kind").set_value("all").run()
    app.selectbox(key="models_order").set_value("size").run()
    assert names()[0] == "large"
    app.selectbox(key="models_order").set_value("added").run()
    assert names()[0] == "gone"
    app.text_input(key="models_search").set_value("STORE llama").run()
    assert names() == ["large"]
    app.text_input(key="models_search").set_value("nothing like it").run()
    assert names() == []
    assert "No model here is like that" in text(app)


def test_a_thousand_models_and_a_broken_one_draw_what_is_shown_and_the_rest_on_request(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    folder = models.folder(tmp_path / "one")
    for number in range(1000):
        catalog.add(workspace, folder, f"model {number:03}")
    catalog.add(workspace, models.folder(tmp_path / "gone"), "model 001 broken")
    shutil.rmtree(tmp_path / "gone")
    app = open_page("models")
    assert labels(app).count("Start server") == models_list.SHOWN - 1  # the broken one has none
    assert f"There is no model folder at {tmp_path / 'gone'}" in plain(app)
    press(app, f"Show {models_list.MORE} more")
    assert labels(app).count("Start server") == models_list.SHOWN + models_list.MORE - 1
    app.segmented_control(key="models_kind").set_value("broken").run()
    assert labels(app).count("Start server") == 0
    assert "model 001 broken" in text(app)
    app.segmented_control(key="models_kind").set_value("all").run()
    assert labels(app).count("Start server") == models_list.SHOWN + models_list.MORE - 1  # back to where it was
    app.text_input(key="models_search").set_value("model").run()
    assert labels(app).count("Start server") <= models_list.SHOWN  # another search begins at the top


def test_details_say_what_made_a_model_and_lead_to_that_job(
    open_page: OpenPage, workspace: Workspace, store: Store
) -> None:
    job = store.submit("drill", {"steps": 1})
    folder = models.folder(store.job_dir(job.id) / "model")
    catalog.write_lineage(folder, Lineage(job=job.id, verb="drill", base="starter", dataset="persona"))
    catalog.add(workspace, folder, "mine")
    app = unfold(open_page("models"), "mine")
    said = plain(app)
    assert f"job {job.id} · Practice job" in said
    assert "persona" in said
    assert "estimate" in said
    assert "Whole folder" in str([table.value for table in app.table])
    assert f"Job {job.id} made it" in [link.proto.label for link in app.main.get("page_link")]


def with_code(path: Path) -> Path:
    models.folder(path, architectures=["OddForCausalLM"], auto_map={"AutoModelForCausalLM": "odd.OddForCausalLM"})
    (path / "odd.py").write_text("print('this runs')\n")
    return path


def test_code_is_named_and_shown_then_allowed_and_taken_back(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    catalog.add(workspace, with_code(tmp_path / "odd"))
    app = open_page("models")
    assert "needs your consent" in text(app)
    assert "odd.py (19 B)" in plain(app)
    assert labels(app).count("Start server") == 1
    app.session_state[f"code_{key_of('odd')}_0"] = True
    unfold(app, "odd")
    assert "print('this runs')" in [block.value.strip() for block in app.code]
    press(app, "Allow this 1 file to run")
    assert catalog.code_is_allowed(workspace, "odd")
    assert labels(app).count("Start server") == 2
    press(app, "Take the consent back")
    assert not catalog.code_is_allowed(workspace, "odd")


def test_code_that_changed_since_it_was_shown_is_not_allowed(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    catalog.add(workspace, with_code(tmp_path / "odd"))
    app = unfold(open_page("models"), "odd")
    (tmp_path / "odd" / "odd.py").write_text("print('something else')\n")
    press(app, "Allow this 1 file to run")
    assert "is not the one that you looked at" in plain(app)
    assert not catalog.code_is_allowed(workspace, "odd")


def test_code_that_is_not_in_the_folder_cannot_be_allowed(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    elsewhere = {"AutoModelForCausalLM": "org/elsewhere--odd.OddForCausalLM"}
    folder = models.folder(tmp_path / "odd", architectures=["OddForCausalLM"], auto_map=elsewhere)
    catalog.add(workspace, folder)
    app = unfold(open_page("models"), "odd")
    assert "is not in the folder" in text(app)
    assert not [label for label in labels(app) if label.startswith("Allow")]


def test_code_that_the_engine_has_itself_is_said_not_to_run_and_nothing_is_asked(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    folder = models.folder(tmp_path / "known", auto_map={"AutoModelForCausalLM": "odd.LlamaForCausalLM"})
    (folder / "odd.py").write_text("print('this does not run')\n")
    catalog.add(workspace, folder)
    app = unfold(open_page("models"), "known")
    assert "none of it runs" in plain(app)
    assert "odd.py" in plain(app)
    assert "needs your consent" not in text(app)
    assert labels(app).count("Start server") == 2


def test_a_tokenizer_without_template_is_offered_known_ones_and_takes_one(
    open_page: OpenPage, workspace: Workspace, tmp_path: Path
) -> None:
    models.change(models.folder(tmp_path / "bare") / "tokenizer_config.json", chat_template=None)
    catalog.add(workspace, tmp_path / "bare")
    app = unfold(open_page("models"), "bare")
    assert "No chat template." in text(app)
    choice = app.selectbox(key=f"template_choice_{key_of('bare')}")
    choice.select_index([option.startswith("Llama 3") for option in choice.options].index(True)).run()
    assert "Its tokenizer does not know <|start_header_id|>" in plain(app)
    press(app, "Use Llama 3")
    assert catalog.find(workspace, "bare").template_chosen == "llama3"
    assert "llama3, chosen here" in plain(app)
    press(app, "Take the template back")
    assert not catalog.find(workspace, "bare").chat_template
    # What has a template is left alone.
    assert "template_choice" not in str(unfold(open_page("models"), "starter").selectbox)


def test_removing_a_linked_model_leaves_its_folder(open_page: OpenPage, workspace: Workspace, tmp_path: Path) -> None:
    catalog.add(workspace, models.folder(tmp_path / "mine"))
    app = unfold(open_page("models"), "mine")
    unfold(app, "mine", "removing")
    assert "Only the entry goes" in text(app)
    assert not app.checkbox
    press(app, "Remove mine")
    assert [card.name for card in catalog.models(workspace)] == ["starter"]
    assert (tmp_path / "mine" / "config.json").is_file()


def test_removing_what_was_downloaded_deletes_its_files_only_when_that_is_ticked(
    open_page: OpenPage, workspace: Workspace
) -> None:
    for name in ("kept", "deleted"):
        catalog.add(workspace, models.folder(workspace.downloads / name))
    app = open_page("models")
    for name in ("kept", "deleted"):
        unfold(app, name)
        unfold(app, name, "removing")
        if name == "deleted":
            assert "Delete its 4 files" in app.checkbox[0].label
            app.checkbox[0].check().run()
        press(app, next(label for label in labels(app) if label.startswith(f"Remove {name}")))
    assert [card.name for card in catalog.models(workspace)] == ["starter"]
    assert (workspace.downloads / "kept" / "config.json").is_file()
    assert not (workspace.downloads / "deleted").exists()


def test_removing_says_which_adapters_need_it_and_keeps_files_that_a_job_uses(
    open_page: OpenPage, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    catalog.add(workspace, models.folder(workspace.downloads / "base"))
    catalog.add(workspace, models.adapter(tmp_path / "lora", "base"))
    job = store.submit("serve", {"model": "base"})
    app = unfold(open_page("models"), "base")
    unfold(app, "base", "removing")
    assert "These adapters need it: lora" in plain(app)
    assert "It is being served: base" in plain(app)
    assert f"Job {job.id} uses them now" in plain(app)
    assert app.checkbox[0].disabled


def test_the_address_chooses_the_part_and_one_that_is_none_shows_the_list(open_page: OpenPage) -> None:
    app = open_page("models")
    for view, button in (("add", "Add to the list"), ("download", "Download model"), ("nonsense", "Start server")):
        app.query_params["view"] = view
        app.run()
        assert button in labels(app)
