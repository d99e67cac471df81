"""What the table of failures proposes for a training can really be set: a button that changes nothing is worse than none."""

from __future__ import annotations

import pytest

from backend.diagnosis import ROWS, Fix, Row, fixes, rows_training
from backend.specs import spec_class, takes, verbs
from backend.specs.finetune import FinetuneSpec

NOT_YET = {"calibration", "calib_dataset", "calib_samples", "calib_seqlen", "subjects", "endpoint"}
"""Fields of kinds of work that are still to come: quantize, evaluate, agent."""


def specs_of(rows: tuple[Row, ...]) -> list[tuple[str, Fix]]:
    return [(row.code, fix) for row in rows for fix in row.fixes if fix.kind == "spec"]


@pytest.mark.parametrize(("code", "fix"), specs_of(rows_training.ROWS), ids=lambda value: getattr(value, "name", value))
def test_what_helps_a_training_is_a_field_of_its_spec_and_a_value_that_it_takes(code: str, fix: Fix) -> None:
    assert fix.name in FinetuneSpec.model_fields, code
    assert takes("finetune", fix.name, fix.value), f"{code}: {fix.name} = {fix.value!r}"


def test_every_other_field_that_is_proposed_belongs_to_some_kind_of_job() -> None:
    known = {field for verb in verbs() for field in spec_class(verb).model_fields} | NOT_YET
    assert {fix.name for _, fix in specs_of(ROWS)} <= known


def test_a_value_that_is_proposed_is_one_of_some_kind_of_job() -> None:
    for code, fix in specs_of(ROWS):
        if fix.name not in NOT_YET:
            assert any(takes(verb, fix.name, fix.value) for verb in verbs()), f"{code}: {fix.name} = {fix.value!r}"


def test_a_field_is_taken_with_its_own_values_only() -> None:
    assert takes("finetune", "method", "qlora")
    assert not takes("finetune", "method", "nf4")
    assert not takes("finetune", "engine", "transformers"), "that is an engine of serve"
    assert takes("serve", "engine", "transformers")
    assert not takes("finetune", "quantization")
    assert not takes("finetune", "batch_size", 0)
    assert takes("finetune", "max_length"), "which length helps nobody can say: the field is enough"


def test_out_of_memory_proposes_qlora_in_the_words_of_the_spec() -> None:
    assert (fixes.FOUR_BIT.name, fixes.FOUR_BIT.value) == ("method", "qlora")
