"""Mix on the Datasets page: the outcome is told while one chooses, and what cannot be is said beside the button."""

from __future__ import annotations

from collections import Counter

import pytest
from streamlit.testing.v1 import AppTest

from backend.data.store import Datasets
from backend.workspace import Workspace
from tests.support.datasets import keep, row, sums
from tests.support.datasets_page import open_datasets, press, said
from ui.datasets.state import key_of


@pytest.fixture
def app(workspace: Workspace) -> AppTest:
    keep(workspace, "Farm", sums(60))
    keep(workspace, "Persona", [row(f"Who, {n}?", "Robin.", topic="name" if n < 15 else "maker") for n in range(20)])
    opened = open_datasets(view="make")
    return press(opened, "Mix datasets")


def bars(app: AppTest) -> list[str]:
    return [str(bar.proto.text) for bar in app.get("progress")]


def make_button(app: AppTest) -> object:
    return next(
        button for button in app.button if button.label.startswith("Mix ") and button.label.endswith("datasets")
    )


def test_the_outcome_follows_the_weights_and_is_what_is_made(app: AppTest, workspace: Workspace) -> None:
    app.multiselect(key="mix_sets").set_value(["Farm", "Persona"]).run()
    assert bars(app) == ["Farm · 20 rows · 50% · of 60", "Persona · 20 rows · 50%"]
    app.number_input(key=f"mix_weight_{key_of('Farm')}").set_value(3.0).run()
    assert bars(app) == ["Farm · 60 rows · 75%", "Persona · 20 rows · 25%"]
    assert make_button(app).disabled, "it has no name yet"  # type: ignore[attr-defined]
    assert "Give it a name." in said(app)
    app.text_input(key="mix_name").set_value("Both").run()
    press(app, "Mix 2 datasets")
    version = Datasets(workspace).open("Both")
    assert Counter(each["meta"]["source"] for each in version) == {"Farm": 60, "Persona": 20}
    assert [source["dataset"] for source in version.info.made_from] == ["Farm", "Persona"]
    assert app.query_params["set"] in ("Both", ["Both"]), "and it is open"


def test_a_size_that_cannot_be_is_told_and_repeats_make_it_possible(app: AppTest, workspace: Workspace) -> None:
    app.multiselect(key="mix_sets").set_value(["Farm", "Persona"])
    app.text_input(key="mix_name").set_value("Both")
    app.segmented_control(key="mix_how").set_value("size").run()
    app.number_input(key="mix_size").set_value(80).run()
    assert "takes 40 from 'Persona', which offers 20" in said(app)
    assert make_button(app).disabled  # type: ignore[attr-defined]
    app.checkbox(key="mix_repeat").check().run()
    assert bars(app) == ["Farm · 40 rows · 50% · of 60", "Persona · 40 rows · 50% · each about 2.0 times"]
    press(app, "Mix 2 datasets")
    assert len(Datasets(workspace).open("Both")) == 80


def test_kinds_are_balanced_and_the_outcome_says_so_before(app: AppTest, workspace: Workspace) -> None:
    app.multiselect(key="mix_sets").set_value(["Persona"])
    app.text_input(key="mix_name").set_value("Even").run()
    app.selectbox(key="mix_balance").set_value("topic").run()
    assert bars(app) == ["Persona · 10 rows · 100% · of 20"]
    press(app, "Mix 1 dataset")
    assert Counter(each["meta"]["topic"] for each in Datasets(workspace).open("Even")) == {"name": 5, "maker": 5}


def test_a_name_that_is_taken_is_said_to_get_a_new_version(app: AppTest) -> None:
    app.multiselect(key="mix_sets").set_value(["Farm"])
    app.text_input(key="mix_name").set_value("Farm").run()
    assert "the mix becomes a new version of it" in said(app)
