"""What a running job's memory is used for, as far as that can be told from outside: its measured figure, divided as its
forecast was. An estimate, and to be shown as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.memory import trust

if TYPE_CHECKING:
    from backend.queue.store import Store


def split(store: Store, job: int, measured: int) -> dict[str, int]:
    """Term -> bytes; the sum is ``measured``. Empty where the job has no forecast.

    What follows from the model's headers and is taken at once comes first, the weights before all; then what was guessed of
    that; then what grows while it runs, such as a KV cache. More than all of that is shared out among what was guessed.
    """
    found = trust.read(store.job_dir(job))
    if found is None or measured <= 0:
        return {}
    sizes: dict[str, int] = {}
    left = measured
    for later in (False, True):
        parts = [part for part in found.parts if part.p50 > 0 and part.later == later]
        for name in trust.COUNTED:
            wanted = sum(part.p50 for part in parts if part.name == name)
            sizes[name] = sizes.get(name, 0) + min(left, wanted)
            left -= min(left, wanted)
        guessed = {part.name: part.p50 for part in parts if part.name not in trust.COUNTED}
        shares = _shares(guessed, min(left, sum(guessed.values())))
        left -= sum(shares.values())
        sizes |= shares
    if left:
        unsure = {part.name: part.p50 for part in found.parts if part.p50 > 0 and part.name not in trust.COUNTED}
        for name, size in _shares(unsure or sizes, left).items():
            sizes[name] = sizes.get(name, 0) + size
    return {name: size for name, size in sizes.items() if size > 0}


def _shares(sizes: dict[str, int], whole: int) -> dict[str, int]:
    """``whole`` in proportion to ``sizes``; no byte is lost to rounding."""
    total = sum(sizes.values())
    shares = {name: whole * size // total for name, size in sizes.items()} if total else {}
    if shares:
        shares[max(sizes, key=lambda name: sizes[name])] += whole - sum(shares.values())
    return shares
