"""The fit meter in a browser, on a machine without a GPU: a person sees whether a model fits, changes what they ask for, is
told what would fit, starts the server, and afterwards reads how good the forecast was."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.memory import trust
from backend.queue.store import Store
from tests.support.browser import PHONE, Visitor, at_rest, overflow, settle
from tests.support.wait import until

Visit = Callable[..., Visitor]
expect.set_options(timeout=90_000)  # a browser, a panel and a model server share what may be two busy cores


def chip(page: Page, word: str) -> Locator:
    """The verdict of the meter on Deploy."""
    return page.locator(".st-key-fit_deploy").get_by_text(re.compile(rf"{word}$")).first


def fill(page: Page, label: str, value: str) -> None:
    page.get_by_role("spinbutton", name=label).fill(value)
    page.keyboard.press("Enter")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_person_reads_the_meter_takes_a_way_out_and_sees_the_forecast_held_against_the_peak(
    visit: Visit, store: Store
) -> None:
    page = visit().open("/deploy")
    expect(chip(page, "fits")).to_be_visible()
    meter = page.get_by_role("img", name=re.compile(r"^Takes 0\.\d"))
    expect(meter).to_be_visible()
    expect(page.get_by_text("KV cache 64.0 MiB")).to_be_visible()

    # Eight people share a larger KV cache; half a GiB in all makes conversations shorter.
    fill(page, "People at the same time", "8")
    expect(page.get_by_text("KV cache 64.0 MiB")).to_be_hidden()
    expect(page.get_by_text("KV cache 0.1 GiB")).to_be_visible()
    fill(page, "People at the same time", "1")
    fill(page, "Memory it may take (GiB)", "0.46")
    expect(page.get_by_text("A conversation may have 4,096 tokens")).to_be_hidden()

    fill(page, "Memory it may take (GiB)", "0.2")
    expect(chip(page, "does not fit")).to_be_visible()
    expect(page.get_by_text(re.compile("needs at least 0.4 GiB, and may take 0.2 GiB"))).to_be_visible()
    expect(page.get_by_role("button", name="Start starter")).to_be_disabled()
    page.get_by_role("button", name="Let it take 0.5 GiB").click()
    expect(chip(page, "fits")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Memory it may take (GiB)")).to_have_value("0.5")

    page.get_by_text("How this is worked out").click()
    expect(page.get_by_text(re.compile("layers x 2 x KV heads x head size"))).to_be_visible()
    at_rest(page)  # the terms push the button down while they unfold

    page.get_by_role("button", name="Start starter").click()
    expect(page.get_by_role("button", name="Stop server")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("button", name="Connect a program")).to_be_visible(timeout=120_000)
    job = store.list(verb="serve")[0].id
    forecast = trust.read(store.job_dir(job))
    assert forecast is not None
    recorded(store, job)
    page.get_by_role("button", name="Stop server").click()
    expect(page.get_by_text(re.compile(r"Memory: forecast .* GiB, measured peak \d\.\d GiB"))).to_be_visible(
        timeout=60_000
    )
    settled = trust.read(store.job_dir(job))
    assert settled is not None
    assert settled.measured is not None
    assert settled.measured.counts
    assert settled.off is not None
    assert abs(settled.off) < 0.25, f"forecast {forecast.low >> 20}-{forecast.p95 >> 20} MiB, {settled.measured}"


def recorded(store: Store, job: int) -> None:
    """Wait until the recorder has seen the server that is ready: it looks once a second."""
    from backend.memory.series import open_memory

    memory = open_memory(store.workspace)
    try:
        before = memory.latest()
        begin = before.t if before else 0.0

        def seen() -> bool:
            sample = memory.latest()
            return sample is not None and sample.t > begin and any(use.job == job for use in sample.jobs)

        until(seen, 60, "the recorder has looked at the server")
    finally:
        memory.close()


@pytest.mark.parametrize("path", ["/deploy", "/models"])
def test_the_meter_is_no_wider_than_a_phone(visit: Visit, path: str) -> None:
    person = visit(viewport=PHONE)
    person.open("/").close()
    page = person.open(path)
    expect(page.get_by_text(re.compile("that are free now")).first).to_be_visible()
    settle(page)
    assert overflow(page) == 0
