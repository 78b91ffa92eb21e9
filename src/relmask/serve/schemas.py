"""What goes in and comes out, as OpenAPI tells it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from relmask.masks.calibration import ClassThresholds
from relmask.record import Record

Base64 = Annotated[str, Field(description="Bytes as base64.")]


class Chosen(Record):
    """Thresholds of a class that a person can move."""

    seed: float = Field(ge=0, description="In logits a pixel; where there is more relevance a mask begins.")
    extent: float = Field(gt=0, description="How far the mask reaches, as the run's `extent_of` says.")
    min_area: int = Field(default=0, ge=0, description="Parts of fewer pixels are left out.")


class Part(Record):
    """One connected part of a mask."""

    label: str
    area: int = Field(description="In pixels.")
    box: tuple[int, int, int, int] = Field(description="Left, top, right, bottom; the last two are outside.")


class Runs(Record):
    """The mask of one class as COCO's run-length encoding, as pycocotools takes it."""

    label: str
    size: tuple[int, int] = Field(description="Height and width.")
    counts: str = Field(description="COCO's text of the run lengths, which go column by column.")


class Relevance(Record):
    """Relevance of the classes that were explained, in logits a pixel."""

    height: int
    width: int
    classes: Mapping[str, Base64] = Field(description="height x width float32, little endian, row by row.")


class Segmented(Record):
    """What the run says of a picture."""

    name: str
    width: int
    height: int
    label: Literal["defect", "clean"] = Field(description="defect where the mask holds a pixel.")
    score: float = Field(description="Probability of any defect.")
    scores: Mapping[str, float] = Field(description="Probability of each class.")
    novelty: float | None = Field(description="Distance to the nearest training picture; null where unknown.")
    unsure: str = Field(description="Why the answer should not be relied on; empty where nothing says so.")
    components: list[Part] = Field(description="Connected parts of the mask, largest first.")
    png: Base64 | None = Field(
        description="Mask as palette PNG of the picture's size, k = k-th class; with mask=png."
    )
    rle: list[Runs] | None = Field(description="Mask of each class that is in it; with mask=rle.")
    relevance: Relevance | None = Field(description="Null unless asked for, and of pictures judged clean.")
    preview: Base64 | None = Field(
        description="The picture as JPEG, as the model sees its values; with preview."
    )


class Failed(Record):
    """Why a picture could not be segmented."""

    name: str
    status: int = Field(description="As if it had been sent alone.")
    error: str


class Answer(Record):
    """One entry for each picture, in their order."""

    images: list[Segmented | Failed]


class Accepted(Record):
    """A picture with its mask, to be exported."""

    name: str = Field(
        min_length=1, max_length=1000, description="Of the picture, with folders below its root."
    )
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    score: float = Field(ge=0, le=1, description="Probability of any defect.")
    scores: Mapping[str, float] = Field(description="Probability of each class.")
    rle: list[Runs] = Field(description="Mask of each class that is in it; later ones lie over earlier ones.")


class Export(Record):
    """Masks to export."""

    format: str = Field(description="One of the run's `formats`.")
    images: list[Accepted] = Field(min_length=1)


class Class(Record):
    """A defect class."""

    name: str
    colour: tuple[int, int, int] = Field(description="Red, green and blue of its masks.")
    thresholds: ClassThresholds


class Taken(Record):
    """How much the service takes."""

    bytes: int = Field(description="Of the body of a request.")
    pixels: int = Field(description="Of a picture.")
    images: int = Field(description="In a request.")
    requests: int = Field(description="At a time.")
    seconds: float = Field(description="That a request may take.")


class RunInfo(Record):
    """What is served."""

    name: str
    version: str = Field(description="Of relmask.")
    classes: list[Class] = Field(description="In the order of the mask's values, from 1.")
    clean: str | None = Field(description="Name of the class without defects.")
    full: float = Field(
        description="Relevance to show in full colour: 100 times that of one logit spread evenly."
    )
    saw_masks: bool = Field(description="Did a true mask help to choose a threshold?")
    by_hand: bool = Field(description="Did a person move a threshold?")
    formats: list[str] = Field(description="That masks can be exported in.")
    limits: Taken


class Health(Record):
    """The service is up."""

    status: Literal["UP"] = "UP"
    model_class: Literal["relmask"] = "relmask"


class Problem(Record):
    """Why a request was refused."""

    detail: str
