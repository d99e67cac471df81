"""The token gate: nothing of the panel answers a client that has not shown the token. A pure ASGI middleware.

The way in, as in Jupyter: a link with ``?token=`` is answered once with a redirect to the same address without it and
with a cookie; from then on the cookie is the pass. Everything that is not named as open below is closed.

Covered
- Pages, deep links, static files, media, downloads, uploads, components, metrics, and paths nobody thought of: the
  decision does not look at the path, except for the two exceptions below, which are compared letter by letter.
- Websockets: refused before they are accepted. A token in a websocket's address is not looked at.
- A replaced token: cookies and open websockets of the old one end with the next message in either direction.
- Guessing: compared in constant time, ten wrong tokens at once, then one every three seconds for all clients together.
- DNS rebinding: a Host header must be there once, and name this machine (Streamlit's ``server.allowedHosts``).
- Other sites, and other ports of this host: a websocket or a request that changes something must come from the origin
  that it is sent to; no answer may be framed or read by another origin, and no CORS header is ever sent.
- The cookie is HttpOnly and SameSite=Strict, holds no token, ends after 30 days, and is named after the port in the
  browser's address bar, so that several tunnels to several panels do not log one another out.
- Leaks of the token: the redirect and the locked page are not stored, send no referrer, and name no other host.

Open on purpose
- ``GET`` and ``HEAD /_stcore/health``: says only that the process answers.
- ``/v1/``: handed to the gateway, which asks for an API key of its own and never for the cookie.

Not covered
- Eavesdropping: the panel speaks plain HTTP. On loopback and through SSH nobody listens; a network needs TLS in front.
- Browsers do not keep cookies apart by port: another program on the same host name that the person opens sees the
  cookie, and could use it until the token is replaced. Give colleagues' services another host name (127.0.0.1, localhost).
- Who may read the files or the memory of this user account has the token anyway; root always does.
- Exhaustion: who can connect can keep the brake on guessing pressed, which delays new logins, not those who are in.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote_plus

from backend.i18n import N_
from backend.web import openai_errors
from backend.web.address import host_allowed, split_host
from backend.web.asgi import ASGIApp, Message, Receive, Scope, Send
from backend.web.login_page import HEADERS, login_page, refusal_page, retry_page
from backend.web.throttle import Throttle
from backend.web.token import COOKIE_DAYS, Token

HEALTH = "/_stcore/health"
API = "/v1"
PARAMETER = "token"
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
WRONG_HOST = (
    N_("This panel is not reached under that name."),
    N_(
        "Open it as http://127.0.0.1 or http://localhost with its port, through the ssh line that was printed with the link."
    ),
)
WRONG_ORIGIN = (
    N_("This request comes from another site."),
    N_("Open the panel in a tab of its own and try again there."),
)
_SAFE = ("GET", "HEAD", "OPTIONS")
_HARDENING = (
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Gate:
    """Lets through to ``app`` who is logged in. ``hosts``: allowed Host names; ``api``: what answers ``/v1/``."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Token,
        hosts: Iterable[str],
        api: ASGIApp,
        throttle: Throttle | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = tuple(hosts)
        self._api = api
        self._throttle = throttle or Throttle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path, http = scope["path"], scope["type"] == "http"
        if http and path == HEALTH and scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        hosts = header_values(scope, b"host")
        if len(hosts) != 1 or not host_allowed(hosts[0], self._hosts):
            await _refuse(scope, receive, send, *WRONG_HOST)
            return
        if is_api(path):
            if http:
                await self._api(scope, receive, send)
            else:
                await _refuse(scope, receive, send)
            return
        if (not http or scope["method"] not in _SAFE) and not same_origin(scope, hosts[0]):
            await _refuse(scope, receive, send, *WRONG_ORIGIN)
            return
        name = cookie_name(hosts[0])
        value = next((v for v in cookie_values(scope, name) if self._token.cookie_holds(v)), None)
        given = shown_token(scope) if http and scope["method"] in ("GET", "HEAD") else None
        if value is None:
            await self._ask(scope, receive, send, name, given)
        elif given is not None:
            await _answer(scope, send, 302, [(b"location", clean_url(scope)), *_quiet()])
        elif http:
            await self._app(scope, receive, _hardened(send))
        else:
            await self._watched(scope, receive, send, value)

    async def _ask(self, scope: Scope, receive: Receive, send: Send, name: str, given: str | None) -> None:
        """Answer somebody who is not logged in: take the token, or say that one is needed."""
        if scope["type"] == "websocket":
            await _refuse(scope, receive, send)
            return
        wait_s = self._throttle.wait_s() if given else 0
        if given and not wait_s:
            if self._token.matches(given):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = (
                    f"{name}={self._token.cookie()}; Path=/; Max-Age={COOKIE_DAYS * 86400}; "
                    f"HttpOnly; SameSite=Strict{secure}"
                )
                headers = [(b"location", clean_url(scope)), (b"set-cookie", cookie.encode("ascii")), *_quiet()]
                await _answer(scope, send, 302, headers)
                return
            self._throttle.wrong()
        if scope["method"] == "GET" and not given and _from_another_site(scope):
            await _answer(scope, send, 403, HEADERS, retry_page(clean_url(scope).decode("ascii")))
            return
        headers = [*HEADERS, (b"retry-after", str(wait_s).encode("ascii"))] if wait_s else HEADERS
        await _answer(
            scope, send, 429 if wait_s else 403, headers, login_page(wrong=bool(given) and not wait_s, wait_s=wait_s)
        )

    async def _watched(self, scope: Scope, receive: Receive, send: Send, value: str) -> None:
        """A websocket that ends when its cookie does."""
        closed = False

        async def checked_send(message: Message) -> None:
            nonlocal closed
            if not closed and not self._token.cookie_holds(value):
                closed = True
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            if not closed:
                await send(message)

        async def checked_receive() -> Message:
            nonlocal closed
            message = await receive()
            if message["type"] == "websocket.receive" and (closed or not self._token.cookie_holds(value)):
                if not closed:
                    closed = True
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        await self._app(scope, checked_receive, checked_send)


