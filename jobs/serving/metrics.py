"""The counters of a server as Prometheus text, for the Deploy page and for whoever watches this machine with Prometheus.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4). No model name is in it: a
server has one model, and the scraper knows whom it asked.
"""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

COUNTERS = {
    "requests": ("tunedeck_requests_total", "Requests since the start."),
    "errors": ("tunedeck_errors_total", "Requests that the server failed to answer."),
    "prompt_tokens": ("tunedeck_prompt_tokens_total", "Tokens of all prompts."),
    "tokens": ("tunedeck_generation_tokens_total", "Tokens written, whether or not somebody read them."),
    "busy_s": ("tunedeck_busy_seconds_total", "Seconds with at least one answer in work."),
}


def text(status: Mapping[str, float], *, together: bool) -> str:
    """``status`` (see :meth:`jobs.serving.app.App.status`) as Prometheus text.

    ``together``: all answers in work are computed at once; else one is, and the others wait for it.
    """
    lines = []
    for name, (metric, about) in COUNTERS.items():
        lines += [f"# HELP {metric} {about}", f"# TYPE {metric} counter", f"{metric} {status[name]:.10g}"]
    work = int(status["computing"])
    running = work if together else min(1, work)
    for metric, about, value in (
        ("tunedeck_requests_running", "Answers that are computed now.", running),
        ("tunedeck_requests_waiting", "Answers that wait for their turn.", work - running),
    ):
        lines += [f"# HELP {metric} {about}", f"# TYPE {metric} gauge", f"{metric} {value}"]
    return "\n".join(lines) + "\n"
