import base64
import errno
import io
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import relmask
from relmask.formats.runs import drawn, from_text
from relmask.inference.run import Run
from relmask.serve import Limits, Settings
from tests.serve.conftest import GREEN, RED, only, picture, png, sent, serving


def decoded(runs: dict[str, Any]) -> NDArray[np.bool_]:
    """A mask from COCO's text of its run lengths."""
    height, width = runs["size"]
    return drawn(from_text(runs["counts"]), (width, height)).T


def test_the_answer_is_what_the_library_says(trained: Run, parts: Path) -> None:
    paths = sorted((parts / "images").iterdir())[::2]
    files = [("images", (path.name, path.read_bytes())) for path in paths]
    with serving(trained) as client:
        answer = client.post("/segment", files=files, data={"relevance": "true"})
        assert answer.status_code == 200
        rle = client.post("/segment", files=files, data={"mask": "rle"}).json()["images"]
    labels = set()
    for path, entry, runs in zip(paths, answer.json()["images"], rle, strict=True):
        expected = trained.segment(path)
        labels.add(expected.status)
        mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(entry["png"]))))
        assert np.array_equal(mask, expected.mask)
        assert entry["name"] == path.name
        assert (entry["height"], entry["width"]) == mask.shape
        assert entry["status"] == expected.status
        assert entry["score"] == pytest.approx(expected.score, abs=1e-5)
        assert entry["scores"] == pytest.approx(dict(expected.scores), abs=1e-5)
        assert [part["area"] for part in entry["components"]] == [c.area for c in expected.components]
        assert (entry["relevance"] is None) == (expected.relevance is None)
        if expected.relevance is not None:
            assert set(entry["relevance"]["classes"]) == set(expected.maps)
            for name, values in expected.maps.items():
                data = base64.b64decode(entry["relevance"]["classes"][name])
                found = np.frombuffer(data, "<f4").reshape(mask.shape)
                np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-6)
        combined = np.zeros_like(mask)
        for one in runs["rle"]:
            combined[decoded(one)] = trained.metadata.classes.index(one["label"]) + 1
        assert np.array_equal(combined, expected.mask)
    assert labels == {"defect", "clean"}


def test_masks_lie_where_the_colours_are(client: httpx.Client) -> None:
    entry = only(client.post("/segment", files=sent(picture(RED | GREEN)), data={"mask": "rle"}))
    found = {runs["label"]: decoded(runs) for runs in entry["rle"]}
    assert np.array_equal(found["red stain"], picture(RED)[..., 0] > 0)
    assert np.array_equal(found["green"], picture(GREEN)[..., 1] > 0)
    assert [part["area"] for part in entry["components"]] == [60, 16]
    assert entry["png"] is None
    assert entry["relevance"] is None


def test_a_clean_picture_has_an_empty_mask_and_no_relevance(client: httpx.Client) -> None:
    entry = only(client.post("/segment", files=sent(picture()), data={"relevance": "true"}))
    assert entry["status"] == "clean"
    assert entry["components"] == []
    assert entry["relevance"] is None
    assert not np.asarray(Image.open(io.BytesIO(base64.b64decode(entry["png"])))).any()


def test_large_relevance_comes_smaller_if_asked(client: httpx.Client) -> None:
    files = sent(picture(RED, 96, 160))
    relevance = only(client.post("/segment", files=files, data={"relevance": "true", "side": "40"}))[
        "relevance"
    ]
    assert (relevance["height"], relevance["width"]) == (24, 40)
    values = np.frombuffer(base64.b64decode(relevance["classes"]["red stain"]), "<f4").reshape(24, 40)
    assert values[1, 1] > 0.4 > 0.1 > abs(values[12:, 12:]).max()


TURNED = Image.Exif()


