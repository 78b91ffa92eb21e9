"""Label Studio's ML backend: what it asks (`/setup`, `/predict`), and how pictures of its tasks are fetched.

Pictures come from the Label Studio that `--label-studio` names and from nowhere else, whatever a task says:
who may send tasks shall not make this server ask other machines.

Source: labelstud.io/guide/ml_create, /guide/access_tokens; label_studio/ml/api_connector.py for requests.
"""

import base64
import binascii
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from relmask.errors import UsageError
from relmask.formats import Picture
from relmask.formats.addresses import name_of
from relmask.formats.label_studio import config, prediction
from relmask.inference.segmenter import Segmentation

MOST_CONFIG = 2**20


class Task(BaseModel):
    """A task, of which only the data matter."""

    data: Mapping[str, Any]


class PredictRequest(BaseModel):
    """What Label Studio sends for predictions; other fields are passed over."""

    tasks: list[Task]
    label_config: str = Field(max_length=MOST_CONFIG)


class SetupRequest(BaseModel):
    """What Label Studio sends when a project is connected; other fields are passed over."""

    # `schema` would hide an attribute of the base class.
    label_config: str = Field(alias="schema", default="", max_length=MOST_CONFIG)


class Interface(NamedTuple):
    """Names in a labelling interface: its BrushLabels, its Image, and which of the task's data it shows."""

    brush: str
    image: str
    key: str


def interface(label_config: str, classes: Sequence[str]) -> Interface:
    """The names in a labelling interface.

    Raises:
        UsageError: it is no XML, has no brush on an image, or lacks one of the classes.
    """
    try:
        root = ElementTree.fromstring(label_config)
    except ElementTree.ParseError as error:
        raise UsageError(f"The labelling interface is no XML: {error}.") from error
    images = {tag.get("name", ""): tag.get("value", "") for tag in root.iter("Image")}
    for brush in root.iter("BrushLabels"):
        shown = images.get(brush.get("toName", ""), "")
        if not shown.startswith("$"):
            continue
        labels = {label.get("alias") or label.get("value") for label in brush.iter("Label")}
        if missing := [name for name in classes if name not in labels]:
            raise UsageError(
                f"The labelling interface lacks the labels {', '.join(missing)}. {_hint(classes)}"
            )
        return Interface(brush.get("name", ""), brush.get("toName", ""), shown[1:])
    raise UsageError(f"The labelling interface has no BrushLabels on an Image. {_hint(classes)}")


def _hint(classes: Sequence[str]) -> str:
    return f"One that fits:\n{config(classes)}"


def predicted(
    names: Interface,
    version: str,
    name: str,
    classes: Sequence[str],
    picture: NDArray[np.float32],
    found: Segmentation,
) -> dict[str, Any]:
    """The prediction of a task, as Label Studio takes it."""
    described = Picture(name, name, found.mask, score=found.score, scores=found.scores)
    return prediction(described, classes, model_version=version, from_name=names.brush, to_name=names.image)


@dataclass(frozen=True)
class Source:
    """Where pictures of tasks come from.

    Attributes:
        url: of Label Studio; None fetches nothing.
        key: its access token, a legacy or a personal one.
        most: bytes of a picture.
        seconds: to wait for one.
    """

    url: str | None
    key: str | None
    most: int
    seconds: float

    def open(self, address: object) -> IO[bytes]:
        """The picture that a task's data name.

        Raises:
            UsageError: it lies elsewhere, is too large, or Label Studio does not give it.
        """
        if not isinstance(address, str) or not address:
            raise UsageError("the task's data name no picture.")
        if address.startswith("data:"):
            return _inline(address, self.most)
        if self.url is None:
            raise UsageError("start relmask serve with --label-studio URL, so that pictures can be fetched.")
        target = urljoin(self.url, address)
        if urlsplit(target)[:2] != urlsplit(self.url)[:2]:
            raise UsageError(
                f"pictures are fetched from {self.url} alone, not from {urlsplit(target).netloc}."
            )
        return io.BytesIO(self._get(target, self._authorization()))

    def _authorization(self) -> dict[str, str]:
        if not self.key:
            return {}
        if self.key.count(".") != 2:  # a legacy token; a personal one is a JSON web token
            return {"Authorization": f"Token {self.key}"}
        body = json.dumps({"refresh": self.key}).encode()
        answer = self._get(
            urljoin(str(self.url), "/api/token/refresh"), {"Content-Type": "application/json"}, body
        )
        return {"Authorization": f"Bearer {json.loads(answer)['access']}"}

    def _get(self, target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
        request = urllib.request.Request(target, body, dict(headers))
        try:
            with _OPENER.open(request, timeout=self.seconds) as answer:
                content: bytes = answer.read(self.most + 1)
        except (OSError, ValueError) as error:
            raise UsageError(f"Label Studio does not give {urlsplit(target).path}: {error}.") from error
        if len(content) > self.most:
            raise UsageError(f"it is larger than {self.most / 2**20:.3g} MB.")
        return content


def file_name(address: object) -> str:
    """What a task calls its picture, for messages and the suffix."""
    if not isinstance(address, str) or address.startswith("data:"):
        return "picture"
    return name_of(address)


def _inline(address: str, most: int) -> IO[bytes]:
    kind, _, text = address.partition(",")
    if not kind.endswith(";base64") or len(text) > most * 4 // 3 + 4:
        raise UsageError("data: addresses must be base64, and no larger than a request.")
    try:
        return io.BytesIO(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise UsageError(f"its base64 is damaged: {error}.") from error


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to the machine that was asked."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to follow."""
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise urllib.error.URLError(f"it redirects to {urlsplit(newurl).netloc}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPErrorProcessor(),
    urllib.request.HTTPDefaultErrorHandler(),
    _StayHere(),
):
    _OPENER.add_handler(_handler)
