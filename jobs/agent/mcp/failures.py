"""Why a server could not be reached, started or asked, in words that say what helps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2
from mcp.shared.exceptions import MCPError

from backend.agent.mcp_servers import Secrets, Server
from backend.errors import AccessError, ConflictError, NotFoundError, PanelError, ServerError
from backend.i18n import N_
from jobs.agent.mcp.http import MOST_BYTES, MOST_SSE_BYTES, Replied, shown
from jobs.agent.mcp.stdio import Heard

CHECK = N_("Try its command in a shell on this machine; what it last wrote stands above.")
ADDRESS = N_("Check the address: many servers answer under /mcp, older ones under /sse.")


def of_program(server: Server, secrets: Secrets, heard: Heard, *, seconds: float | None = None) -> PanelError:
    """A program that ended, or that was silent for ``seconds``."""
    line = secrets.hidden(next((line for line in reversed(heard.stderr) if line.strip()), ""))[:500]
    rubbish = secrets.hidden(heard.rubbish[0])[:200] if heard.rubbish else ""
    if heard.too_much:
        return too_much(server)
    if seconds is None:
        return ServerError(
            "mcp_server_ended",
            N_("The MCP server '{server}' ended by itself (exit code {exit_code}). It last wrote: {line}"),
            CHECK,
            server=server.name,
            exit_code="?" if heard.code is None else heard.code,
            line=line or rubbish or "-",
        )
    if rubbish:
        return ServerError(
            "mcp_rubbish",
            N_("The MCP server '{server}' writes text where messages belong: {line}"),
            N_(
                "Its program must write nothing but messages to stdout; many have an argument such as 'stdio' or 'mcp'."
            ),
            server=server.name,
            line=rubbish,
        )
    return ServerError(
        "mcp_no_answer",
        N_("The MCP server '{server}' did not answer within {seconds} s. It last wrote: {line}"),
        N_(
            "The first start can be slow where packages are fetched: start its command once in a shell, then try again."
        ),
        server=server.name,
        seconds=round(seconds, 1),
        line=line or "-",
    )


def of_address(server: Server, secrets: Secrets, replied: Replied, error: BaseException | None) -> PanelError:
    """A server behind an address that refused, is not there, or is no MCP server."""
    url = shown(server.url)
    about = {"server": server.name, "url": url}
    if replied.too_much or any("byte limit" in str(each) for each in causes(error)):
        return too_much(server)
    if replied.status in (401, 403):
        return AccessError(
            "mcp_unauthorized",
            N_("The MCP server '{server}' at {url} refuses this access (HTTP {status})."),
            N_(
                "Give it the header that its documentation names, such as Authorization, with a token that still holds."
            ),
            status=replied.status,
            **about,
        )
    if 300 <= replied.status < 400:
        return ServerError(
            "mcp_redirected",
            N_("The MCP server '{server}' at {url} points to {target}; nothing was sent there."),
            N_("If you trust that address, give it as the server's own."),
            target=replied.target or "-",
            **about,
        )
    if replied.status in (404, 405, 406):
        return NotFoundError(
            "mcp_wrong_path",
            N_("Nothing at {url} speaks MCP (HTTP {status})."),
            ADDRESS,
            status=replied.status,
            **about,
        )
    if replied.status:
        return ServerError(
            "mcp_http_status",
            N_("The MCP server '{server}' at {url} answered with HTTP {status}."),
            N_("Its own log says why; try again later."),
            status=replied.status,
            **about,
        )
    cause = next((each for each in causes(error) if isinstance(each, httpx2.HTTPError)), None)
    if cause is not None:
        return ServerError(
            "mcp_unreachable",
            N_("The MCP server '{server}' at {url} cannot be reached: {problem}"),
            N_("Start the server, and check machine and port of its address."),
            problem=secrets.hidden(str(cause) or type(cause).__name__)[:300],
            **about,
        )
    return refused(server, secrets, error)


def silent(server: Server, seconds: float) -> PanelError:
    """An address at which something takes the connection and says nothing."""
    return ServerError(
        "mcp_address_silent",
        N_("The MCP server '{server}' at {url} did not answer within {seconds} s."),
        ADDRESS,
        server=server.name,
        url=shown(server.url),
        seconds=round(seconds, 1),
    )


def refused(server: Server, secrets: Secrets, error: BaseException | None) -> PanelError:
    """An answer that is none: an error of the protocol, or something that does not fit it."""
    said = next((each for each in causes(error) if isinstance(each, MCPError)), None)
    first = said or next(causes(error), None)
    return ServerError(
        "mcp_refused",
        N_("The MCP server '{server}' answered with an error: {problem}"),
        N_("Its documentation or its own log says more."),
        server=server.name,
        problem=secrets.hidden(" ".join(str(first).split()) or type(first).__name__)[:500],
    )


def too_much(server: Server) -> PanelError:
    """More than we take in."""
    return ServerError(
        "mcp_too_much",
        N_("The MCP server '{server}' sent more than {most} MiB at once and was cut off."),
        N_("Ask for less: a shorter list, a smaller file, a part of it."),
        server=server.name,
        most=(MOST_SSE_BYTES if server.kind == "sse" else MOST_BYTES) >> 20,
    )


def gave_up(server: Server) -> PanelError:
    """It ended, was started again, and ended again before it had answered once."""
    return ServerError(
        "mcp_gave_up",
        N_("The MCP server '{server}' ended again after it was opened anew; it is left alone in this conversation."),
        CHECK,
        server=server.name,
    )


def call_too_slow(tool: str, seconds: float) -> PanelError:
    """A call that was ended by its time limit."""
    return ServerError(
        "mcp_call_too_slow",
        N_("The tool '{tool}' did not answer within {seconds} s; the server was told to stop."),
        N_("Ask for less, or give its server more time."),
        tool=tool,
        seconds=round(seconds, 1),
    )


def stopped(tool: str) -> PanelError:
    """A call that a person ended."""
    return ConflictError("mcp_stopped", N_("The tool '{tool}' was stopped; the server was told so."), tool=tool)


def failed(tool: str) -> PanelError:
    """The server says itself that it did not work; the result has its words."""
    return ServerError(
        "mcp_tool_failed",
        N_("The tool '{tool}' says that it failed."),
        N_("Its own words are the result: often an argument was wrong."),
        tool=tool,
    )


def asked(tool: str, question: str) -> PanelError:
    """The server wanted an answer of a person in the middle of a call."""
    return ConflictError(
        "mcp_asked_person",
        N_("The tool '{tool}' asked a person in the middle of its call, and nobody answered: {question}"),
        N_("Nobody can be asked during a call. Use a tool or an argument that needs no confirmation."),
        tool=tool,
        question=question[:300],
    )


def left_out(server: Server, tool: str, problem: str) -> PanelError:
    """A tool whose parameters no model could be given."""
    return ServerError(
        "mcp_schema_bad",
        N_("The tool '{tool}' of the MCP server '{server}' is left out: the form of its parameters is {problem}"),
        N_("Tell the server's makers; its other tools work."),
        server=server.name,
        tool=tool[:100],
        problem=problem,
    )


def too_many(server: Server, most: int) -> PanelError:
    """A list of tools without an end."""
    return ServerError(
        "mcp_too_many_tools",
        N_("The MCP server '{server}' has more than {most} tools; those after that are left out."),
        N_("Switch off what is not needed, in the server's own settings."),
        server=server.name,
        most=most,
    )


def causes(error: BaseException | None, seen: frozenset[int] = frozenset()) -> Iterator[BaseException]:
    """What lies inside groups of errors, and what each came from; cancellation is no cause."""
    if error is None or id(error) in seen:
        return
    seen |= {id(error)}
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from causes(each, seen)
        return
    if not isinstance(error, asyncio.CancelledError):
        yield error
    yield from causes(error.__cause__ or error.__context__, seen)
