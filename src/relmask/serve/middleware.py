"""Middleware before the service: access, and limits of size, time and number."""

import asyncio
import hmac
import json
import math
import time
from base64 import b64decode
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relmask.serve.settings import Limits, Settings

_PUBLIC = frozenset({"/", "/health", "/openapi.json"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WORK = frozenset({"POST", "PUT"})


@dataclass
class Guard:
    """ASGI middleware that refuses requests before any of their body is kept.

    Args:
        app: application behind it.
        settings: access and limits.
    """

    app: ASGIApp
    settings: Settings
    _active: int = 0
    _usual: float = field(default=1.0)  # seconds that a request takes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            self._admit(scope, headers)
        except HTTPException as refusal:
            await _drained(receive, headers, self.settings.limits)
            await _answer(send, refusal)
            return
        if scope["method"] not in _WORK:
            await self.app(scope, receive, send)
            return
        self._active += 1
        begin = time.monotonic()
        try:
            await self._timed(scope, receive, send)
        finally:
            self._active -= 1
            self._usual += 0.1 * (time.monotonic() - begin - self._usual)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within the limits of bytes and seconds, for as long as its client waits."""
        limits = self.settings.limits
        body = _Body(receive, limits)
        loop = asyncio.get_running_loop()
        started = answered = left = False

        async def timed(message: Message) -> None:
            nonlocal started, answered
            if not started:  # taking the answer in has as much time again
                started = True
                timeout.reschedule(loop.time() + limits.seconds)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def give_up_with_the_client() -> None:
            nonlocal left
            await body.disconnected()
            if not answered and not timeout.expired():  # else its end is nobody's going away
                left = True
                timeout.reschedule(loop.time())

        try:
            async with asyncio.timeout(limits.seconds) as timeout:
                watch = asyncio.create_task(give_up_with_the_client())
                try:
                    await self.app(scope, body.receive, timed)
                finally:
                    watch.cancel()
        except TimeoutError:
            if left:
                return
            if started:
                raise
            late = HTTPException(408, f"The request did not arrive within {limits.seconds:g} s.")
            await _answer(send, self._busy("Not done in time.") if body.complete.is_set() else late)

    def _busy(self, reason: str) -> HTTPException:
        wait = math.ceil(min(max(self._usual, 1), self.settings.limits.seconds))
        return HTTPException(503, f"{reason} Try again in {wait} s.", {"Retry-After": str(wait)})

    def _admit(self, scope: Scope, headers: dict[str, str]) -> None:
        """Raise what a request is refused with."""
        path, limits = scope["path"], self.settings.limits
        if self.settings.token is None:
            self._refuse_strangers(headers)
        if path not in _PUBLIC and not path.startswith("/static/") and not self._knows(headers):
            raise HTTPException(
                401, "Send the token: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
            )
        if scope["method"] not in _WORK:
            return
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limits.bytes:
            raise _too_large(limits)
        if self._active >= limits.requests:
            raise self._busy(f"Busy with {self._active} requests.")

    def _refuse_strangers(self, headers: dict[str, str]) -> None:
        """Keep out what a page of another site makes a browser send; where there is a token, it does that."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.settings.is_local and _name(host) not in _LOCAL_NAMES:
            raise HTTPException(421, f"This service is not {host!r}. Ask it as 127.0.0.1 or localhost.")
        if origin and urlsplit(origin).netloc != host:
            raise HTTPException(403, f"A page of {origin} may not use this service.")

    def _knows(self, headers: dict[str, str]) -> bool:
        if self.settings.token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":  # as Label Studio sends it: any user, the token as password
            try:
                given = b64decode(given).decode().partition(":")[2]
            except ValueError:
                return False
        return hmac.compare_digest(given.strip().encode(), self.settings.token.encode())


class _Body:
    """The messages of a request, as far as the limit of bytes allows."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._came = 0
        self.complete = asyncio.Event()

    async def receive(self) -> Message:
        """The next message of the body, counted."""
        message = await self._receive()
        self._came += len(message.get("body", b""))
        if self._came > self._limits.bytes:
            raise _too_large(self._limits)
        if not message.get("more_body", False):
            self.complete.set()
        return message

    async def disconnected(self) -> None:
        """Wait until the client has gone; whoever reads the body learns by itself that it breaks off."""
        await self.complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _drained(receive: Receive, headers: dict[str, str], limits: Limits) -> None:
    """Take in and drop a body that is being sent, so that the client gets to read the answer."""
    if "expect" in headers or not {"content-length", "transfer-encoding"} & headers.keys():
        return
    came = 0
    try:
        async with asyncio.timeout(min(limits.seconds, 10)):
            while came <= limits.bytes:
                message = await receive()
                came += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        413, f"The request is larger than {limits.megabytes:g} MB. Send fewer or smaller pictures."
    )


async def _answer(send: Send, refusal: HTTPException) -> None:
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(refusal.headers or {}),
    }
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _name(host: str) -> str:
    """A Host header without its port.

    >>> [_name(host) for host in ("localhost:80", "127.0.0.1", "[::1]:8000", "evil.example:8000")]
    ['localhost', '127.0.0.1', '::1', 'evil.example']
    """
    return urlsplit(f"//{host}").hostname or ""
