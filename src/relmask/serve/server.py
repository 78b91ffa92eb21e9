"""uvicorn, started and stopped so that nothing is lost."""

import math
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn

from relmask.errors import UsageError
from relmask.inference.run import Run
from relmask.serve.app import create_app
from relmask.serve.settings import Settings


class Server(uvicorn.Server):
    """The service on a socket of its own; `run` serves until told to stop, and finishes what is at work.

    Attributes:
        url: address that it listens on.

    Args:
        run: run to serve.
        settings: address, access and limits.
        announce: called with the address once requests are answered.
        forced: called where a second Ctrl-C asks not to wait for requests that are at work.

    Raises:
        RunError: the run has no thresholds.
        UsageError: the address cannot be listened on, or the run's composite does not exist.
        UnsupportedModel: LRP cannot explain the run's model.
    """

    def __init__(
        self,
        run: Run,
        settings: Settings,
        announce: Callable[[str], None] = lambda url: None,
        forced: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = _listening(settings.host, settings.port)
        try:
            app = create_app(run, settings)
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=math.ceil(settings.limits.seconds),
            # Connections cost memory too. Most of them wait for the next request of a browser.
            limit_concurrency=1000 + settings.limits.requests,
        )
        super().__init__(config)
        self._announce = announce
        self._forced = forced
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes or `should_exit` is set."""
        with _signals_end_quietly():
            super().run(sockets or [self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and announce the address."""
        await super().startup(sockets)
        self._announce(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and finish those that are at work."""
        await super().shutdown(sockets)
        if self.force_exit:
            self._forced()


def serve(run: Run, settings: Settings, announce: Callable[[str], None] = lambda url: None) -> None:
    """Serve a run until Ctrl-C or SIGTERM; requests that are at work then are still answered.

    Args and errors are those of `Server`.
    """
    Server(run, settings, announce).run()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"Cannot listen on {host}, port {port}: {reason}. Choose another --port or --host."
        ) from error


@contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Make harmless that uvicorn raises the signal again after its shutdown: having stopped is success."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
