"""Why a page is not read, in words that say what helps."""

from __future__ import annotations

from backend.errors import AccessError, DataError, PanelError, ServerError
from backend.i18n import N_


def no_hosts(host: str) -> PanelError:
    """Nobody has allowed anything yet."""
    return AccessError(
        "web_page_no_hosts",
        N_("No host is allowed yet, so {host} was not asked."),
        N_("A person adds hosts in the settings of the tool *Web page*: {host}, or *.{host} for all below it."),
        host=host,
    )


def not_allowed(host: str, hosts: list[str]) -> PanelError:
    """A host that nobody has allowed."""
    return AccessError(
        "web_page_not_allowed",
        N_("{host} is not on the list of allowed hosts and was not asked. Allowed: {listing}"),
        N_("A person can add {host} in the settings of the tool *Web page*."),
        host=host,
        listing=", ".join(hosts[:20]) + (" …" if len(hosts) > 20 else ""),
    )


def unfit(given: str) -> PanelError:
    """No address of the web."""
    return DataError(
        "web_page_address_unfit",
        N_("This is no address of a web page: {given}"),
        N_("It begins with https:// or http:// and names a host, such as https://example.org/page."),
        given="".join(filter(str.isprintable, given.rpartition("@")[2]))[:200],
    )


def user(host: str) -> PanelError:
    """``https://user:password@host``: often a trick to look like another host."""
    return AccessError(
        "web_page_user",
        N_("The address names a user before {host}; such addresses are not read."),
        N_("Leave out what stands before the @, if {host} is the host that is meant."),
        host=host,
    )


def redirects(address: str, most: int) -> PanelError:
    """In a circle, mostly."""
    return ServerError(
        "web_page_redirects",
        N_("The page redirects more than {most} times, last to {address}."),
        N_("Use the address at which a browser ends up."),
        address=address,
        most=most,
    )


def status(address: str, status: int) -> PanelError:
    """The host has something else to say than the page."""
    if status in (404, 410):
        return ServerError(
            "web_page_missing",
            N_("There is no page at {address} (HTTP {status})."),
            N_("Check the address, or look for it from the host's first page."),
            address=address,
            status=status,
        )
    return ServerError(
        "web_page_status",
        N_("The host answered HTTP {status} for {address}."),
        N_("401 and 403: it wants a login or refuses programs; 429 and 503: try again later."),
        address=address,
        status=status,
    )


def kind(address: str, media_type: str) -> PanelError:
    """Nothing that has text."""
    return DataError(
        "web_page_type",
        N_("{address} is no text that can be read ({type})."),
        N_("Pages (HTML), plain text, JSON and PDF can be read."),
        address=address,
        type=media_type[:80],
    )


def empty(address: str) -> PanelError:
    """A page that a script fills, mostly."""
    return DataError(
        "web_page_empty",
        N_("The page at {address} holds no text."),
        N_("It may be filled by a script, which is not run here. Look for another form of it, such as a PDF."),
        address=address,
    )


def pdf() -> PanelError:
    """The program that reads PDF was ended by its bounds."""
    return DataError(
        "web_page_pdf",
        N_("This PDF takes too much memory or time to read."),
        N_("Look for a page (HTML) with the same text."),
    )
