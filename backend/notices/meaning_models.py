"""What the end of a job means that made, fetched, served or prepared a model."""

from __future__ import annotations

from typing import Any

from backend.i18n import _, ngettext
from backend.notices.meaning import Ended, Level, Meaning, Tells

QUALITY: dict[str, Level] = {"learned": "good"}
"""Verdicts on a training; all others are for somebody to look at."""


def _finetune(ended: Ended) -> Meaning | None:
    from backend.finetune import proof

    found = proof.read(ended.store.job_dir(ended.row.id))
    if found is None or found.problem is not None or not found.verdicts:
        return _unproven(ended)
    told = [proof.headline(code) for code in found.verdicts]
    tally = found.questions.judged if found.questions is not None else None
    if tally is not None:
        right = _("Of {n} held-out questions the tuned model answers {tuned} right, the base model {base}.")
        told.append(right.format(n=tally.n, tuned=tally.tuned, base=tally.base))
    elif found.loss is not None:
        fell = _("The loss per token on held-out rows went from {base} to {tuned}.")
        told.append(fell.format(base=f"{found.loss.base:.2f}", tuned=f"{found.loss.tuned:.2f}"))
    good = all(code in QUALITY for code in found.verdicts)
    return Meaning(" ".join(told), "good" if good else "attention")


def _unproven(ended: Ended) -> Meaning:
    """Nobody could ask whether it worked: the loss, and what the curves say."""
    from backend.finetune.record import Reader

    loss = ended.result.get("eval_loss") or ended.result.get("loss")
    told = [_("Whether it worked was not checked.")]
    if isinstance(loss, int | float):
        told.insert(
            0, _("It learned {n} steps; the loss is {loss} now.").format(n=_count(ended, "step"), loss=f"{loss:.2f}")
        )
    run = Reader(ended.store.job_dir(ended.row.id)).read(ended.row)
    told += [each.message for each in run.verdicts[:1] if each.level in ("bad", "warn")]
    return Meaning(" ".join(told), "attention")


def _rehearse(ended: Ended) -> Meaning:
    found = ended.result["rehearsal"]
    told = _("A step takes {step} s. At most {memory} were held. A checkpoint is {size} large.")
    return Meaning(
        told.format(
            step=f"{float(found['step_s']):.2g}",
            memory=size(found["peak_bytes"]),
            size=size(found["checkpoint_bytes"]),
        )
    )


def _quantize(ended: Ended) -> Meaning | None:
    from backend.quantize import report

    card = report.read(ended.store.job_dir(ended.row.id))
    told = []
    before, after = ended.result.get("bytes_before"), ended.result.get("bytes_after")
    if before and after:
        less = _("{before} → {after} on disk, {percent} % less.")
        told.append(less.format(before=size(before), after=size(after), percent=f"{100 * (1 - after / before):.0f}"))
    if card is None:
        return Meaning(told[0]) if told else None
    verdicts = [report.verdict(copy) for copy in card.copies]
    good = card.problem is None and all(one in ("same", "little") for one in verdicts)
    return Meaning(" ".join([*told, report.recommend(card)]), "good" if good else "attention")


def _serve(ended: Ended) -> Meaning | None:
    if ended.result.get("stopped") != "idle":
        return None
    n = int(ended.result.get("requests") or 0)
    told = ngettext(
        "Nobody asked it anything for a while, so it stopped. It had answered {n} request.",
        "Nobody asked it anything for a while, so it stopped. It had answered {n} requests.",
        n,
    )
    return Meaning(told.format(n=f"{n:,}"))


def _download(ended: Ended) -> Meaning:
    told = _("The model {name} is here ({size}) and can be used.")
    return Meaning(told.format(name=ended.result["name"], size=size(ended.result["bytes"])))


def _pretrain(ended: Ended) -> Meaning:
    loss = float(ended.result["loss"])
    return Meaning(
        _("It learned {n} steps; the loss is {loss} now.").format(n=_count(ended, "steps"), loss=f"{loss:.2f}")
    )


def _install(ended: Ended) -> Meaning:
    told = _("{engine} is installed and has proven itself: it can be used.")
    return Meaning(told.format(engine=_engine(ended)))


def _test(ended: Ended) -> Meaning:
    return Meaning(_("{engine} works: it passed its test.").format(engine=_engine(ended)))


def _bundle(ended: Ended) -> Meaning:
    told = _("{n} files for {engine} lie in {folder} ({size}).")
    values = {"n": _count(ended, "files"), "engine": _engine(ended), "folder": ended.result["folder"]}
    return Meaning(told.format(**values, size=size(ended.result["bytes"])))


def size(count: Any) -> str:
    """Bytes as people read them."""
    value = float(count)
    for unit, of in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= of:
            return f"{value / of:.1f} {unit}"
    return f"{value:.0f} B"


def _engine(ended: Ended) -> str:
    from backend.engines import engines

    name = str(ended.result["engine"])
    known = engines().get(name)
    return known.title if known is not None else name


def _count(ended: Ended, name: str) -> str:
    return f"{int(ended.result[name]):,}"


TELLS: dict[str, Tells] = {
    "finetune": _finetune,
    "rehearse": _rehearse,
    "quantize": _quantize,
    "report_card": _quantize,
    "serve": _serve,
    "download": _download,
    "convert": _download,
    "pretrain": _pretrain,
    "install_env": _install,
    "test_env": _test,
    "bundle_env": _bundle,
}