def is_api(path: str) -> bool:
    """Whether the gateway answers ``path``, whatever it is."""
    return path == API or path.startswith(API + "/")


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of header ``name`` (lower case), in order."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def cookie_name(host: str) -> str:
    """The login cookie's name for the Host header ``host``: the port as the browser sees it, through any tunnel."""
    split = split_host(host)
    return f"tunedeck-{(split[1] if split else None) or 80}"


def cookie_values(scope: Scope, name: str) -> list[str]:
    """Every value sent for cookie ``name``; another path or domain may have set a second one."""
    values = []
    for header in header_values(scope, b"cookie"):
        for pair in header.split(";"):
            key, _equals, value = pair.strip().partition("=")
            if key == name:
                values.append(value)
    return values[:8]


def shown_token(scope: Scope) -> str | None:
    """The token in the address, also when the whole link was pasted into the field; None where there is none."""
    try:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return None
    given = next((value for key, value in pairs if key == PARAMETER), None)
    if given is None:
        return None
    return given.rpartition(f"{PARAMETER}=")[2].partition("&")[0].strip()


def clean_url(scope: Scope) -> bytes:
    """Path and query of the request without the token, quoted; never the address of another host."""
    # Browsers read a leading // or /\\ as a host, so exactly one slash stays in front.
    path = "/" + quote(scope["path"].lstrip("/\\"), safe="/~:@!$&'()*+,;=", errors="replace")
    parts = scope["query_string"].decode("latin-1").split("&")
    kept = [quote(p, safe="%/?~:@!$'()*+,;=&") for p in parts if p and unquote_plus(p.partition("=")[0]) != PARAMETER]
    return (path + ("?" + "&".join(kept) if kept else "")).encode("ascii")


def same_origin(scope: Scope, host: str) -> bool:
    """Whether the request was made by a page of this very panel, or by a program that is no browser."""
    if any(value not in ("same-origin", "none") for value in header_values(scope, b"sec-fetch-site")):
        return False
    return all(origin.partition("://")[2].lower() == host.lower() for origin in header_values(scope, b"origin"))


def _from_another_site(scope: Scope) -> bool:
    """A person followed a link on another site: the browser has kept the cookie back, if there is one."""
    return "cross-site" in header_values(scope, b"sec-fetch-site") and "navigate" in header_values(
        scope, b"sec-fetch-mode"
    )


def _quiet() -> list[tuple[bytes, bytes]]:
    return [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            # Streamlit lets every origin on localhost, of any port, read some of its answers.
            kept = [h for h in message.get("headers", ()) if not h[0].lower().startswith(b"access-control-")]
            names = {name.lower() for name, _value in kept}
            message = {**message, "headers": [*kept, *(h for h in _HARDENING if h[0] not in names)]}
        await send(message)

    return hardened


async def _refuse(scope: Scope, receive: Receive, send: Send, title: str = "", hint: str = "") -> None:
    """403 with the reason; a websocket is closed before it was accepted, which its client sees as 403."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
    elif is_api(scope["path"]):
        await openai_errors.send_error(send, 403, title, kind="permission_error", code="forbidden")
    else:
        await _answer(scope, send, 403, HEADERS, refusal_page(title, hint))


async def _answer(
    scope: Scope, send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
