"""Who gets what next: the pure plan of dispatch, without processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.queue.resources import PORTS, Card, plan
from backend.queue.rows import JobRow

CARDS = [Card(0, "GPU-a", 80_000, 78_000), Card(1, "GPU-b", 80_000, 30_000)]


def job(job_id: int, leases: list[dict[str, Any]] | None = None, title: str = "", **need: int) -> JobRow:
    return JobRow(
        id=job_id,
        verb="drill",
        title=title or f"job {job_id}",
        state="running" if leases is not None else "queued",
        attempt=0,
        created=0,
        started=None,
        ended=None,
        elapsed=0,
        position=float(job_id),
        owner="me",
        parent=None,
        service=False,
        auto_resumes=0,
        resources={"cpu": 0, "gpus": 0, "gpu_mib": 0, "ports": 0, **need},
        leases=leases or [],
    )


def gpu(uuid: str, mib: int = 0) -> dict[str, Any]:
    return {"resource": f"gpu:{uuid}", "amount": mib}


def cpu(slots: int) -> dict[str, Any]:
    return {"resource": "cpu", "amount": slots}


def test_jobs_that_need_nothing_start_at_once_whatever_runs() -> None:
    assert plan([job(2)], [job(1, [cpu(1)])], [], 1).starts == {2: []}


def test_cpu_slots_are_given_in_order_and_the_next_one_learns_who_holds_them_and_until_when() -> None:
    running = replace(job(1, [cpu(1)], title="My tune"), progress={"t": 1000.0, "eta_s": 60})
    decided = plan([job(2, cpu=1), job(3, cpu=1)], [running], [], 1)
    assert decided.starts == {}
    assert decided.waits[2] == {
        "code": "cpu_busy",
        "params": {"slots": 1, "job": 1, "title": "My tune", "until": 1060.0},
    }
    assert decided.waits[3] == {"code": "behind", "params": {"job": 2}}


def test_a_job_larger_than_the_machine_says_so_and_does_not_block_others() -> None:
    decided = plan([job(1, cpu=9), job(2, gpus=3), job(3, cpu=1), job(4, gpus=1)], [], CARDS, 2)
    assert {k: v["code"] for k, v in decided.waits.items()} == {1: "cpu_never", 2: "gpu_never"}
    assert set(decided.starts) == {3, 4}


def test_without_a_gpu_a_gpu_job_says_so_and_cpu_jobs_pass() -> None:
    decided = plan([job(1, gpus=1), job(2, cpu=1)], [], [], 1)
    assert decided.waits[1]["code"] == "no_gpu"
    assert set(decided.starts) == {2}


def test_the_emptiest_card_is_given_whole() -> None:
    assert plan([job(1, gpus=1)], [], CARDS, 1).starts[1] == [gpu("GPU-a")]


def test_a_whole_card_is_not_shared_and_a_shared_card_is_not_given_whole() -> None:
    decided = plan([job(3, gpus=1)], [job(1, [gpu("GPU-a")]), job(2, [gpu("GPU-b", 10_000)])], CARDS, 1)
    assert decided.waits[3]["code"] == "gpu_leased"
    assert decided.waits[3]["params"]["job"] == 1
    decided = plan([job(3, gpu_mib=20_000)], [job(1, [gpu("GPU-a")])], CARDS, 1)
    assert decided.starts[3] == [gpu("GPU-b", 20_000)]


def test_a_share_counts_what_neighbours_use_now_not_only_our_leases() -> None:
    decided = plan([job(1, gpu_mib=40_000)], [job(2, [gpu("GPU-a", 60_000)])], CARDS, 1)
    assert decided.waits[1] == {"code": "gpu_memory", "params": {"gpu": 1, "free_mib": 30_000, "needed_mib": 40_000}}


def test_a_large_job_is_not_starved_by_small_ones_behind_it() -> None:
    decided = plan([job(2, gpus=2), job(3, gpus=1), job(4, cpu=1)], [job(1, [gpu("GPU-a")])], CARDS, 1)
    assert decided.waits[2]["code"] == "gpu_leased"
    assert decided.waits[3] == {"code": "behind", "params": {"job": 2}}
    assert set(decided.starts) == {4}


def test_ports_in_use_by_strangers_or_leased_are_skipped_and_two_servers_get_two() -> None:
    stranger, leased = PORTS[0], PORTS[1]
    running = job(1, [{"resource": f"port:{leased}", "amount": 1}])
    decided = plan([job(2, ports=1), job(3, ports=2)], [running], [], 1, lambda port: port != stranger)
    assert [x["resource"] for x in decided.starts[2]] == [f"port:{PORTS[2]}"]
    assert [x["resource"] for x in decided.starts[3]] == [f"port:{PORTS[3]}", f"port:{PORTS[4]}"]


def test_without_a_free_port_the_job_waits_and_says_so() -> None:
    assert plan([job(1, ports=1)], [], [], 1, lambda _port: False).waits[1]["code"] == "port"


needs = st.fixed_dictionaries(
    {"cpu": st.integers(0, 4), "gpus": st.integers(0, 2), "gpu_mib": st.sampled_from([0, 1000, 25_000, 70_000])}
).map(lambda n: n if not n["gpus"] else {**n, "gpu_mib": 0})


@settings(max_examples=200, deadline=None)
@given(st.lists(needs, max_size=12), st.integers(1, 4))
def test_nothing_is_ever_given_twice_or_beyond_what_there_is(wanted: list[dict[str, int]], slots: int) -> None:
    queued = [job(n, **need) for n, need in enumerate(wanted, 1)]
    decided = plan(queued, [], CARDS, slots)
    assert set(decided.starts) | set(decided.waits) == {row.id for row in queued}
    assert not set(decided.starts) & set(decided.waits)
    given_out = [lease for leases in decided.starts.values() for lease in leases]
    assert sum(x["amount"] for x in given_out if x["resource"] == "cpu") <= slots
    for card in CARDS:
        amounts = [x["amount"] for x in given_out if x["resource"] == f"gpu:{card.uuid}"]
        assert len(amounts) == 1 or 0 not in amounts, "a whole card is given once"
        assert sum(amounts) <= card.free_mib
