import re
from pathlib import Path

import pytest

from relmask.jobs import segment_files
from relmask.report.sampling import SAMPLE, WORST
from tests.jobs.fakes import FakeRun, picture


def page(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def shown(out: Path) -> list[str]:
    return re.findall(r"<figcaption><b>(.*?)</b>", page(out))


def test_the_page_counts_all_and_shows_a_few(run: FakeRun, tmp_path: Path) -> None:
    for number in range(40):
        picture(tmp_path / f"in/{number:02d}.png", pit=number % 4 == 0)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    text = page(tmp_path / "out")
    assert "<span>With a defect</span><b>10</b><small>25.0%</small>" in text
    assert '<tr><th scope="row">pit</th><td class=n>10</td>' in text
    assert WORST < len(shown(tmp_path / "out")) <= WORST + SAMPLE
    assert len(set(shown(tmp_path / "out"))) == len(shown(tmp_path / "out"))


def test_the_most_doubtful_come_first(run: FakeRun, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"in/{number}.png", pit=number == 1)
    run.segmenter.score_of = lambda score: 0.6 if score else 0.0
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert shown(tmp_path / "out")[0] == "1"
    assert '<span class="tag bad">pit, 0.60</span><span class="tag ">24 px in 1 part</span>' in page(
        tmp_path / "out"
    )


def test_pictures_without_a_mask_are_named_a_few_of_them(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/good.png")
    for number in range(30):
        (tmp_path / f"in/bad{number:02d}.png").touch()
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    text = page(tmp_path / "out")
    assert "30 pictures have no mask" in text
    assert "bad19.png" in text
    assert "bad20.png" not in text
    assert "... and 10 more, see results.csv" in text


def test_a_job_that_was_done_leaves_its_page_as_it_is(run: FakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png", pit=True)
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out/report.html").write_text("seen")
    segment_files(run, [tmp_path / "in"], tmp_path / "out")
    assert page(tmp_path / "out") == "seen"
    assert run.segmenter.seen == 1


def test_a_picture_that_is_gone_after_a_stop_is_left_out(
    run: FakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        picture(tmp_path / f"in/{name}.png", pit=True)
    segment_files(run, [tmp_path / "in/a.png"], tmp_path / "out")
    (tmp_path / "out/report.html").unlink()
    monkeypatch.setattr("relmask.jobs.report.read_image", _gone)
    segment_files(run, [tmp_path / "in/a.png"], tmp_path / "out")
    assert shown(tmp_path / "out") == []
    assert "1 pictures" in page(tmp_path / "out")


def _gone(path: Path, intensity: object) -> None:
    from relmask.errors import ImageError

    raise ImageError(f"{path}: gone")
