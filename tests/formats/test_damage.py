"""Whatever is in a file, reading it gives masks or an error that says so, never a traceback."""

import copy
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relmask.errors import RelmaskError
from relmask.formats import FORMATS, format_of, read
from tests.formats import everything
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


PYTHON = re.compile(
    r"' object|Error|None|attribute|could not|invalid literal|out of range|hashable|codec|unpack|numpy"
)
"""What is in messages of Python's."""


@contextmanager
def told_by_relmask() -> Iterator[None]:
    """Errors of relmask are as good as masks, if they say what is wrong, in relmask's own words."""
    failed: Exception | None = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Left out of")
            yield
    except RelmaskError as error:
        failed = error
    assert not PYTHON.search(str(failed or "")), failed
    assert "they are damaged" not in str(failed), failed and failed.__cause__


def read_all(folder: Path) -> None:
    """Read and draw."""
    with told_by_relmask():
        found = read(folder)
        for one in found.pictures:
            for size in (None, (6, 8)):
                with told_by_relmask():
                    assert one.draw((*CLASSES, *found.classes)[:255], size).ndim == 2


DOCUMENTS: dict[str, object] = {
    "coco": everything.coco(),
    "labelme": everything.labelme(),
    "label-studio": everything.label_studio(),
}
TEXTS: dict[str, Mapping[str, str]] = {
    **{name: {"a.json": json.dumps(document)} for name, document in DOCUMENTS.items()},
    "cvat": {"annotations.xml": everything.CVAT},
    "yolo": everything.YOLO,
}


def spoilt(document: object, data: st.DataObject) -> object:
    """The document with something else in one or two places, or without them."""
    changed = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places(changed)))
        node: Any = changed
        for key in path:
            node = node[key]
        if data.draw(st.booleans()):
            node[last] = data.draw(values)
        else:
            del node[last]
    return changed


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_damage_is_done_to_reads_without(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(DOCUMENTS[name]))
    assert format_of(tmp_path) == name
    with pytest.warns(UserWarning, match="Left out of"):
        found = read(tmp_path)
    assert all(one.draw(("pit",), (6, 8)).any() for one in found.pictures)


@pytest.mark.parametrize("name", DOCUMENTS)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_document_with_something_else_in_it(name: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.json").write_text(json.dumps(spoilt(DOCUMENTS[name], data)))
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
@pytest.mark.parametrize(("name", "file"), [(name, file) for name in TEXTS for file in TEXTS[name]])
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_that_was_damaged(
    name: str, file: str, spoil: Callable[[str, st.DataObject], str], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        for path, text in TEXTS[name].items():
            (Path(folder) / path).parent.mkdir(exist_ok=True)
            content = spoil(text, data) if path == file else text
            (Path(folder) / path).write_text(content, encoding="utf-8")
        read_all(Path(folder))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("voc", "labelmap.txt"),
        ("png", "classes.csv"),
        ("png", "ein Teil/ä, 1.png"),
        ("voc", "SegmentationClass/ein Teil/ä, 1.png"),
    ],
)
@given(data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_folder_of_masks_of_which_a_file_was_damaged(name: str, file: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        with FORMATS[name].writing(Path(folder), CLASSES, "") as write:
            write(picture(RING))
        path = Path(folder) / file
        path.write_bytes(replaced(path.read_bytes().decode("latin-1"), data).encode("latin-1"))
        read_all(Path(folder))
