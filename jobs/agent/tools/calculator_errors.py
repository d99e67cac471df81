"""What can be wrong with a calculation, and what to write instead: for people, and in the same words for models."""

from __future__ import annotations

from collections.abc import Iterable

from backend.errors import DataError
from backend.i18n import N_


def zero() -> DataError:
    return DataError(
        "calc_zero_division",
        N_("This divides by zero."),
        N_("Write a divisor that is not zero, and check the numbers that lead to it."),
    )


def large() -> DataError:
    return DataError(
        "calc_too_large",
        N_("The result has more than about 4,000 digits."),
        N_("Ask for its logarithm instead, such as 1000000*log10(7) in place of 7^1000000."),
    )


def outside(piece: str) -> DataError:
    return DataError(
        "calc_no_number",
        N_("{piece} is no real number, or not defined for what it was given."),
        N_("sqrt and log take positive numbers, factorial whole numbers from 0, and angles are in radians."),
        piece=piece,
    )


def unclear(piece: str) -> DataError:
    return DataError(
        "calc_unclear",
        N_("This cannot be read as a calculation at: {piece}"),
        N_(
            "Write one expression of numbers, + - * / // % ** and parentheses, such as 2*(3+4) or sqrt(2)/3; "
            "a point for decimals, * between factors."
        ),
        piece="".join(sign if sign.isprintable() else "\ufffd" for sign in piece[:60]),
    )


def deep() -> DataError:
    return DataError(
        "calc_too_deep",
        N_("This calculation is nested too deeply or has too many parts."),
        N_("Work out its inner parts first, one call each."),
    )


def unknown(name: str, names: Iterable[str]) -> DataError:
    return DataError(
        "calc_unknown_name",
        N_("The calculator does not know {name}."),
        N_("It knows {names}. Write the numbers themselves in place of variables."),
        name=name[:40],
        names=", ".join(sorted(names)),
    )


def too_long(count: int, most: int) -> DataError:
    return DataError(
        "calc_too_long",
        N_("A calculation has at most {most} characters; this has {count}."),
        N_("Work out its parts one after another, or use Python for long lists of numbers."),
        most=most,
        count=count,
    )
