"""All checks, in the order in which those of one state are shown."""

from __future__ import annotations

from backend.doctor import disks, engines, gpus, limits, network, sandbox, session, sharing, software, state
from backend.doctor.findings import Check

CHECKS: tuple[Check, ...] = (
    *gpus.CHECKS,
    *sharing.CHECKS,
    *engines.CHECKS,
    *state.CHECKS,
    *disks.CHECKS,
    *limits.CHECKS,
    *sandbox.CHECKS,
    *session.CHECKS,
    *network.CHECKS,
    *software.CHECKS,
)
