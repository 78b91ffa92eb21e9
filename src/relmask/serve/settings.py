"""Address, access and limits of the service."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from relmask.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of all of them together.

    Attributes:
        megabytes: size of a request's body.
        megapixels: size of an image, taken from its header before it is decoded. The images that are decoded
            at one time have together at most as many pixels, or 16 megapixels if that is more.
        images: images in a request.
        requests: requests that are at work or wait; one more is answered 503.
        seconds: time that a request may take, from its first byte to its answer.
    """

    megabytes: float = 64
    megapixels: float = 64
    images: int = 32
    requests: int = 32
    seconds: float = 60

    @property
    def bytes(self) -> int:
        """Bytes in the body of a request."""
        return int(self.megabytes * 2**20)

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return int(self.megapixels * 1e6)


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        host: address or name to listen on.
        port: port to listen on; 0 takes a free one.
        token: token that clients must send; None lets everyone in.
        insecure: are other machines served without a token?
        limits: limits of requests.
        batch_size: images of different requests that are segmented together. None: on a GPU the run's batch
            size, on a CPU 1: eight gave 12.5 instead of 17 a second at 256 px, 30 instead of 27 at 64 px.
        label_studio: address of the Label Studio that images of tasks come from; None fetches none.
        label_studio_key: access token of that Label Studio.

    Raises:
        UsageError: a token that no header can carry, an address that is none, or other machines could come in
            without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    insecure: bool = False
    limits: Limits = field(default_factory=Limits)
    batch_size: int | None = None
    label_studio: str | None = None
    label_studio_key: str | None = None

    def __post_init__(self) -> None:
        for option, token in (("--token", self.token), ("--label-studio-key", self.label_studio_key or None)):
            if token is not None and not _can_be_sent(token):
                raise UsageError(f"{option} must be ASCII letters, digits and signs, without spaces.")
        if self.label_studio and not _is_address(self.label_studio):
            raise UsageError(
                f"{self.label_studio} is no address of Label Studio, like http://localhost:8080."
            )
        if not self.is_local and self.token is None and not self.insecure:
            raise UsageError(
                f"On {self.host} everyone in the network could use the service, and change the run's "
                "thresholds. Give a --token, listen on 127.0.0.1, or say --insecure if you want that."
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _can_be_sent(token: str) -> bool:
    return token.isascii() and token.isprintable() and token.split() == [token]


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
