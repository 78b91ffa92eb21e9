"""Where the service listens, whom it serves, and how much it takes."""

import ipaddress
from dataclasses import dataclass, field

from relmask.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may take.

    Attributes:
        megabytes: of the body of a request.
        megapixels: of a picture, asked of its header before it is decoded. Decoded pictures take together
            what one of this size takes, or 16 megapixels if that is more.
        images: pictures in a request.
        requests: that are worked on or wait; one more is answered 503.
        seconds: that a request may take, from its first byte to its answer.
    """

    megabytes: float = 64
    megapixels: float = 64
    images: int = 32
    requests: int = 32
    seconds: float = 60

    @property
    def bytes(self) -> int:
        """Of the body of a request."""
        return int(self.megabytes * 2**20)

    @property
    def pixels(self) -> int:
        """Of a picture."""
        return int(self.megapixels * 1e6)


@dataclass(frozen=True)
class Settings:
    """How a run is served.

    Attributes:
        host: address or name to listen on.
        port: likewise; 0 takes a free one.
        token: that requests must bring; None asks for none.
        insecure: serve other machines without a token.
        limits: what requests may take.
        batch_size: pictures of different requests that are segmented together. None: on a GPU the run's batch
            size, on a CPU 1: eight gave 12.5 instead of 17 a second at 256 px, 30 instead of 27 at 64 px.
        label_studio: address of the Label Studio that tasks' pictures come from; None fetches none.
        label_studio_key: access token for it.

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
        if self.token is not None and not (
            self.token.isascii() and self.token.isprintable() and self.token.split() == [self.token]
        ):
            raise UsageError(
                "A token is made of letters, digits and signs of ASCII: choose a long random one."
            )
        if self.label_studio and not self.label_studio.startswith(("http://", "https://")):
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
        """Does it listen to this machine alone?"""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
