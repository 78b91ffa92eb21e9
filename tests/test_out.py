import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relmask.errors import OutError
from relmask.out import LOCK, Contents, differences, locked, prepared

LOOSE = Contents("letters", "letters.json", ("table.csv", "pages/**/*.txt"))
ALONE = Contents("letters", "letters.json", ("table.csv", "pages/**/*.txt"), alone=True)

HOLD = """
import sys, time
from pathlib import Path
from relmask.out import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def write(out: Path, *names: str) -> None:
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def prepare(out: Path, settings: Mapping[str, Any], contents: Contents = LOOSE, **options: bool) -> None:
    with prepared(out, contents, settings, **options):
        pass


def test_out_is_made_and_says_what_it_was_made_with(tmp_path: Path) -> None:
    prepare(tmp_path / "a/b", {"seed": 0, "sizes": (1, 2)})
    assert files(tmp_path / "a/b") == ["letters.json"]
    assert json.loads((tmp_path / "a/b/letters.json").read_text()) == {"seed": 0, "sizes": [1, 2]}


def test_the_same_settings_go_on_and_others_are_refused_until_overwritten(tmp_path: Path) -> None:
    prepare(tmp_path, {"seed": 0, "sizes": (1, 2)})
    write(tmp_path, "table.csv", "pages/a/1.txt", "pages/a/mine.doc", "mine.csv")
    prepare(tmp_path, {"sizes": (1, 2), "seed": 0})
    with pytest.raises(OutError, match=r"letters of other settings:\n  seed: 0, now 1\n.*--overwrite"):
        prepare(tmp_path, {"seed": 1, "sizes": (1, 2)})
    assert files(tmp_path) == ["letters.json", "mine.csv", "pages/a/1.txt", "pages/a/mine.doc", "table.csv"]
    prepare(tmp_path, {"seed": 1, "sizes": (1, 2)}, overwrite=True)
    assert files(tmp_path) == ["letters.json", "mine.csv", "pages/a/mine.doc"]
    prepare(tmp_path, {"seed": 1, "sizes": (1, 2)})


def test_the_same_settings_are_refused_where_going_on_was_not_asked_for(tmp_path: Path) -> None:
    prepare(tmp_path, {"seed": 0}, resume=False)
    write(tmp_path, "table.csv")
    with pytest.raises(OutError, match=r"of these settings.*--resume.*--overwrite"):
        prepare(tmp_path, {"seed": 0}, resume=False)


def test_settings_of_a_command_that_failed_before_its_first_result_bind_nobody(tmp_path: Path) -> None:
    prepare(tmp_path, {"seed": 0})
    prepare(tmp_path, {"seed": 1}, resume=False)
    assert json.loads((tmp_path / "letters.json").read_text()) == {"seed": 1}


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_damaged_settings_are_other_settings(tmp_path: Path, content: str) -> None:
    write(tmp_path, "table.csv")
    (tmp_path / "letters.json").write_text(content)
    with pytest.raises(OutError, match=r"letters\.json is damaged"):
        prepare(tmp_path, {})
    prepare(tmp_path, {}, overwrite=True)
    assert files(tmp_path) == ["letters.json"]


@pytest.mark.parametrize("options", [{}, {"resume": False}, {"overwrite": True}])
@pytest.mark.parametrize("contents", [LOOSE, ALONE])
def test_files_of_somebody_else_are_never_touched(
    tmp_path: Path, contents: Contents, options: dict[str, bool]
) -> None:
    write(tmp_path, "pages/1.txt")
    with pytest.raises(OutError, match="leaves alone"):
        prepare(tmp_path, {}, contents, **options)
    assert files(tmp_path) == ["pages/1.txt"]


def test_a_folder_may_hold_other_files_unless_the_command_wants_it_for_itself(tmp_path: Path) -> None:
    write(tmp_path, "photo.jpg", "pages/photo.jpg")
    prepare(tmp_path, {})
    (tmp_path / "letters.json").unlink()
    with pytest.raises(OutError, match="holds other files"):
        prepare(tmp_path, {}, ALONE)


def test_what_systems_leave_in_a_new_folder_is_no_file_of_somebody(tmp_path: Path) -> None:
    write(tmp_path, ".DS_Store")
    (tmp_path / "lost+found").mkdir()
    prepare(tmp_path, {}, ALONE)


def test_halves_of_files_that_a_kill_left_are_deleted(tmp_path: Path) -> None:
    write(tmp_path, ".relmask-12-3.part.csv", "pages/a/.relmask-12-4.part.txt", "pages/a/b.part.txt")
    prepare(tmp_path, {}, Contents("letters", "letters.json", ("*.csv", "pages/**/*.csv")))
    assert files(tmp_path) == ["letters.json", "pages/a/b.part.txt"], "it only looks like one"


def test_a_file_in_the_place_of_out_is_told(tmp_path: Path) -> None:
    write(tmp_path, "file")
    with pytest.raises(OutError, match=r"Cannot write .*file: "):
        prepare(tmp_path / "file", {})
    with pytest.raises(OutError, match=r"Cannot write .*file/deeper: "):
        prepare(tmp_path / "file/deeper", {})


def test_a_second_writer_is_refused_and_may_write_when_the_first_is_done(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(OutError, match=f"Another relmask is writing to {tmp_path}"), locked(tmp_path):
            pass
        with locked(tmp_path / "else"):
            pass
    with locked(tmp_path):
        assert files(tmp_path) == [LOCK]
    assert files(tmp_path) == []


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(OutError, match="Another relmask"), locked(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    assert files(tmp_path) == [LOCK], "killed, it cannot have tidied up"
    with locked(tmp_path):
        pass


def test_differences_name_the_innermost_key_and_spare_people_digests() -> None:
    before = {"settings": {"seed": 0, "masks": None}, "masks": "0" * 64, "old": 1}
    now = {"settings": {"seed": 0, "masks": "a"}, "masks": "1" * 64, "new": (1,)}
    assert differences(before, now) == [
        "masks: None, now a",
        "masks: changed since",
        "old: 1, now None",
        "new: None, now [1]",
    ]


def test_an_out_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "letters.json").mkdir()
    with pytest.raises(OutError, match=r"Cannot read .*letters\.json"):
        prepare(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["letters.json"]
