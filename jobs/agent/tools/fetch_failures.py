"""Why something could not be fetched, in words that say what helps."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx

from backend.errors import AccessError, ConflictError, PanelError, ServerError
from backend.i18n import N_

LATER = N_("Try again later, or use another source.")


def of(host: str, error: Exception) -> PanelError:
    """What went wrong on the way, told by the client."""
    causes = list(_causes(error))
    if any(isinstance(each, ssl.SSLError) or "CERTIFICATE_VERIFY" in str(each) for each in causes):
        return _certificate(host, causes)
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return too_slow(host, None)
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return cut_off(host)
    return ServerError(
        "fetch_unreachable",
        N_("{host} cannot be reached: {problem}"),
        N_("Check that this machine has a network and may reach it; behind a proxy, set HTTPS_PROXY for the panel."),
        host=host,
        problem=(str(error) or type(error).__name__)[:300],
    )


def no_address(host: str) -> PanelError:
    """No such name, or nobody who knows names."""
    return ServerError(
        "fetch_no_address",
        N_("No address is known for the name {host}."),
        N_("Check its spelling, and that this machine has a network; behind a proxy, set HTTPS_PROXY for the panel."),
        host=host,
    )


def inner(host: str, address: str) -> PanelError:
    """A name that leads into this machine or its network."""
    return AccessError(
        "fetch_inner_address",
        N_("{host} leads to {address}, which is not an address of the open internet; nothing was sent there."),
        N_("Pages of this machine and its network are read only where the tool's settings allow private addresses."),
        host=host,
        address=address,
    )


def too_slow(host: str, seconds: float | None) -> PanelError:
    """It did not come whole in time."""
    if seconds is None:
        return ServerError("fetch_silent", N_("{host} stopped answering."), LATER, host=host)
    return ServerError(
        "fetch_too_slow",
        N_("{host} did not answer in full within {seconds} s."),
        LATER,
        host=host,
        seconds=round(seconds, 1),
    )


def cut_off(host: str) -> PanelError:
    """The connection ended before its end."""
    return ServerError(
        "fetch_cut_off", N_("{host} closed the connection before its answer was whole."), LATER, host=host
    )


def too_large(host: str, most: int) -> PanelError:
    """More than is read."""
    return ServerError(
        "fetch_too_large",
        N_("What {host} sends is larger than the {most} MB that are read."),
        N_("Ask for a part of it: another page, a smaller file."),
        host=host,
        most=f"{most / 1e6:g}",
    )


def encoding(host: str, encoding: str) -> PanelError:
    """A body that cannot be unpacked."""
    return ServerError(
        "fetch_encoding",
        N_("The answer of {host} is packed in a way that cannot be read ({encoding})."),
        LATER,
        host=host,
        encoding=encoding[:40],
    )


def stopped(host: str) -> PanelError:
    """A person ended it."""
    return ConflictError("fetch_stopped", N_("The request to {host} was stopped."), host=host)


def _certificate(host: str, causes: list[BaseException]) -> PanelError:
    said = next((each for each in causes if isinstance(each, ssl.SSLCertVerificationError)), causes[-1])
    return ServerError(
        "fetch_certificate",
        N_("The connection to {host} is not safe: {problem}"),
        N_("Where your network checks all traffic, name its certificate with SSL_CERT_FILE and start the panel again."),
        host=host,
        problem=(getattr(said, "verify_message", "") or str(said))[:300],
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _depth in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
