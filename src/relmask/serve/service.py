"""A run at work: pictures from requests to answers, and thresholds that can be moved."""

import asyncio
import hashlib
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import IO, TypeVar

from relmask.arrays import FloatArray
from relmask.data.decoding import SUFFIXES, pixels_to_decode
from relmask.errors import ImageError, OutError, RunError, UsageError
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import read_metadata, save_metadata
from relmask.models.kept_scores import KeptScores, read_scores
from relmask.serve.schemas import Chosen, Failed
from relmask.serve.settings import Limits
from relmask.serve.temporary import temporary_folder
from relmask.serve.worker import Work, Worker

T = TypeVar("T")


@dataclass(frozen=True)
class Sent:
    """A picture that a client sent.

    Attributes:
        name: name that the client gave.
        file: content, open for reading.
    """

    name: str
    file: IO[bytes]


class Service:
    """What the routes call.

    Args:
        run: run with thresholds.
        limits: limits of a picture.
        batch_size: pictures of different requests that are segmented together, where as many wait.

    Raises:
        RunError: the run has no thresholds.
        UsageError: the run's composite does not exist.
        UnsupportedModel: LRP cannot explain the run's model.
    """

    def __init__(self, run: Run, limits: Limits, batch_size: int) -> None:
        self.run = run
        self._limits = limits
        self._segmenter = run.segmenter
        self._worker = Worker(batch_size, max(limits.pixels, 2**24))
        self._saving = threading.Lock()
        run.model.warm_up()  # here, and not at the start, so that its errors reach the caller

    def start(self) -> None:
        """Start the worker's threads."""
        self._worker.start()

    def stop(self) -> None:
        """Finish the pictures that are at work, and end the threads."""
        self._worker.stop()

    @property
    def version(self) -> str:
        """Changes with the model and with its thresholds."""
        described = self.run.metadata.model_dump_json()
        return f"relmask-{hashlib.sha256(described.encode()).hexdigest()[:8]}"

    @property
    def calibration(self) -> Calibration:
        """The thresholds in use."""
        return self._segmenter.calibration

    @property
    def scores(self) -> KeptScores:
        """What the run's gates were chosen from.

        Raises:
            RunError: the run keeps no scores, or they are damaged.
        """
        return read_scores(self.run.path, self.run.metadata.classes)

    async def segment(
        self,
        pictures: Sequence[Sent],
        answer: Callable[[str, Sequence[str], FloatArray, Segmentation], T],
        chosen: Mapping[str, Chosen] | None = None,
        explain_clean: bool = False,
    ) -> list[T | Failed]:
        """An answer for each picture, in their order.

        When the caller is cancelled, pictures that are not at work yet are passed over.

        Args:
            pictures: pictures that were sent.
            answer: makes an answer of the picture's name, the classes, the picture and its segmentation.
            chosen: thresholds instead of the run's, for these pictures.
            explain_clean: explain the strongest class of a picture that passes no gate.

        Raises:
            UsageError: thresholds of a class that the run does not know.
            OutError: temporary files cannot be written.
        """
        segmenter = self._with(chosen) if chosen else self._segmenter
        if explain_clean:
            calibration = segmenter.calibration
            segmenter = Segmenter(segmenter.model, segmenter.classes, calibration, explain_clean=True)
        with temporary_folder() as folder:
            prepared = await _in_thread(partial(self._prepare, pictures, folder, segmenter, answer))
            works = [work for work in prepared if isinstance(work, Work)]
            for work in works:
                self._worker.submit(work)
            try:
                futures = [asyncio.wrap_future(work.future) for work in works]
                answers = iter(await asyncio.gather(*futures, return_exceptions=True))
            finally:
                for work in works:
                    work.future.cancel()
        found: list[T | Failed] = []
        for picture, item in zip(pictures, prepared, strict=True):
            said = next(answers) if isinstance(item, Work) else item
            if isinstance(said, ImageError):
                said = Failed(name=picture.name, code=422, error=str(said))
            if isinstance(said, BaseException):
                raise said
            found.append(said)
        return found

    def save(self, chosen: Mapping[str, Chosen]) -> None:
        """Write thresholds into the run, and use them from now on.

        Raises:
            UsageError: a class that the run does not know.
            RunError: the run was changed, moved or deleted since it was loaded.
            OutError: the run cannot be written.
        """
        with self._saving:  # else one of two at a time would undo the other
            segmenter, path = self._with(chosen), self.run.path
            if read_metadata(path).model_dump_json() != self.run.metadata.model_dump_json():
                raise RunError(
                    f"The thresholds are not saved: another program changed {path} since the server started. "
                    "Start relmask serve again."
                )
            metadata = self.run.metadata.model_copy(update={"calibration": segmenter.calibration})
            try:
                save_metadata(path, metadata)
            except OutError as error:
                raise OutError(
                    f"The thresholds are not saved: {path} cannot be written ({_cause(error)}). Make the run "
                    "writable or free some space, then save again."
                ) from error
            self.run = Run(path, metadata, self.run.model)
            self._segmenter = segmenter

    def _with(self, chosen: Mapping[str, Chosen]) -> Segmenter:
        before = self._segmenter
        if unknown := sorted(chosen.keys() - set(before.classes)):
            raise UsageError(
                f"The run knows no class {', '.join(unknown)}. It knows: {', '.join(before.classes)}."
            )
        classes = {
            name: thresholds.model_copy(
                update=chosen[name].model_dump(exclude_none=True) if name in chosen else {}
            )
            for name, thresholds in before.calibration.classes.items()
        }
        if classes == before.calibration.classes:
            return before
        calibration = before.calibration.model_copy(update={"classes": classes, "by_hand": True})
        return Segmenter(before.model, before.classes, calibration)

    def _prepare(
        self,
        pictures: Sequence[Sent],
        folder: Path,
        segmenter: Segmenter,
        answer: Callable[[str, Sequence[str], FloatArray, Segmentation], object],
    ) -> list[Work | Failed]:
        """Work for every picture whose header says that it may be decoded."""
        prepared: list[Work | Failed] = []
        for number, picture in enumerate(pictures):
            path = folder / f"{number}{_suffix(picture.name)}"
            with path.open("wb") as file:
                shutil.copyfileobj(picture.file, file)
            try:
                pixels = pixels_to_decode(path)
            except ImageError as error:
                prepared.append(Failed(name=picture.name, code=422, error=_without(path, error)))
                continue
            if pixels > self._limits.pixels:
                reason = (
                    f"has {pixels / 1e6:.0f} megapixels, {self._limits.megapixels:g} are allowed. Cut it up."
                )
                prepared.append(Failed(name=picture.name, code=413, error=reason))
                continue
            finish = partial(answer, picture.name, segmenter.classes)
            prepared.append(Work(pixels, partial(self._read, path), segmenter, finish))
        return prepared

    def _read(self, path: Path) -> FloatArray:
        try:
            return self.run.read(path)
        except ImageError as error:
            raise ImageError(_without(path, error)) from error


async def _in_thread(call: Callable[[], T]) -> T:
    """`asyncio.to_thread`, but a cancellation waits for the thread: it still uses the request's files."""
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _suffix(name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""


def _without(path: Path, error: ImageError) -> str:
    return str(error).removeprefix(f"{path}: ")


def _cause(error: OutError) -> str:
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or str(error)
