"""What a comparison is asked for."""

from typing import Any, Literal

from pydantic import Field

from relmask.record import Record


class Settings(Record):
    """The same settings, data and methods give the same figures, but for what time allows."""

    clean: str | None = None
    resplit: Literal["grouped", "random"] | None = None
    seed: int = 0
    patches: int | None = Field(default=None, ge=8, description="Side of the patches to learn from.")
    minutes: float = Field(
        default=20.0,
        gt=0,
        description="Time budget per method; slower methods train fewer epochs or process fewer pictures.",
    )
    backbone: str = "efficientnet-lite0"
    epochs: int | None = Field(default=None, gt=0)
    size: int | None = Field(default=None, ge=32)
    batch_size: int = Field(default=16, gt=1)
    precision: str = "32-true"
    false_alarms: float = Field(default=0.01, ge=0, lt=1)
    device: str = "auto"

    @property
    def seconds(self) -> float:
        """Of a method."""
        return 60 * self.minutes

    def training(self) -> dict[str, Any]:
        """What `relmask.train` is told."""
        names = {"backbone", "epochs", "size", "seed", "batch_size", "false_alarms"}
        return self.model_dump(include=names)
