"""How fast one model answers, and what it holds meanwhile: served as Deploy serves it, asked by one person and by several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import psutil

from backend.bench import prompts
from backend.catalog import ModelCard
from backend.engines import ENGINES, check, pick
from backend.errors import PanelError, ServerError
from backend.finetune import intervals
from backend.i18n import N_
from backend.memory import machine
from backend.quantize.report_cells import NOT_ASKED
from backend.quantize.report_records import Serving, Speed
from backend.specs.bench import Load
from backend.specs.quantize import ReportCardSpec
from backend.specs.serve import ServeSpec
from jobs.benching import generator, servers
from jobs.harness import Job, Stopped

ALONE, EACH = 10, 3
"""Requests of the one person at least, and of each of several. Fewer than ten have no interval."""
ANSWER_TOKENS = 32
LOOK_S = 1.0
Watch = Callable[[float], None]


def refusal(card: ModelCard, model: str, spec: ReportCardSpec) -> PanelError | None:
    """Why this machine cannot serve the model; None where it can. What needs a GPU says so."""
    served = _spec(card, model, spec)
    try:
        check(pick(served, card), served, card)
    except PanelError as error:
        gpus = [gpu for gpu in machine.gpus()[0] if gpu.total is not None]
        able = [engine.title for engine in ENGINES.values() if engine.refuses(card) is None]
        if able and (not gpus or spec.device == "cpu"):
            return ServerError(
                "report_needs_gpu",
                N_("'{model}' ({weights}) is served by {engines} on an NVIDIA GPU, which this machine does not have."),
                N_("Make its report card on a machine with one to measure its speed, too."),
                model=card.name,
                weights=card.served.quantization or card.served.dtype,
                engines=", ".join(able),
            )
        return error
    return None


def measure(job: Job, card: ModelCard, model: str, spec: ReportCardSpec, watch: Watch) -> Serving:
    """Serve and time it. model: how the spec names it. watch: called with the share that is done; what it raises ends the measurement.

    Raises:
        PanelError: it cannot be served here, or the server ended. Stopped: the person asked to stop.
    """
    if not spec.speed:
        raise NOT_ASKED
    problem = refusal(card, model, spec)
    if problem is not None:
        raise problem
    busy = psutil.cpu_percent(LOOK_S) / 100
    with servers.serving(job, _spec(card, model, spec), card.name) as served:
        watch(0.2)
        target = generator.Target(served.base_url, served.model, served.key)
        speeds: list[Speed] = []
        steady = 0
        levels = [1] if spec.people == 1 else [1, spec.people]
        for place, people in enumerate(levels):
            served.mark()
            count = ALONE if people == 1 else max(ALONE, EACH * people)
            load = Load(
                num_prompts=count,
                concurrency=(people,),
                output_tokens=ANSWER_TOKENS,
                ignore_eos=True,
                warmup=2,
                seed=spec.seed,
            )
            speeds.append(_load(job, served, target, load, people, watch, (place, len(levels))))
            if people == 1:
                steady = served.memory()[0]
        peak = served.memory()[1]
        device = "cuda" if served.on_gpu else "cpu"
        return Serving(served.load_s, steady, peak, tuple(speeds), served.engine, device, busy)


def _load(
    job: Job,
    served: servers.Served,
    target: generator.Target,
    load: Load,
    people: int,
    watch: Watch,
    part: tuple[int, int],
) -> Speed:
    asked = prompts.read("bundled", load.num_prompts, seed=load.seed)

    def told(done: int, total: int, _metrics: Mapping[str, float]) -> None:
        watch(0.2 + 0.8 * (part[0] + done / max(1, total)) / part[1])

    found = generator.run(target, asked, load, people, told, lambda: job.stop_requested)
    if job.stop_requested:
        raise Stopped
    if not found.complete or not found.columns.get("number_of_requests"):
        raise served.ended() or ServerError(
            "report_no_answers",
            N_("'{model}' was served, and did not answer {people} at once: {problem}"),
            N_("Look at the server's log in the folder of the job."),
            model=served.model,
            people=people,
            problem=found.first_error or found.ended or "?",
        )
    job.log(f"{people} at once: {found.columns['token_throughput_completion']:.1f} tokens/s")
    good = [one for one in found.records if not one.error]
    waits = [one.first_s for one in good if one.first_s is not None]
    low, high = mean_interval(waits) or (None, None)
    rate = found.columns["token_throughput_completion"] or 0.0
    slowest, fastest = rates(rate, [one.latency_s for one in good], [one.completion_tokens for one in good]) or (
        None,
        None,
    )
    return Speed(
        people,
        int(found.columns["number_of_requests"] or 0),
        found.columns["first_token_latency_ave"] or 0.0,
        rate,
        low,
        high,
        slowest,
        fastest,
        int(found.columns["number_of_failed_requests"] or 0),
    )


def rates(rate: float, seconds: Sequence[float], tokens: Sequence[int]) -> intervals.Interval | None:
    """The interval of ``rate``, tokens per second over all requests: as wide as that of the seconds a token takes a request.
    None for too few requests."""
    found = intervals.per_token([0.0] * len(seconds), list(seconds), list(tokens))
    if found is None or found[0] <= 0:
        return None
    each = sum(seconds) / sum(tokens)
    return rate * each / found[1], rate * each / found[0]


def mean_interval(values: Sequence[float]) -> intervals.Interval | None:
    """The interval of a mean; None for too few values."""
    return intervals.per_token([0.0] * len(values), list(values), [1] * len(values))


def _spec(card: ModelCard, model: str, spec: ReportCardSpec) -> ServeSpec:
    return ServeSpec(model=model, device=spec.device, completions_only=not card.served.chat_template)
