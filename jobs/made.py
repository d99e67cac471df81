"""What a job made: said in its events, and a model put on the list with where it comes from."""

from __future__ import annotations

import os
from pathlib import Path

from backend import catalog
from backend.catalog import Lineage
from backend.errors import PanelError, fill
from backend.workspace import ROOT, open_workspace
from jobs.harness import Job


def job_number() -> int:
    """The job's number in the queue; 0 where it runs by hand."""
    return int(os.environ.get("TUNEDECK_JOB_ID") or 0)


def model(
    job: Job, folder: Path, name: str, *, kind: str = "model", base: str = "", dataset: str = "", template: str = ""
) -> str:
    """Tell that ``job`` made the model in ``folder``; returns the name under which it is on the list, empty where it is on none.

    kind: ``model`` or ``adapter``. base, dataset, template: what it was made from, see :mod:`backend.catalog.lineage`. A job that
    runs by hand, outside the queue, puts nothing on a list. One that ends must not fail because of the list: the reason
    goes to the log, and the job's card still offers to add the model.
    """
    number = job_number()
    listed = ""
    # What is shipped stays as it is: it came from no job of this workspace.
    if number and not folder.resolve().is_relative_to(ROOT / "models"):
        try:
            lineage = Lineage(job=number, verb=job.spec.verb, base=base, dataset=dataset, template=template)
            listed = catalog.receive(open_workspace(), folder, name, lineage).name
            job.log(f"'{listed}' is on the list of models: {folder}")
        except PanelError as error:
            job.log(f"not on the list of models: {error} {fill(error.hint, error.params)}".rstrip())
    job.artifact(kind, folder, label=listed or name)
    return listed
