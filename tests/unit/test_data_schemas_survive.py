"""Any accepted row survives export and import in every format that says it can hold it; and a format that cannot says so."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from backend.data import schemas
from backend.data.rows import IMAGE, Row, trained
from backend.data.schemas import NAMES, Mapping, detect, from_row, losses, to_row
from backend.errors import DataError
from tests.support.data_rows import any_json, rows


def there_and_back(row: Row, to: str) -> Row:
    record = orjson.loads(orjson.dumps(from_row(row, to)))
    return to_row(record, detect([record]).mapping)


def read(record: dict[str, Any], mapping: Mapping) -> tuple[Row, DataError | None]:
    try:
        return to_row(record, mapping), None
    except DataError as error:
        return {"messages": []}, error


@pytest.mark.parametrize("to", NAMES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(row=rows())
def test_what_a_format_claims_to_hold_comes_back_as_it_was(to: str, row: Row) -> None:
    before = copy.deepcopy(row)
    said = losses(row, to)
    assert set(said) <= set(schemas.LOSSES)
    record = from_row(row, to)
    assert row == before, "the row itself was changed"
    if not said:
        assert there_and_back(row, to) == row
        # Also where nobody looked at the record before.
        assert to_row(orjson.loads(orjson.dumps(record)), Mapping(to)) == row


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=rows())
def test_openai_messages_hold_every_row(row: Row) -> None:
    assert losses(row, "openai") == []


@pytest.mark.parametrize("to", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row=rows())
def test_where_something_is_lost_it_is_lost_once(to: str, row: Row) -> None:
    if "no_answer" in losses(row, to):
        return
    once = there_and_back(row, to)
    if losses(once, to) == []:
        assert there_and_back(once, to) == once


@settings(max_examples=120, deadline=None)
@given(
    record=st.dictionaries(
        st.sampled_from([*sorted(schemas.about.RESERVED), "id", "split", "meta", "x"]), any_json(), max_size=6
    )
)
def test_a_record_becomes_a_row_or_an_error_that_says_why(record: dict[str, Any]) -> None:
    for schema in NAMES:
        row, problem = read(record, Mapping(schema))
        if problem is not None:
            assert (problem.code[:4], bool(problem.hint)) == ("row_", True)
        else:
            assert row["messages"]
            assert all(isinstance(each["content"], str) for each in row["messages"])
            assert orjson.loads(orjson.dumps(row)) == row
            assert there_and_back(row, "openai") == row


@settings(max_examples=120, deadline=None)
@given(records=st.lists(st.dictionaries(st.text(max_size=12), any_json(), max_size=4), max_size=4))
def test_detection_always_says_something(records: list[dict[str, Any]]) -> None:
    found = detect(records)
    assert found.schema in NAMES
    assert 0 <= found.confidence <= 1
    assert sum(found.counts.values()) == len(records)
    assert all(reason.text() for reason in found.reasons)
    assert Mapping.from_dict(found.mapping.to_dict()) == found.mapping


def test_the_strategy_reaches_what_matters() -> None:
    """A property that is only ever tried on plain rows proves nothing."""
    seen: set[str] = set()

    @seed(7)
    @settings(max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(row=rows())
    def look(row: Row) -> None:
        for to in NAMES:
            said = losses(row, to)
            seen.update(said)
            if not said:
                seen.add(f"held by {to}")
                if len(row["messages"]) > 3:
                    seen.add(f"several turns held by {to}")
                if row.get("meta"):
                    seen.add(f"meta held by {to}")
                if any(not trained(each) for each in row["messages"] if each["role"] == "assistant"):
                    seen.add(f"loss held by {to}")
                if any(IMAGE in each["content"] and each.get("images") for each in row["messages"]):
                    seen.add(f"pictures held by {to}")

    look()
    assert set(schemas.LOSSES) <= seen
    assert {f"{what} held by {to}" for to in NAMES for what in ("several turns", "meta")} <= seen
    assert {f"loss held by {to}" for to in ("openai", "xtuner", "agent-flan")} <= seen
    assert {f"pictures held by {to}" for to in ("openai", "sharegpt", "alpaca", "llava", "table")} <= seen
