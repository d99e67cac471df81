"""Train a small language model from nothing: ``python -m jobs.pretrain SPEC.json``.

With an empty spec (``{}``) it makes the starter model as it is shipped, in about an hour on two idle CPU cores. SIGINT saves a
checkpoint; a run started again in the same folder goes on from the newest complete one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.errors import PanelError
from backend.i18n import N_
from backend.specs.pretrain import PretrainSpec
from backend.workspace import write_json
from jobs import made
from jobs.harness import Job, main
from jobs.starter import batches, checkpoint, corpus, loop, model
from jobs.starter import tokenizer as tok

RECORD = "training.json"
"""Beside the weights: the spec, what was seen, and the loss curve as (step, loss on answers)."""


def run(job: Job) -> dict[str, Any] | None:
    """The program: tokenizer, training, export. Returns what was made; None where it was stopped."""
    spec = job.spec_as(PretrainSpec)
    output = Path(spec.output) if spec.output else job.dir / "model"
    checkpoints = job.dir / "checkpoints"
    size = model.SIZES[spec.size]
    resume_from = _resume(spec, checkpoints)
    job.phase("tokenizer")
    tokenizer = _tokenizer(spec, size.vocab, checkpoints)
    job.phase("train")
    device = loop.device(spec)
    net = model.build(size, tokenizer, spec.seed, device)
    if spec.start_from and resume_from is None:
        model.load(net, Path(spec.start_from))
    stream = batches.Batches(
        tokenizer, spec.seed, spec.batch_tokens, spec.micro_batches, spec.prompt_weight, spec.data_workers
    )
    stream.skip(spec.first_dialogue)

    def progress(state: loop.Trained, eta_s: float, figures: dict[str, float]) -> None:
        job.progress("train", state.step, spec.steps, eta_s, figures)
        job.log(f"step {state.step}/{spec.steps} " + " ".join(f"{name} {value:.4g}" for name, value in figures.items()))

    state, average = loop.train(net, stream, spec, checkpoints, resume_from, progress, lambda: job.stop_requested)
    if state.step < spec.steps:
        return None
    job.phase("save")
    model.export(dict(net.state_dict()) if spec.decay_steps else average, size, tokenizer, output)
    record = {
        "spec": spec.model_dump(exclude={"output", "resume", "tokenizer", "start_from"}),
        "tokens": state.tokens,
        "dialogues": stream.dialogues,
        "cpu_s": round(state.cpu_s),
        "curve": state.curve,
    }
    write_json(output / RECORD, record)
    (output / RECORD).chmod(0o644)  # what a job writes is its owner's alone; a model folder is shared
    made.model(job, output, output.name if spec.output else f"pretrained-{made.job_number()}", base=spec.start_from)
    return {
        "complete": True,
        "model": str(output),
        "steps": state.step,
        "tokens": state.tokens,
        "loss": state.curve[-1][1],
    }


def _resume(spec: PretrainSpec, own: Path) -> Path | None:
    """The newest complete checkpoint: of this job, where it has been tried before, else of the folder in the spec."""
    found = checkpoint.complete(own) or (checkpoint.complete(Path(spec.resume)) if spec.resume else [])
    if spec.resume and not found:
        raise PanelError(
            "checkpoint_missing",
            N_("There is no complete checkpoint in {folder}."),
            N_("Name the 'checkpoints' folder of a job that has saved one, or leave 'resume' empty."),
            folder=spec.resume,
        )
    return found[-1] if found else None


def _tokenizer(spec: PretrainSpec, vocab: int, checkpoints: Path) -> tok.Tokenizer:
    """The tokenizer named in the spec, or that of the run or the model that is gone on from, or a new one."""
    for folder in (
        Path(spec.tokenizer) if spec.tokenizer else None,
        Path(spec.start_from) if spec.start_from else None,
        Path(spec.resume) if spec.resume else None,
        checkpoints,
    ):
        if folder is not None and (folder / "tokenizer.json").is_file():
            found = tok.load(folder)
            if found.get_vocab_size() != vocab:
                raise PanelError(
                    "tokenizer_unfit",
                    N_("The tokenizer in {folder} has {found} tokens, this size of model needs {vocab}."),
                    N_("Leave 'tokenizer' empty: a new one is learned."),
                    folder=str(folder),
                    found=found.get_vocab_size(),
                    vocab=vocab,
                )
            break
    else:
        texts = (batches.render(corpus.dialogue(spec.seed, i)) for i in range(spec.tokenizer_dialogues))
        found = tok.train(texts, vocab)
    tok.save(found, checkpoints)
    return found


if __name__ == "__main__":
    raise SystemExit(main("pretrain", run))