TURNED[0x0112] = 6


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("CMYK", "cmyk.jpg", {"quality": 95}),
        ("RGB", "turned.jpg", {"quality": 95, "exif": TURNED}),
        ("RGB", "turned.png", {"exif": TURNED}),
        ("P", "palette.png", {}),
        ("RGBA", "transparent.png", {}),
        ("RGB", "tiled.tif", {"compression": "tiff_lzw"}),
        ("RGB", "first of several.gif", {}),
    ],
)
def test_pictures_of_every_kind_are_read_as_the_library_reads_them(
    client: httpx.Client, colours: Run, tmp_path: Path, mode: str, name: str, options: dict[str, Any]
) -> None:
    Image.fromarray(picture(RED, 40, 70)).convert(mode).save(tmp_path / name, **options)
    expected = colours.segment(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    entry = only(client.post("/segment", files=[("images", (name, content))], data={"mask": "rle"}))
    assert (entry["height"], entry["width"]) == expected.mask.shape
    assert [part["area"] for part in entry["components"]] == [part.area for part in expected.components]
    assert np.array_equal(decoded(entry["rle"][0]), expected.mask > 0)


def test_values_of_16_bits_are_on_the_run_s_scale(client: httpx.Client, colours: Run, tmp_path: Path) -> None:
    deep = np.zeros((32, 32), np.uint16)
    deep[4:10, 4:10] = 40_000  # of 65535, more than the level of 0.3; its low byte alone would be dark
    Image.fromarray(deep).save(tmp_path / "deep.png")
    entry = only(client.post("/segment", files=sent((tmp_path / "deep.png").read_bytes())))
    assert [part["area"] for part in entry["components"]] == [36]
    assert entry["scores"] == pytest.approx(dict(colours.segment(tmp_path / "deep.png").scores))


@pytest.mark.parametrize(
    "name", ["../../outside.png", "/outside.png", "C:\\outside.png", "..", "a" * 900 + ".png", "ü\u202e.png"]
)
def test_a_name_leads_nowhere(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = sorted(tmp_path.rglob("*"))
    entry = only(client.post("/segment", files=[("images", (name, png(picture(RED))))]))
    assert entry["name"] == name.rpartition("\\")[2]  # python-multipart cuts what old browsers sent
    assert entry["status"] == "defect"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_field_without_a_file_name_is_named(client: httpx.Client) -> None:
    answer = client.post("/segment", files=[("images", ("", png(picture(RED))))])
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("images.0: ")
    assert len(answer.text) < 200  # the bytes of the picture are not sent back


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no picture"),
        (b"not a picture", "no picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "picture"),
        (b"II*\0" + b"\xff" * 60, "PNG, JPEG or TIFF"),
        (b"GIF89a" + b"\xff" * 60, "PNG, JPEG or TIFF"),
    ],
)
def test_a_broken_picture_is_refused_with_its_reason(
    client: httpx.Client, content: bytes, reason: str
) -> None:
    answer = client.post("/segment", files=sent(content))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("0.png: ")
    assert reason in answer.json()["detail"]


def test_a_picture_cut_short_is_refused(client: httpx.Client) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    [(_, (_, whole))] = sent(noise)
    answer = client.post("/segment", files=sent(whole[: len(whole) // 2]))
    assert answer.status_code == 422
    assert "decoded" in answer.json()["detail"]


def test_a_broken_picture_among_others_does_not_spoil_them(client: httpx.Client) -> None:
    answer = client.post("/segment", files=sent(picture(RED), b"broken", picture()))
    assert answer.status_code == 200
    red, broken, clean = answer.json()["images"]
    assert (red["status"], clean["status"]) == ("defect", "clean")
    assert (broken["name"], broken["status"], broken["code"]) == ("1.png", "failed", 422)
    assert "no picture" in broken["error"]


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims that size, with next to no data."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    rest = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"\x89PNG\r\n\x1a\n" + chunk + rest


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_too_many_pixels_are_refused_by_the_header_alone(
    client: httpx.Client, colours: Run, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    monkeypatch.setattr(Run, "read", lambda *_: pytest.fail("it was decoded"))
    answer = client.post("/segment", files=sent(claiming(side, side)))
    if side == 9_000:
        assert answer.status_code == 413
        assert "81 megapixels, 64 are allowed" in answer.json()["detail"]
    else:  # more than Pillow itself opens
        assert answer.status_code == 422
        assert "0.png" in answer.json()["detail"]


def test_too_many_bytes_are_refused_whether_they_are_announced_or_not(colours: Run) -> None:
    with serving(colours, Settings(port=0, limits=Limits(megabytes=0.1))) as client:
        large = b"x" * 200_000
        announced = client.post("/segment", files=sent(large))
        request = client.build_request("POST", "/segment", files=sent(large))
        body = request.read()

        def pieces() -> Iterator[bytes]:
            yield from (body[start : start + 1000] for start in range(0, len(body), 1000))

        kind = {"content-type": request.headers["content-type"]}
        unannounced = client.post("/segment", content=pieces(), headers=kind)
        for answer in (announced, unannounced):
            assert answer.status_code == 413
            assert "larger than 0.1 MB" in answer.json()["detail"]
        assert client.post("/segment", files=sent(picture())).status_code == 200


def test_too_many_pictures_are_refused(colours: Run) -> None:
    with serving(colours, Settings(port=0, limits=Limits(images=2))) as client:
        assert client.post("/segment", files=sent(*[picture()] * 3)).status_code == 413
        assert client.post("/segment", files=sent(*[picture()] * 2)).status_code == 200


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"mask": "jpg"}, "mask"),
        ({"side": "0"}, "side"),
        ({"side": "9" * 400}, "side"),
        ({"preview": "70000"}, "preview"),
        ({"relevance": "perhaps"}, "relevance"),
        ({"thresholds": "{"}, "thresholds"),
        ({"thresholds": '{"green": {"min_area": 9}}'}, "thresholds"),
        ({"thresholds": '{"green": {"level": 0.1, "extent": 0.1}}'}, "thresholds"),
        ({"thresholds": '{"blue": {"level": 0.1}}'}, "blue"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, data: dict[str, str], field: str) -> None:
    answer = client.post("/segment", files=sent(picture(RED)), data=data)
    assert answer.status_code == 422
    assert field in answer.text


def test_a_request_without_pictures_is_refused(client: httpx.Client) -> None:
    assert client.post("/segment").status_code == 422
    assert client.post("/segment", data={"images": "no file"}).status_code == 422
    broken = client.post(
        "/segment", content=b"--", headers={"content-type": "multipart/form-data; boundary=a"}
    )
    assert broken.status_code in (400, 422)


def test_a_full_disk_is_told(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    answer = client.post("/segment", files=sent(picture(RED)))
    assert answer.status_code == 507
    assert f"cannot write temporary files in {tmp_path / 'absent'} (No such file" in answer.json()["detail"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "copyfileobj", full)
    answer = client.post("/segment", files=sent(picture(RED)))
    assert answer.status_code == 507
    assert "(No space left on device)" in answer.json()["detail"]
    assert not list(tmp_path.glob("relmask-*"))


def test_health_and_openapi_tell_what_there_is(client: httpx.Client) -> None:
    assert client.get("/health").json()["status"] == "UP"
    described = client.get("/openapi.json").json()
    assert described["info"]["version"] == relmask.__version__
    responses = described["paths"]["/segment"]["post"]["responses"]
    assert {"200", "401", "408", "413", "422", "503"} <= responses.keys()
    assert "components" in described["components"]["schemas"]["Segmented"]["properties"]
    assert client.get("/docs").status_code == 404


def test_nothing_is_left_behind(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    client.post("/segment", files=sent(picture(RED), b"broken"))
    assert not list((tmp_path / "temporary").iterdir())
