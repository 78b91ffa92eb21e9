import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import relmask
from relmask.data.index import Index, Sample, read_index
from relmask.data.reading import read_image
from relmask.data.truth import has_truth, legible, missing_masks, read_truth, truth_fingerprint
from relmask.errors import ImageError
from tests.data.pictures import picture

INSIDE = np.zeros((8, 12), np.uint8)
INSIDE[2:5, 3:9] = 1


def world(
    folder: Path, mask: NDArray[np.generic] | Image.Image | None, label: str = "pit", values: str = ""
) -> tuple[Sample, Index]:
    """A data set of a clean picture and one labelled `label`, with the mask."""
    picture(folder / "a.png", size=(8, 12))
    picture(folder / "b.png", size=(8, 12))
    picture(folder / "c.png", size=(8, 12))
    if mask is not None:
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(folder / "m.png")
    cell = "m.png" if mask is not None else ""
    (folder / "index.csv").write_text(f"image,label,mask\na.png,{label},{cell}\nb.png,ok,\nc.png,dent,\n")
    if values:
        (folder / "classes.csv").write_text(f"value,label\n{values}\n")
    index = read_index(folder)
    return index.samples[0], index


def test_any_non_zero_pixel_is_the_one_label(tmp_path: Path) -> None:
    for mask in (INSIDE, INSIDE * 255, INSIDE > 0, INSIDE.astype(np.uint16) * 999):
        sample, index = world(tmp_path, mask)
        assert index.classes == ("dent", "pit")
        truth = read_truth(sample, index)
        assert truth.dtype == np.uint8
        np.testing.assert_array_equal(truth, INSIDE * 2)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_count_and_transparency_does_not(tmp_path: Path, mode: str) -> None:
    sample, index = world(tmp_path, Image.fromarray(INSIDE * 255).convert(mode))
    np.testing.assert_array_equal(read_truth(sample, index), INSIDE * 2)
    red = np.dstack([INSIDE * 200, INSIDE * 0, INSIDE * 0])
    sample, index = world(tmp_path, red)
    np.testing.assert_array_equal(read_truth(sample, index), INSIDE * 2)


def test_of_a_palette_the_colours_count_and_with_classes_csv_the_indices(tmp_path: Path) -> None:
    mask = Image.fromarray(1 - INSIDE)
    mask.putpalette([255, 255, 255, 0, 0, 0])
    sample, index = world(tmp_path, mask)
    np.testing.assert_array_equal(read_truth(sample, index), INSIDE * 2)
    sample, index = world(tmp_path, mask, values="1,pit")
    np.testing.assert_array_equal(read_truth(sample, index), (1 - INSIDE) * 2)


def test_classes_csv_says_what_values_mean(tmp_path: Path) -> None:
    mask = INSIDE * 7
    mask[0, 0] = 200
    mask[0, 1] = 9
    sample, index = world(tmp_path, mask, "pit|dent", "7,pit\n200,dent\n9,ok")
    with pytest.raises(ImageError, match="value 9 means no class"):
        read_truth(sample, index)
    mask[0, 1] = 0
    sample, index = world(tmp_path, mask, "pit|dent", "7,pit\n200,dent")
    expected = INSIDE * 2
    expected[0, 0] = 1
    np.testing.assert_array_equal(read_truth(sample, index), expected)


def test_a_clean_picture_is_all_background(tmp_path: Path) -> None:
    _, index = world(tmp_path, None)
    truth = read_truth(index.samples[1], index)
    assert truth.shape == (8, 12)
    assert not truth.any()


def test_jpeg_masks_count_from_half_on(tmp_path: Path) -> None:
    sample, index = world(tmp_path, INSIDE)
    big = np.kron(INSIDE, np.ones((8, 8), np.uint8)) * np.uint8(255)
    picture(tmp_path / "a.png", size=big.shape)
    Image.fromarray(big).save(tmp_path / "m.png", format="JPEG", quality=60)
    np.testing.assert_array_equal(read_truth(sample, index), (big > 0) * 2)
    (tmp_path / "classes.csv").write_text("value,label\n255,pit\n")
    with pytest.raises(ImageError, match="JPEG, does not keep"):
        read_truth(sample, read_index(tmp_path))


