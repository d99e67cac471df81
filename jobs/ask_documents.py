"""Ask a running model for questions and answers about documents, and keep them as a dataset: ``python -m jobs.ask_documents SPEC.json``.

documents   each is read and cut into chunks, once; one that cannot be read is left out and told
ask         the model is asked about each chunk; every answer is on the disk before the next one (kill -9 loses what is running)
save        answers become pairs, pairs are checked, and what is good becomes a new version of the dataset, to be reviewed

A pair is kept when its quote really stands in the chunk. All others are kept as refused, each with its reason.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from backend.data import documents
from backend.data.documents.asking import Answer, judge
from backend.data.documents.checking import REASONS, Checker, Refused
from backend.data.documents.document import Chunk
from backend.data.rows import parse, split_of
from backend.data.store import Datasets
from backend.data.versions import Version
from backend.errors import DataError
from backend.i18n import N_
from backend.queue.store import open_store
from backend.specs.ask_documents import AskDocumentsSpec
from backend.workspace import open_workspace
from jobs.documents.asking import Asker
from jobs.documents.record import Plan, Record
from jobs.harness import Job, main


def run(job: Job) -> dict[str, Any]:
    """The program; a stop leaves what was answered, and the next attempt asks the rest."""
    spec = job.spec_as(AskDocumentsSpec)
    workspace = open_workspace()
    record = Record(job.dir)
    plan = record.plan() or read_all(job, spec, record)
    answers = record.answers()
    job.phase("ask")
    job.log(f"{len(plan.chunks)} passages, {len(answers)} of them are answered")
    ask(job, spec, plan, answers, record)
    job.phase("save")
    return save(job, spec, plan, answers, record, Datasets(workspace))


def read_all(job: Job, spec: AskDocumentsSpec, record: Record) -> Plan:
    """All documents in chunks.

    Raises:
        DataError: what is wrong with the documents, where none of them can be read.
    """
    job.phase("documents")
    paths = documents.gather(spec.files)
    chunks: list[Chunk] = []
    files: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    problem: DataError | None = None
    for number, path in enumerate(paths):
        job.check_stop()
        job.progress("documents", number, len(paths))
        try:
            document = documents.read(path)
        except DataError as error:
            problem = problem or error
            left_out.append({"file": str(path), "error": error.to_dict()})
            job.log(f"left out: {error}")
            continue
        found = documents.chunks(document, spec.chunk_chars, spec.overlap_chars, first=len(chunks) + 1, path=str(path))
        chunks += found
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append({"file": str(path), "sha256": digest, "chunks": len(found)})
        for notice in document.notices:
            job.log(str(notice))
    if problem is not None and not chunks:
        raise problem
    plan = Plan(chunks, files, left_out)
    record.keep_plan(plan)
    return plan


def ask(job: Job, spec: AskDocumentsSpec, plan: Plan, answers: dict[int, Answer], record: Record) -> None:
    """Have all chunks answered; raises as :meth:`jobs.documents.asking.Asker.run`."""
    total = len(plan.chunks)
    by_number = {chunk.number: chunk for chunk in plan.chunks}
    checker = Checker(spec.model)
    latest: deque[Answer] = deque(maxlen=50)
    good, bad = Counter[str](), Counter[str]()

    def note(answer: Answer) -> None:
        for judged in judge(spec, by_number[answer.chunk], answer, checker):
            (bad if isinstance(judged, Refused) else good)["pairs"] += 1

    def keep(answer: Answer) -> None:
        record.keep(answer)
        answers[answer.chunk] = answer
        note(answer)
        latest.append(answer)
        done = len(answers)
        # Only for the eye: what is counted in the end is judged anew, in the order of the chunks.
        told = {"pairs": float(good["pairs"]), "refused": float(bad["pairs"])}
        job.progress("ask", done, total, (total - done) * pace(spec, latest), told)

    for answer in answers.values():
        note(answer)
    job.progress("ask", len(answers), total)
    rest = [chunk for chunk in plan.chunks if chunk.number not in answers]
    if rest:
        store = open_store(open_workspace())
        try:
            asyncio.run(Asker(job, store, spec, rest, keep).run())
        finally:
            store.close()


def save(
    job: Job, spec: AskDocumentsSpec, plan: Plan, answers: dict[int, Answer], record: Record, sets: Datasets
) -> dict[str, Any]:
    """The good pairs as a new version of the dataset; what the person is told of all of it.

    Raises:
        DataError: ``documents_no_pair``: not one pair could be kept. The dataset is as it was.
    """
    known = sets.get(spec.dataset).current.id if sets.exists(spec.dataset) else None
    base_id = record.base(known)
    base = sets.open(spec.dataset, base_id) if base_id is not None else None
    reasons: Counter[str] = Counter()
    made_from: list[dict[str, Any]] = [{"file": each["file"], "sha256": each["sha256"]} for each in plan.files]
    if base is not None:
        made_from.insert(0, {"dataset": spec.dataset, "version": base.info.id})
    step = {"do": "documents", "model": spec.model, "pairs": spec.pairs, "style": spec.style, "seed": spec.seed}
    with sets.write(spec.dataset, steps=[step], made_from=made_from) as out:
        for line, split in _lines(base):
            out.add_line(line, split)
        before = len(out)
        checker = Checker(spec.model, _questions(base))
        for chunk in plan.chunks:
            for judged in judge(spec, chunk, answers[chunk.number], checker):
                if isinstance(judged, Refused):
                    reasons[judged.code] += 1
                    out.reject(chunk.number, {"code": judged.code, "message": judged.message}, judged.text)
                else:
                    out.add(judged)
        kept = len(out) - before
        if not kept:
            raise _no_pair(spec, len(plan.chunks), reasons)
    folder = sets.folder / spec.dataset / "versions" / out.version.id
    job.artifact("dataset", folder, f"{spec.dataset}@{out.version.id}")
    account = {
        "dataset": spec.dataset,
        "version": out.version.id,
        "pairs": kept,
        "refused": reasons.total(),
        "reasons": dict(reasons.most_common()),
        "chunks": len(plan.chunks),
        "files": len(plan.files),
        "left_out": plan.left_out,
        "pace_s": pace(spec, answers.values()),
    }
    job.log(f"{kept} pairs kept, {reasons.total()} refused")
    for code, count in reasons.most_common():
        job.log(f"  {count} x {code}: {REASONS[code]}")
    return {"complete": True, **account}


def _lines(base: Version | None) -> Iterator[tuple[bytes, str]]:
    for line in base.lines() if base is not None else ():
        yield line, split_of(parse(line))


def _questions(base: Version | None) -> Iterator[str]:
    for row in base if base is not None else ():
        yield next((message["content"] for message in row["messages"] if message["role"] == "user"), "")


def pace(spec: AskDocumentsSpec, answers: Iterable[Answer]) -> float:
    """Seconds from one answer to the next, without the time in which no server was there. The next forecast needs it, too."""
    real = [answer.seconds for answer in answers if answer.seconds > 0]
    return sum(real) / len(real) / min(spec.concurrency, len(real)) if real else 0.0


def _no_pair(spec: AskDocumentsSpec, chunks: int, reasons: Counter[str]) -> DataError:
    code, count = reasons.most_common(1)[0]
    return DataError(
        "documents_no_pair",
        N_(
            "'{model}' was asked about {chunks} passages, and nothing it wrote can be kept: {refused} refused. The most "
            "frequent reason ({count}): {reason}"
        ),
        N_(
            "Take a larger model, shorter passages or fewer pairs per passage. The job's folder holds what it wrote: {file}"
        ),
        model=spec.model,
        chunks=chunks,
        refused=reasons.total(),
        count=count,
        reason=REASONS[code],
        reasons=dict(reasons),
        file="answers.jsonl",
    )


if __name__ == "__main__":
    raise SystemExit(main("ask_documents", run))
