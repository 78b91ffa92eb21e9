import pytest

from relmask.errors import DataError
from relmask.formats.matching import match

NAMES = ["good/000.png", "crack/000.png", "crack/001.jpg", "crack/001.png", "photo.7.jpg"]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("crack/000.png", "crack/000.png"),
        ("crack/000", "crack/000.png"),
        ("/home/me/parts/crack/000.png", "crack/000.png"),
        (r"C:\parts\crack\000.png", "crack/000.png"),
        ("../../crack/000.tif", "crack/000.png"),
        ("001.jpg", "crack/001.jpg"),
        ("crack/001.jpg", "crack/001.jpg"),
        ("train/photo.7", "photo.7.jpg"),
        ("photo.7.jpg", "photo.7.jpg"),
    ],
)
def test_a_picture_is_found_by_the_end_of_its_path(wanted: str, meant: str) -> None:
    assert match([wanted], NAMES) == {meant: 0}


def test_another_folder_will_do_where_the_name_is_unique() -> None:
    assert match(["images/photo.7.png"], NAMES) == {"photo.7.jpg": 0}
    assert match(["dent/000.png"], NAMES) == {}
    assert match(["train/1.png"], ["a/1.jpg"]) == {"a/1.jpg": 0}
    assert match(["train/1.png", "val/1.png"], ["a/1.jpg"]) == {}


def test_what_may_mean_several_pictures_is_refused() -> None:
    with pytest.raises(DataError, match=r"several pictures \(2\)"):
        match(["000.png", "crack/001"], NAMES)


def test_a_picture_that_is_meant_twice_is_refused() -> None:
    with pytest.raises(DataError, match="annotated twice"):
        match(["crack/000.png", "parts/crack/000.png"], NAMES)