def test_picture_and_mask_are_turned_each_by_its_own_exif_data(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sample, index = world(tmp_path, INSIDE)
    Image.fromarray(INSIDE * 255).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(ImageError, match=r"12x8 pixels, but .*a.png has 8x12.*as it is shown"):
        read_truth(sample, index)
    Image.fromarray(INSIDE * 255).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(read_truth(sample, index) > 0, read_image(tmp_path / "a.png")[..., 0] > 0.5)
    Image.fromarray(np.rot90(INSIDE, -1)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_truth(sample, index) > 0, read_image(tmp_path / "a.png")[..., 0] > 0.5)


def test_what_a_mask_cannot_tell_is_an_image_error(tmp_path: Path) -> None:
    sample, index = world(tmp_path, None)
    with pytest.raises(ImageError, match=r"a.png: no mask says where"):
        read_truth(sample, index)
    sample, index = world(tmp_path, INSIDE[:, :-1])
    with pytest.raises(ImageError, match=r"the mask has 11x8 pixels, but .* has 12x8"):
        read_truth(sample, index)
    sample, index = world(tmp_path, INSIDE, "pit|dent")
    with pytest.raises(ImageError, match=r"labels dent, pit.*classes\.csv"):
        read_truth(sample, index)
    sample, index = world(tmp_path, INSIDE)
    (tmp_path / "m.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match=r"m.png: is no picture"):
        read_truth(sample, index)


def test_what_is_known_is_known_without_opening_a_mask(tmp_path: Path) -> None:
    sample, index = world(tmp_path, INSIDE)
    (tmp_path / "m.png").write_bytes(b"broken")
    assert [has_truth(s) for s in index.samples] == [True, True, False]
    (tmp_path / "m.png").unlink()
    assert not has_truth(sample)


def test_an_index_does_not_need_the_masks(tmp_path: Path) -> None:
    sample, _ = world(tmp_path, INSIDE)
    (tmp_path / "m.png").unlink()
    assert read_index(tmp_path).samples[0] == sample


def test_masks_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    _, index = world(tmp_path, np.zeros((3, 3), np.uint8))
    with pytest.warns(UserWarning, match=r"1 masks cannot be read:\n.*m\.png: the mask has 3x3"):
        assert legible(index.samples, index) == list(index.samples[1:])


def test_masks_that_are_not_there_are_named(tmp_path: Path) -> None:
    _, index = world(tmp_path, INSIDE)
    (tmp_path / "m.png").unlink()
    assert missing_masks(index.samples[1:]) == []
    with pytest.warns(UserWarning, match=r"not there \(1\):\n.*m\.png: no such file \(mask of a\.png\)"):
        assert legible(index.samples, index) == list(index.samples)


def test_the_fingerprint_changes_with_what_masks_say(tmp_path: Path) -> None:
    prints = set()
    for mask in (INSIDE, 1 - INSIDE, np.zeros((3, 3), np.uint8), INSIDE):
        _, index = world(tmp_path, mask)
        prints.add(truth_fingerprint(index.samples, index))
    assert len(prints) == 3


MAY_READ = re.compile(
    r"data/(truth|patches|__init__)\.py|evaluation/.*|.*unet.*|.*calibrat.*|training/distil\.py"
)


def test_true_masks_are_met_in_few_places() -> None:
    root = Path(relmask.__file__).parent
    texts = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.py")
    }
    touching = {name for name, text in texts.items() if re.search(r"\b(sample|s)\.mask\b", text)}
    reading = {name for name, text in texts.items() if "read_truth" in text}
    assert touching == {"data/truth.py"}
    assert not [name for name in reading if not MAY_READ.fullmatch(name)]
