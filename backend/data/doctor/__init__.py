"""The doctor of datasets: what is wrong in which row, what to do about it, and which rows to read with your own eyes."""

from backend.data.doctor.checks import CHECKS, SEVERITIES, Check, Severity
from backend.data.doctor.examining import Stopped, examine, examine_version, read_report
from backend.data.doctor.findings import FILE, Finding, Limits, Read, Report, load
from backend.data.doctor.fixes import fix

__all__ = [
    "CHECKS",
    "FILE",
    "SEVERITIES",
    "Check",
    "Finding",
    "Limits",
    "Read",
    "Report",
    "Severity",
    "Stopped",
    "examine",
    "examine_version",
    "fix",
    "load",
    "read_report",
]
