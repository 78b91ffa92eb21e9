"""What goes in and comes out, as OpenAPI tells it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from relmask.masks.thresholds import ClassThresholds
from relmask.models.kept_scores import Source
from relmask.record import Record

Base64 = Annotated[str, Field(description="Bytes as base64.")]


class Chosen(Record):
    """Thresholds of a class that a person can move."""

    level: float = Field(
        gt=0,
        description="Value of the map above which a pixel belongs to the mask, in the run's `unit`.",
    )
    min_area: int = Field(
        default=0, ge=0, le=10**9, description="Area in pixels below which a part of the mask is dropped."
    )
    gate: float | None = Field(
        default=None,
        description="Logit above which an image may get a mask of the class; null keeps the run's gate.",
    )


class Part(Record):
    """One connected part of a mask."""

    label: str = Field(description="Class of the part.")
    area: int = Field(description="Area in pixels.")
    box: tuple[int, int, int, int] = Field(description="Left, top, right, bottom; the last two are outside.")


class Runs(Record):
    """The mask of one class as COCO's run-length encoding, as pycocotools takes it."""

    label: str = Field(description="The class.")
    size: tuple[int, int] = Field(description="Height and width.")
    counts: str = Field(description="COCO's text of the run lengths, which go column by column.")


class Relevance(Record):
    """Map of each class that was explained: relevance, or the probabilities of a student."""

    height: int
    width: int
    classes: Mapping[str, Base64] = Field(
        description="height x width float32 in the run's `unit`, little endian, row by row."
    )
    novelty: Base64 | None = Field(
        description="Likewise, of an image that was `explained`: how unlike clean images each place is, in "
        "standard deviations, which is where the classifier looks first; null where the run cannot tell."
    )


class Segmented(Record):
    """The result of an image."""

    name: str
    width: int
    height: int
    status: Literal["defect", "clean"] = Field(description="defect where the mask holds a pixel.")
    score: float = Field(description="Probability of any defect.")
    scores: Mapping[str, float] = Field(description="Probability of each class.")
    logits: Mapping[str, float] = Field(description="Logit of each class, which its gate is compared with.")
    explained: str = Field(
        description="Strongest class of an image that passes no gate, with explain_clean=true; else empty."
    )
    image_novelty: float | None = Field(
        description="Distance to the nearest training image, 1 at its limit; null where unknown."
    )
    warning: str = Field(description="Reason not to rely on the result; empty where there is none.")
    components: list[Part] = Field(description="Connected parts of the mask, largest first.")
    png: Base64 | None = Field(
        description="Mask as palette PNG of the image's size, k = k-th class; with mask=png."
    )
    rle: list[Runs] | None = Field(description="Mask of each class that is in it; with mask=rle.")
    relevance: Relevance | None = Field(
        description="Maps, with relevance=true; null for an image that passes no gate and is not `explained`."
    )
    preview: Base64 | None = Field(
        description="The image as JPEG, with its values as the model sees them; with preview."
    )


class Failed(Record):
    """The reason why an image has no result."""

    name: str
    status: Literal["failed"] = "failed"
    code: int = Field(description="HTTP status that the image would have got alone.")
    error: str


class Answer(Record):
    """One entry for each image, in their order."""

    images: list[Segmented | Failed]


class Accepted(Record):
    """An image with its mask, to be exported."""

    name: str = Field(min_length=1, max_length=1000, description="Path of the image below some folder.")
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


class Judged(Record):
    """An image whose labels and logits the run keeps."""

    labels: list[str] = Field(description="Classes in the image; none: it is clean.")
    group: int = Field(description="Number of the object that the image shows.")
    source: Source = Field(description="Where the logits come from.")
    logits: list[float] = Field(description="Logit of each class, in the run's order.")


class Kept(Record):
    """The images that the run's gates were chosen from."""

    images: list[Judged]


class Taken(Record):
    """Limits of the service."""

    bytes: int = Field(description="Bytes in the body of a request.")
    pixels: int = Field(description="Pixels of an image.")
    images: int = Field(description="Images in a request.")
    requests: int = Field(description="Requests at a time.")
    seconds: float = Field(description="Seconds that a request may take.")


class RunInfo(Record):
    """The run that is served."""

    name: str
    version: str = Field(description="Version of relmask.")
    classes: list[Class] = Field(description="Classes in the order of the mask's values, from 1.")
    clean: str | None = Field(description="Name of the class without defects.")
    unit: str = Field(description="Unit of maps and of absolute levels: probability for a student.")
    full_scale: float = Field(description="Value of a map that a heatmap draws in full colour.")
    never_clean: bool = Field(description="Does every image show a class, so that the strongest passes?")
    saw_masks: bool = Field(description="Did a true mask help, in training or to choose a threshold?")
    by_hand: bool = Field(description="Did a person move a threshold?")
    false_alarms: float = Field(description="Share of clean images that the run's gates were chosen for.")
    windows: bool = Field(description="Are large images cut into windows, each of which has to pass a gate?")
    formats: list[str] = Field(description="Formats that masks can be exported in.")
    limits: Taken


class Health(Record):
    """The service is up."""

    status: Literal["UP"] = "UP"
    model_class: Literal["relmask"] = "relmask"


class Problem(Record):
    """The reason why a request was refused."""

    detail: str
