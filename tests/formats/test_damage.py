"""Whatever is in a file, reading it gives masks or an error that says so, never a traceback."""

import base64
import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relmask.errors import RelmaskError
from relmask.formats import FORMATS, read
from tests.formats.masks import CLASSES, RING, picture

numbers = st.integers(-2000, 2000) | st.floats(-1e3, 1e3) | st.sampled_from([2**40, float("1e300"), -1, 0])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(node: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything in a JSON document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [path] if path else []
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def read_all(folder: Path) -> None:
    """Read and draw; errors of relmask are as good as masks."""
    with suppress(RelmaskError):
        found = read(folder)
        for one in found.pictures:
            for size in (None, (6, 8)):
                with suppress(RelmaskError):
                    assert one.draw((*CLASSES, *found.classes)[:255], size).ndim == 2


@pytest.mark.parametrize(
    ("name", "file"),
    [("coco", "instances.json"), ("labelme", "ein Teil/ä, 1.json"), ("label-studio", "tasks.json")],
)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_with_something_else_in_it(name: str, file: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        with FORMATS[name].writing(Path(folder), CLASSES, "") as write:
            write(picture(RING))
        document = json.loads((Path(folder) / file).read_text())
        spoilt = copy.deepcopy(document)
        *path, last = data.draw(st.sampled_from(places(document)))
        node = spoilt
        for key in path:
            node = node[key]
        node[last] = data.draw(values)
        (Path(folder) / file).write_text(json.dumps(spoilt))
        read_all(Path(folder))


def replaced(text: str, data: st.DataObject) -> str:
    """The text with some characters in place of others."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    put = data.draw(st.text(alphabet='0123456789-.,;:"<>/ =\nabé', max_size=6))
    return text[:start] + put + text[end:]


def cut(text: str, data: st.DataObject) -> str:
    """The text without its end."""
    return text[: data.draw(st.integers(0, len(text)))]


@pytest.mark.parametrize("spoil", [replaced, cut])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco", "instances.json"),
        ("cvat", "annotations.xml"),
        ("label-studio", "tasks.json"),
        ("yolo", "labels/ein Teil/ä, 1.txt"),
        ("yolo", "data.yaml"),
        ("voc", "labelmap.txt"),
        ("png", "classes.csv"),
    ],
)
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_that_was_damaged(
    name: str, file: str, spoil: Callable[[str, st.DataObject], str], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        with FORMATS[name].writing(Path(folder), CLASSES, "") as write:
            write(picture(RING))
        path = Path(folder) / file
        path.write_text(spoil(path.read_text(encoding="utf-8"), data), encoding="utf-8")
        read_all(Path(folder))


def test_a_mask_in_labelme_that_is_no_picture(tmp_path: Path) -> None:
    for mask in ("", "x", base64.b64encode(b"GIF89a").decode(), None, 7):
        shape = {"label": "pit", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": mask}
        content = {"shapes": [shape], "imagePath": "a.png", "imageWidth": 4, "imageHeight": 4}
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(RelmaskError, match="cannot be drawn"):
            read(tmp_path).pictures[0].draw(("pit",))
