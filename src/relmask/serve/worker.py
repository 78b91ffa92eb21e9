"""One thread that reads pictures and one that segments them, with a bounded number of pixels between them."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from relmask.arrays import FloatArray
from relmask.inference.segmenter import Segmentation, Segmenter


@dataclass(frozen=True, eq=False)
class Work:
    """One picture to segment.

    Attributes:
        pixels: that reading it takes.
        read: gives the picture (H, W, 3).
        segmenter: what segments it.
        finish: makes the answer of the picture and its result, while its pixels are still counted.
        future: of the answer.
    """

    pixels: int
    read: Callable[[], FloatArray]
    segmenter: Segmenter
    finish: Callable[[FloatArray, Segmentation], Any]
    future: Future[Any] = field(default_factory=Future)


class Worker:
    """Segments pictures of many requests, one batch at a time.

    A batch is whatever waits when the last one is done; nothing waits for a batch to fill.

    Args:
        batch_size: pictures in a batch.
        pixels: decoded at once, in all; a larger picture comes alone.
    """

    def __init__(self, batch_size: int, pixels: int) -> None:
        self._batch_size = batch_size
        self._room = _Room(pixels)
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._decoded: queue.SimpleQueue[tuple[Work, FloatArray] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=loop, name=f"relmask-{loop.__name__.strip('_')}", daemon=True)
            for loop in (self._read, self._segment)
        ]

    def start(self) -> None:
        """Start to read and to segment."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, work: Work) -> None:
        """Queue a picture; one whose future is cancelled before it is segmented is passed over."""
        self._waiting.put(work)

    def _read(self) -> None:
        while (work := self._waiting.get()) is not None:
            self._room.take(work.pixels)
            if work.future.cancelled():
                self._room.give(work.pixels)
                continue
            try:
                picture = work.read()
            except Exception as error:
                self._room.give(work.pixels)
                if work.future.set_running_or_notify_cancel():
                    work.future.set_exception(error)
            else:
                self._decoded.put((work, picture))
                del picture
        self._decoded.put(None)

    def _segment(self) -> None:
        following: tuple[Work, FloatArray] | None = None
        while (first := following or self._decoded.get()) is not None:
            batch, following, ended = [first], None, False
            while len(batch) < self._batch_size and not self._decoded.empty():
                item = self._decoded.get()
                if item is None:
                    ended = True
                    break
                if item[0].segmenter is not first[0].segmenter:
                    following = item
                    break
                batch.append(item)
            self._begin(batch)
            del batch, first
            if ended:
                return

    def _begin(self, batch: list[tuple[Work, FloatArray]]) -> None:
        """Segment those of the batch that somebody still waits for."""
        begun = []
        for work, picture in batch:
            if work.future.set_running_or_notify_cancel():
                begun.append((work, picture))
            else:
                self._room.give(work.pixels)
        if begun:
            self._finish(begun)

    def _finish(self, batch: list[tuple[Work, FloatArray]]) -> None:
        try:
            results = batch[0][0].segmenter.segment_images([picture for _, picture in batch])
            answers = [
                work.finish(picture, result) for (work, picture), result in zip(batch, results, strict=True)
            ]
        except Exception as error:
            if len(batch) > 1:  # one picture must not spoil the others
                for item in batch:
                    self._finish([item])
                return
            answers = [error]
        for (work, _), answer in zip(batch, answers, strict=True):
            self._room.give(work.pixels)
            if isinstance(answer, Exception):
                work.future.set_exception(answer)
            else:
                work.future.set_result(answer)


class _Room:
    """Counts pixels; whoever wants more than there is waits. An empty room takes anything."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._held = 0
        self._changed = threading.Condition()

    def take(self, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + pixels <= self._pixels)
            self._held += pixels

    def give(self, pixels: int) -> None:
        with self._changed:
            self._held -= pixels
            self._changed.notify()
