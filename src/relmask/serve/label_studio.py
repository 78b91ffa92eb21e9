"""Label Studio's ML backend: what it asks (`/setup`, `/predict`), and how pictures of its tasks are fetched.

Pictures come from the Label Studio that `--label-studio` names and from nowhere else, whatever a task says:
who may send tasks shall not make this server ask other machines.

Source: labelstud.io/guide/ml_create, /guide/access_tokens; label_studio/ml/api_connector.py for requests.
"""

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit
from xml.etree import ElementTree

from pydantic import BaseModel, Field

from relmask.arrays import FloatArray
from relmask.errors import UsageError
from relmask.formats import Picture
from relmask.formats.addresses import name_of
from relmask.formats.label_studio import config, prediction
from relmask.inference.segmenter import Segmentation

MOST_CONFIG = 2**20
"""Letters of a labelling interface."""

_OF_ADDRESSES = ":/?#[]@!$&'()*+,;=%~"
"""What an address holds as it is; a task's file name may bring spaces and letters that it does not hold."""
_LONGEST_PATH = 100
"""Letters of an address that an error shows."""


class Task(BaseModel):
    """A task of Label Studio; fields other than its data are ignored."""

    data: Mapping[str, Any]


class PredictRequest(BaseModel):
    """Label Studio's request for predictions; other fields are ignored."""

    tasks: list[Task]
    label_config: str = Field(max_length=MOST_CONFIG)


class SetupRequest(BaseModel):
    """Label Studio's request when a project is connected; other fields are ignored."""

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
    picture: FloatArray,
    found: Segmentation,
) -> dict[str, Any]:
    """The prediction of a task, as Label Studio takes it."""
    described = Picture(name, name, found.mask, score=found.score, scores=found.scores)
    return prediction(described, classes, model_version=version, from_name=names.brush, to_name=names.image)


@dataclass(frozen=True)
class Source:
    """The Label Studio that pictures of tasks come from.

    Attributes:
        url: address of Label Studio; None fetches nothing.
        key: access token of Label Studio, a legacy or a personal one.
        most: bytes of a picture, at most.
        seconds: time to wait for a picture.
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
        if not address.isprintable():
            raise UsageError(f"the task's data name its picture {address!a}, which is no address.")
        if address.startswith("data:"):
            return _inline(address, self.most)
        if self.url is None:
            raise UsageError("start relmask serve with --label-studio URL, so that pictures can be fetched.")
        try:
            target = quote(urljoin(self.url, address), safe=_OF_ADDRESSES)
            place = urlsplit(target)
        except ValueError as error:
            raise UsageError(f"{address} is no address: {error}.") from error
        if place[:2] != urlsplit(self.url)[:2]:
            raise UsageError(f"pictures are fetched from {self.url} alone, not from {place.netloc}.")
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
        try:
            return {"Authorization": f"Bearer {json.loads(answer)['access']}"}
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.url} did not renew the access token as Label Studio does. Check --label-studio."
            ) from error

    def _get(self, target: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
        try:
            request = urllib.request.Request(target, body, dict(headers))
            with _OPENER.open(request, timeout=self.seconds) as answer:
                content: bytes = answer.read(self.most + 1)
        except (OSError, ValueError, HTTPException) as error:
            path = urlsplit(target).path[-_LONGEST_PATH:]
            raise UsageError(f"Label Studio does not give {path}: {_reason(error)}.") from error
        if len(content) > self.most:
            raise UsageError(f"it is larger than {self.most / 2**20:.3g} MB.")
        return content


def file_name(address: object) -> str:
    """Name of a task's picture, for messages and the suffix."""
    if not isinstance(address, str) or not address.isprintable() or address.startswith("data:"):
        return "picture"
    try:
        return name_of(address)
    except ValueError:
        return "picture"


def _inline(address: str, most: int) -> IO[bytes]:
    kind, _, text = address.partition(",")
    if not kind.endswith(";base64") or len(text) > most * 4 // 3 + 4:
        raise UsageError("data: addresses must be base64, and no larger than a request.")
    try:
        return io.BytesIO(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise UsageError("the base64 of its data: address is damaged.") from error


def _reason(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError(code=code):
            return f"it answers {code}{', check the access token' if code in (401, 403) else ''}"
        case TimeoutError() | urllib.error.URLError(reason=TimeoutError()):
            return "it does not answer in time"
        case urllib.error.URLError(reason=OSError(strerror=str() as said)):
            return said
        case urllib.error.URLError(reason=reason):
            return str(reason)
    return str(error)


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
        """The redirected request, if it stays on the machine that was asked."""
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
