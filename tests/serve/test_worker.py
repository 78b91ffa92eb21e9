import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.serve.worker import Work, Worker

Picture = NDArray[np.float32]


class Recording:
    """Segments nothing; keeps the batches, and fails on pictures that hold a 1."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()

    def segment_images(self, images: Sequence[Picture]) -> list[Segmentation]:
        self.batches.append(len(images))
        self.gate.wait(30)
        if any(image.any() for image in images):
            raise MemoryError("too much")
        mask = np.zeros((1, 1), np.uint8)
        return [Segmentation(mask, None, {}, 0.0, "clean", ()) for _ in images]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(batch_size=4, pixels=100)
    worker.start()
    yield worker
    worker.stop()


def work(
    segmenter: Recording,
    pixels: int = 1,
    value: float = 0,
    read: Callable[[], Picture] | None = None,
    answer: Any = "done",  # noqa: ANN401
) -> Work:
    given = read or partial(np.full, (1, 1, 3), value, np.float32)
    return Work(pixels, given, cast(Segmenter, segmenter), lambda picture, found: answer)


def test_what_waits_is_done_together_and_nothing_waits_for_more(worker: Worker) -> None:
    segmenter = Recording()
    first = work(segmenter)
    worker.submit(first)
    while not segmenter.batches:
        pass
    following = [work(segmenter, answer=number) for number in range(7)]
    for one in following:
        worker.submit(one)
    segmenter.gate.set()
    assert [one.future.result(30) for one in following] == list(range(7))
    assert segmenter.batches[0] == 1
    assert sum(segmenter.batches) == 8
    assert max(segmenter.batches) <= 4


def test_a_picture_that_breaks_its_batch_breaks_it_for_itself_alone(worker: Worker) -> None:
    segmenter = Recording()
    works = [work(segmenter, value=number == 2) for number in range(5)]
    for one in works:
        worker.submit(one)
    segmenter.gate.set()
    for number, one in enumerate(works):
        if number == 2:
            with pytest.raises(MemoryError):
                one.future.result(30)
        else:
            assert one.future.result(30) == "done"


def test_a_picture_that_cannot_be_read_holds_up_nothing(worker: Worker) -> None:
    segmenter = Recording()
    segmenter.gate.set()

    def fails() -> Picture:
        raise OSError("gone")

    works = [work(segmenter, pixels=100, read=fails), work(segmenter, pixels=100)]
    for one in works:
        worker.submit(one)
    with pytest.raises(OSError, match="gone"):
        works[0].future.result(30)
    assert works[1].future.result(30) == "done"


def test_pixels_that_are_decoded_are_bounded_and_one_large_picture_still_passes(worker: Worker) -> None:
    held, most, lock = 0, 0, threading.Lock()
    segmenter = Recording()
    segmenter.gate.set()

    def reading(pixels: int) -> Picture:
        nonlocal held, most
        with lock:
            held += pixels
            most = max(most, held)
        return np.zeros((1, 1, 3), np.float32)

    def finished(pixels: int, picture: Picture, found: Segmentation) -> None:
        nonlocal held
        with lock:
            held -= pixels

    sizes = [30, 60, 10, 90, 100, 40, 1, 99, 50, 50] * 5
    works = [
        Work(size, partial(reading, size), cast(Segmenter, segmenter), partial(finished, size))
        for size in sizes
    ]
    for one in works:
        worker.submit(one)
    for one in works:
        one.future.result(30)
    assert 90 < most <= 100
    large = Work(1000, partial(reading, 1000), cast(Segmenter, segmenter), partial(finished, 1000))
    worker.submit(large)
    large.future.result(30)
    assert held == 0


def test_thresholds_of_one_request_do_not_reach_another(worker: Worker) -> None:
    segmenters = [Recording(), Recording()]
    works = [work(segmenters[number // 2 % 2]) for number in range(8)]
    for one in works:
        worker.submit(one)
    for segmenter in segmenters:
        segmenter.gate.set()
    for one in works:
        assert one.future.result(30) == "done"
    assert [sum(segmenter.batches) for segmenter in segmenters] == [4, 4]


def test_what_was_submitted_is_finished_when_it_stops() -> None:
    worker, segmenter = Worker(batch_size=2, pixels=100), Recording()
    segmenter.gate.set()
    works = [work(segmenter) for _ in range(9)]
    cancelled = work(segmenter)
    cancelled.future.cancel()
    for one in (*works, cancelled):
        worker.submit(one)
    worker.start()
    worker.stop()
    assert all(one.future.result(0) == "done" for one in works)
    assert sum(segmenter.batches) == 9


def test_what_is_given_up_before_it_is_segmented_is_passed_over(worker: Worker) -> None:
    segmenter = Recording()
    first = work(segmenter, pixels=50)
    worker.submit(first)
    while not segmenter.batches:
        pass
    read = threading.Event()

    def reading() -> Picture:
        read.set()
        return np.zeros((1, 1, 3), np.float32)

    decoded, waiting = work(segmenter, pixels=50, read=reading), work(segmenter, pixels=100)
    for one in (decoded, waiting):
        worker.submit(one)
    assert read.wait(30)
    assert decoded.future.cancel()
    assert waiting.future.cancel()
    segmenter.gate.set()
    following = work(segmenter, pixels=100, answer="following")  # its room was given back
    worker.submit(following)
    assert following.future.result(30) == "following"
    assert segmenter.batches == [1, 1]


def test_what_is_given_up_while_it_cannot_be_read_holds_up_nothing(worker: Worker) -> None:
    segmenter = Recording()
    segmenter.gate.set()
    begun, gone = threading.Event(), threading.Event()

    def fails() -> Picture:
        begun.set()
        assert gone.wait(30)
        raise OSError("gone")

    given_up = work(segmenter, pixels=100, read=fails)
    worker.submit(given_up)
    assert begun.wait(30)
    assert given_up.future.cancel()
    gone.set()
    following = work(segmenter, pixels=100)
    worker.submit(following)
    assert following.future.result(30) == "done"
