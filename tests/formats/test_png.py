"""Folders of palette PNG files, and what `segment` wrote."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relmask.errors import DataError, ImageError
from relmask.formats import format_of, png, read
from tests.formats.exports import INSIDE, assert_inside, only


def test_masks_need_to_know_their_classes(tmp_path: Path) -> None:
    Image.fromarray(INSIDE.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"classes\.csv.*--classes"):
        read(tmp_path)
    for path in (tmp_path, tmp_path / "a.png"):
        (found,) = read(path, classes=["pit"]).pictures
        assert_inside(found)
    (tmp_path / "classes.csv").write_text("value,label\n2,pit\n")
    with pytest.raises(ImageError, match="value 1 is no class"):
        only(tmp_path, "png").draw(("pit",))
    Image.fromarray(INSIDE.astype(np.uint8) * 255).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="JPEG"):
        read(tmp_path).pictures[0].draw(("pit",))
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageError, match=r"a\.png: .*Save it again|cannot be decoded"):
        read(tmp_path).pictures[1].draw(("pit",))


def test_one_file_is_recognised_without_a_look_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(folder: Path) -> list[Path]:
        raise AssertionError(folder)

    monkeypatch.setattr(png, "images", walk)
    Image.fromarray(INSIDE.astype(np.uint8)).save(tmp_path / "a.PNG")
    (tmp_path / "a.xyz").touch()
    assert format_of(tmp_path / "a.PNG") == "png"
    with pytest.raises(DataError, match="no masks in a known format"):
        format_of(tmp_path / "a.xyz")


def test_a_score_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray(INSIDE.astype(np.uint8)).save(tmp_path / "masks/a.png")
    (tmp_path / "masks/classes.csv").write_text("value,label\n1,pit\n")
    row = "file,status,mask,score,score_pit\n{},defect,masks/a.png,{},{}\n"
    (tmp_path / "results.csv").write_text(row.format("a.png", 0.5, 0.25))
    found = only(tmp_path, "png")
    assert (found.score, found.scores) == (0.5, {"pit": 0.25})
    for scores in (("half", 0.25), (0.5, "nan")):
        (tmp_path / "results.csv").write_text(row.format("a.png", *scores))
        with pytest.raises(DataError, match=r"results\.csv, line 2: a score is no number"):
            read(tmp_path)
