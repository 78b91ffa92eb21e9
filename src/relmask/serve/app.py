"""Routes of the service; each is one call of `Service`."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import TypeAdapter, ValidationError

import relmask
from relmask.errors import OutError, RelmaskError, RunError, UsageError
from relmask.formats import FORMATS
from relmask.inference.run import Run
from relmask.masks.colours import class_colours
from relmask.serve import label_studio
from relmask.serve.encoding import Wanted, encode
from relmask.serve.exports import pack
from relmask.serve.middleware import Guard
from relmask.serve.schemas import (
    Answer,
    Chosen,
    Class,
    Export,
    Failed,
    Health,
    Judged,
    Kept,
    Problem,
    RunInfo,
    Taken,
)
from relmask.serve.service import Sent, Service
from relmask.serve.settings import Settings

STATIC = Path(__file__).with_name("static")
PAGE = {
    # Nothing of the page comes from elsewhere, or goes there.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' data:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
CHOSEN = TypeAdapter(dict[str, Chosen])
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        401: "The token is missing or wrong.",
        404: "The run keeps no scores, as runs of earlier versions, or they are damaged.",
        408: "The request did not arrive in time.",
        409: "Another program changed the run.",
        413: "Too many bytes, pixels or images.",
        422: "An image that cannot be read, or a field that is wrong.",
        503: "Busy; the header Retry-After says when to try again.",
        507: "The run, or a temporary file, cannot be written: no permission, or a full disk.",
    }.items()
}
_STATUS: dict[type[RelmaskError], int] = {UsageError: 422, RunError: 409, OutError: 507}
_LONGEST_SIDE = 2**16


def _refusals(*statuses: int) -> dict[int | str, dict[str, object]]:
    return {status: REFUSALS[status] for status in (*statuses, 401, 408, 413, 422, 503, 507)}


def create_app(run: Run, settings: Settings) -> FastAPI:
    """The service as an ASGI application.

    Args:
        run: run to serve.
        settings: access and limits.

    Raises:
        RunError: the run has no thresholds.
        UsageError: the run's composite does not exist.
        UnsupportedModel: LRP cannot explain the run's model.
    """
    usual = 1 if run.model.device.type == "cpu" else run.model.batch_size
    service = Service(run, settings.limits, settings.batch_size or usual)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="relmask",
        version=relmask.__version__,
        description="Pixel masks from image-level labels.",
        lifespan=lifespan,
        docs_url=None,  # its page loads from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guard, settings=settings)

    @app.exception_handler(RelmaskError)
    async def refused(request: Request, error: RelmaskError) -> Response:
        known = [_STATUS[kind] for kind in type(error).mro() if kind in _STATUS]
        return _problem(str(error), known[0] if known else 500)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        return _problem(_fields(error.errors()), 422)

    @app.get("/health")
    async def health() -> Health:
        """Whether the service is up; needs no token."""
        return Health()

    @app.get("/run", responses={401: REFUSALS[401]})
    async def describe() -> RunInfo:
        """Classes, thresholds and limits of the run."""
        return _described(service, settings)

    @app.post("/segment", response_model=Answer, responses=_refusals())
    async def segment(
        images: Annotated[list[UploadFile], File(description="Files of one image or several.")],
        mask: Annotated[Literal["png", "rle", "none"], Form(description="Encoding of masks.")] = "png",
        relevance: Annotated[bool, Form(description="true sends maps, in the run's `unit`.")] = False,
        side: Annotated[
            int | None,
            Form(
                ge=1,
                le=_LONGEST_SIDE,
                description="Longest side of maps; else they are as large as the image.",
            ),
        ] = None,
        preview: Annotated[
            int | None,
            Form(
                ge=1,
                le=_LONGEST_SIDE,
                description="Longest side of a JPEG of the image; else none is sent.",
            ),
        ] = None,
        thresholds: Annotated[
            str | None,
            Form(description="JSON object: class to its level, min_area and gate, for these images."),
        ] = None,
        explain_clean: Annotated[
            bool,
            Form(description="true explains the strongest class of an image that passes no gate, too."),
        ] = False,
    ) -> Response:
        """Segment images. An image that fails alone is refused; among others its entry has the error."""
        if len(images) > settings.limits.images:
            raise HTTPException(413, f"At most {settings.limits.images} images a request.")
        sent = [Sent(image.filename or f"image {k}", image.file) for k, image in enumerate(images, start=1)]
        found = await service.segment(
            sent,
            partial(encode, Wanted(mask, relevance, side, preview)),
            _chosen(thresholds),
            explain_clean,
        )
        if all(isinstance(entry, Failed) for entry in found):
            reasons = [f"{entry.name}: {entry.error}" for entry in found if isinstance(entry, Failed)]
            raise HTTPException(next(e.code for e in found if isinstance(e, Failed)), "\n".join(reasons))
        return Response(Answer(images=found).model_dump_json(), media_type="application/json")

    @app.get("/scores", responses={401: REFUSALS[401], 404: REFUSALS[404]})
    def scores() -> Kept:
        """Labels and logits of the images that the run's gates were chosen from."""
        try:
            return _kept(service)
        except RunError as error:
            raise HTTPException(404, str(error)) from error

    @app.put("/thresholds", responses=_refusals(409))
    def save(chosen: dict[str, Chosen]) -> RunInfo:
        """Write thresholds into the run, and use them from now on."""
        service.save(chosen)
        return _described(service, settings)

    @app.post("/export", response_class=StreamingResponse, responses=_refusals())
    def export(wanted: Export) -> StreamingResponse:
        """Masks as a zip file of the files that an annotation tool reads."""
        if any(picture.width * picture.height > settings.limits.pixels for picture in wanted.images):
            raise HTTPException(413, f"A mask has more than {settings.limits.megapixels:g} megapixels.")
        packed = pack(wanted.format, wanted.images, service.run.metadata.classes)
        headers = {"Content-Disposition": f'attachment; filename="relmask-{wanted.format}.zip"'}
        return StreamingResponse(_pieces(packed), media_type="application/zip", headers=headers)

    source = label_studio.Source(
        settings.label_studio, settings.label_studio_key, settings.limits.bytes, settings.limits.seconds / 2
    )

    @app.post("/setup", responses=_refusals())
    async def setup(asked: label_studio.SetupRequest) -> dict[str, str]:
        """Label Studio connects a project; its labelling interface must fit, once it has one."""
        if "BrushLabels" in asked.label_config:
            label_studio.interface(asked.label_config, service.run.metadata.classes)
        return {"model_version": service.version}

    @app.post("/predict", responses=_refusals())
    async def predict(asked: label_studio.PredictRequest) -> dict[str, Any]:
        """Label Studio asks for predictions; a task whose picture fails has none, and an error."""
        names = label_studio.interface(asked.label_config, service.run.metadata.classes)
        answer = partial(label_studio.predicted, names, service.version)
        results: list[dict[str, Any]] = []
        for task in asked.tasks:  # one at a time, so that one picture is held
            address = task.data.get(names.key)
            try:
                file = await asyncio.to_thread(source.open, address)
                with file:
                    [found] = await service.segment([Sent(label_studio.file_name(address), file)], answer)
            except UsageError as error:
                found = Failed(name=label_studio.file_name(address), code=422, error=str(error))
            results.append(found if isinstance(found, dict) else {"result": [], "error": found.error})
        errors = [result["error"] for result in results if "error" in result]
        if errors and len(errors) == len(results):
            raise HTTPException(422, "\n".join(dict.fromkeys(errors)))
        return {"results": results, "model_version": service.version}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html", headers=PAGE)

    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _problem(detail: str, status: int) -> Response:
    # All in ASCII, since a detail may quote what no encoding knows.
    return Response(json.dumps({"detail": detail}), status, media_type="application/json")


