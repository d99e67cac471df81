"""Any spec class becomes a form, and what the form gives is what the spec takes."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def form() -> None:
    from typing import Annotated, ClassVar, Literal

    import streamlit as st
    from pydantic import Field

    from backend.specs.base import Spec
    from ui import spec_form

    class Sample(Spec):
        verb: ClassVar[str] = "sample"
        model: str = Field("starter", description="Which model")
        epochs: int = Field(3, ge=1, lt=10)
        rate: float = Field(2e-5, gt=0)
        method: Literal["lora", "full"] = "lora"
        save_s: float = 1.5
        packing: bool = True
        seed: int | None = None
        stop: str | None = None
        rank: Annotated[int, Field(ge=1)] = 8
        layers: list[int] = Field(default_factory=lambda: [1, 2])
        needed: int = Field(ge=5)

    given = st.session_state.get("given", {})
    st.session_state["result"] = spec_form.draw(Sample, given, key="f")


def run(**given: object) -> AppTest:
    app = AppTest.from_function(form)
    app.session_state["given"] = given
    app.run()
    assert not app.exception
    return app


DEFAULTS = {
    "model": "starter",
    "epochs": 3,
    "rate": 2e-5,
    "method": "lora",
    "save_s": 1.5,
    "packing": True,
    "seed": None,
    "stop": None,
    "rank": 8,
    "layers": [1, 2],
    "needed": 5,
}


def test_untouched_it_gives_the_defaults_each_of_its_own_type() -> None:
    result = run().session_state["result"]
    assert result == DEFAULTS
    assert {name: type(value) for name, value in result.items()} == {n: type(v) for n, v in DEFAULTS.items()}


def test_stored_values_fill_it_even_where_the_limits_have_changed_since() -> None:
    result = run(epochs=99, method="full", seed=7, layers=[4], packing=False).session_state["result"]
    assert result == {**DEFAULTS, "epochs": 9, "method": "full", "seed": 7, "layers": [4], "packing": False}


def test_what_a_person_chooses_comes_back() -> None:
    app = run()
    app.text_input(key="f_model").set_value("我的模型")
    app.number_input(key="f_rate").set_value(1e-4)
    app.selectbox(key="f_method").select("full")
    app.checkbox(key="f_packing").uncheck()
    app.text_input(key="f_stop").set_value("###")
    app.text_area(key="f_layers").set_value("[3]")
    app.run()
    assert app.session_state["result"] == {
        **DEFAULTS,
        "model": "我的模型",
        "rate": 1e-4,
        "method": "full",
        "packing": False,
        "stop": "###",
        "layers": [3],
    }


def test_text_that_is_no_json_is_left_for_the_spec_to_name() -> None:
    app = run()
    app.text_area(key="f_layers").set_value("[3").run()
    assert app.session_state["result"]["layers"] == "[3"


def test_four_choices_are_in_sight_with_help_and_units_and_the_rest_is_folded() -> None:
    app = run()
    assert app.text_input(key="f_model").help == "Which model"
    folded = app.expander[0]
    assert [n.label for n in folded.number_input] == ["Save (s)", "Seed", "Rank", "Needed"]
    assert app.number_input(key="f_epochs").max == 9
