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


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("my_part.png", "my part.png"),
        ("my_part_1.png", "a/my part (1).png"),
        ("images/0a1b2c3d-my_part", "my part.png"),
        ("0a1b2c3d-a.png", "crack/a.png"),
        ("Pru\u0308fteil.png", "Pr\u00fcfteil.png"),
        ("Pr\u00fcfteil.png", "a/Pru\u0308fteil.png"),
    ],
)
def test_names_that_uploads_and_macs_change_are_found(wanted: str, name: str) -> None:
    assert match([wanted], [name, "other.png"]) == {name: 0}


def test_a_changed_name_that_may_be_another_s_is_not_found() -> None:
    assert match(["my_part.png"], ["my part.png", "my_part!.png"]) == {}
    assert match(["0a1b2c3d-a.png", "0b1b2c3d-a.png"], ["a.png"]) == {}
    assert match(["my_part.png"], ["my part.png", "my_part.png"]) == {"my_part.png": 0}
    assert match(["a b.png", "a_b.png"], ["a b.png"]) == {"a b.png": 0}