def _fields(errors: Sequence[Any]) -> str:
    """The fields of a request that are wrong, and why; their values are left out, which may be anything."""
    if any(line["type"] == "json_invalid" for line in errors):
        return "The body of the request is not JSON."
    return "; ".join(f"{'.'.join(map(str, line['loc'][1:])) or 'body'}: {line['msg']}" for line in errors)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, 2**16), b"")


def _chosen(thresholds: str | None) -> dict[str, Chosen] | None:
    if not thresholds:
        return None
    try:
        return CHOSEN.validate_json(thresholds)
    except ValidationError as error:
        raise HTTPException(422, f"thresholds: {error.errors()[0]['msg']}.") from error


def _kept(service: Service) -> Kept:
    kept, classes = service.scores, service.run.metadata.classes
    numbers = {group: number for number, group in enumerate(dict.fromkeys(kept.scores.groups))}
    parts = zip(kept.scores.targets, kept.scores.groups, kept.sources, kept.scores.logits, strict=True)
    return Kept(
        images=[
            Judged(
                labels=[classes[k] for k in np.flatnonzero(targets)],
                group=numbers[group],
                source=source,
                logits=logits.tolist(),
            )
            for targets, group, source, logits in parts
        ]
    )


def _described(service: Service, settings: Settings) -> RunInfo:
    metadata, calibration = service.run.metadata, service.calibration
    colours = class_colours(len(metadata.classes))[1:]
    limits = settings.limits
    return RunInfo(
        name=service.run.path.resolve().name,
        version=relmask.__version__,
        classes=[
            Class(
                name=name, colour=tuple(int(value) for value in colour), thresholds=calibration.classes[name]
            )
            for name, colour in zip(metadata.classes, colours, strict=True)
        ],
        clean=metadata.clean,
        unit=service.run.model.unit,
        full_scale=service.run.model.cut_scale,
        saw_masks=metadata.saw_masks,
        by_hand=calibration.by_hand,
        false_alarms=calibration.false_alarms,
        windows=metadata.input.windows,
        never_clean=calibration.never_clean,
        formats=list(FORMATS),
        limits=Taken(
            bytes=limits.bytes,
            pixels=limits.pixels,
            images=limits.images,
            requests=limits.requests,
            seconds=limits.seconds,
        ),
    )
