"""What Label Studio calls pictures: paths, URLs, local storage and uploads."""

import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from relmask.data.decoding import SUFFIXES
from relmask.formats.fields import text


def located(root: str, image: str) -> str:
    """A picture below a path or a URL; what a URL cannot hold as it is, is quoted.

    >>> located("/data/local-files/?d=parts", "ein Teil.png"), located("parts", "a.png")
    ('/data/local-files/?d=parts/ein%20Teil.png', 'parts/a.png')
    """
    if _is_url(root):
        image = quote(image)
    return f"{root}{'' if not root or root.endswith(('/', '=')) else '/'}{image}"


def name_of(url: str) -> str:
    """The picture's path in what a task calls it: a path, a URL, local storage, or an upload.

    >>> name_of("/data/local-files/?d=parts/ein%20Teil.png"), name_of("/data/upload/3/0a1b2c3d-a.png")
    ('parts/ein Teil.png', 'a.png')
    """
    if not _is_url(url):
        return url
    try:
        parsed = urlsplit(url)
    except ValueError:  # an address that no machine can have
        return url
    path = unquote(parsed.path).strip("/")
    if path.endswith("data/local-files") and "d" in (query := parse_qs(parsed.query)):
        return query["d"][0]
    upload = re.search(r"(?:^|/)data/upload/\d+/[0-9a-f]{8}-([^/]+)$", path)
    return upload.group(1) if upload else path


def _is_url(text: str) -> bool:
    """Whether it is a URL, or a path on Label Studio's own server."""
    return "://" in text or text.startswith("/data/")


def picture_of(data: Mapping[str, Any], shown: Collection[str], usual: str) -> str | None:
    """The picture's path in that field of a task's data that holds it, if one does.

    What such a field holds looks like a path or a URL of a picture. It may look like anything where the field
    is the only one, or has one of the names.

    Args:
        data: of the task; fields that hold no text are passed over.
        shown: names of the tags that something was drawn on, which fields often share.
        usual: name of the field that relmask uses.
    """
    fields = {
        key: text(data, key)
        for key, value in data.items()
        if isinstance(value, str) and value and not value.startswith("data:")  # which is the file itself
    }

    def rank(key: str) -> tuple[bool, bool, int]:
        likely = _likeness(fields[key])
        return likely > 0 and key in shown, likely > 0 and key == usual, likely

    best = max(fields, key=lambda key: (*rank(key), key in shown, key == usual), default=None)
    if best is None or not (any(rank(best)) or best in shown or best == usual or len(fields) == 1):
        return None
    return name_of(fields[best]).replace("\\", "/")


def _likeness(value: str) -> int:
    """To the path or URL of a picture: 2 where it ends like one, 1 for any other URL."""
    return 2 if PurePosixPath(name_of(value)).suffix.lower() in SUFFIXES else int(_is_url(value))
