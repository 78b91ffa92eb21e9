"""`relmask serve`: a run behind HTTP, with a page to review images."""

import os
from typing import Annotated

import typer

import relmask
from relmask.cli.options import BatchSize, Device, RunFolder
from relmask.errors import UsageError


def serve(
    run: RunFolder,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RELMASK_TOKEN",
            metavar="TOKEN",
            help="Bearer token that clients must send. Needed to listen on other addresses.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve other machines without a token.")
    ] = False,
    label_studio: Annotated[
        str | None,
        typer.Option(
            envvar="LABEL_STUDIO_URL",
            metavar="URL",
            help="Address of the Label Studio that tasks' pictures come from.",
        ),
    ] = None,
    label_studio_key: Annotated[
        str | None,
        typer.Option(
            envvar="LABEL_STUDIO_API_KEY", metavar="TOKEN", help="Access token for that Label Studio."
        ),
    ] = None,
    max_mb: Annotated[float, typer.Option(metavar="N", min=0.01, help="Largest request, in megabytes.")] = 64,
    max_mp: Annotated[float, typer.Option(metavar="N", min=0.01, help="Largest image, in megapixels.")] = 64,
    max_requests: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests at a time; further ones are answered 503.")
    ] = 32,
    timeout: Annotated[
        float, typer.Option(metavar="N", min=0.1, help="Seconds that a request may take.")
    ] = 60,
    device: Device = "auto",
    batch_size: BatchSize = 8,
) -> None:
    """Serve a run: a web page to review images, and an HTTP API.

    When stopped: requests that are at work are still answered, unless you press Ctrl-C twice.

    Example:
        relmask serve run
        relmask serve run --host 0.0.0.0 --token "$RELMASK_TOKEN"
    """
    try:
        from relmask.serve import Limits, Server, Settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("relmask"):
            raise
        raise UsageError(
            f"There is no {error.name} here. Install it: pip install 'relmask[serve]'"
        ) from error

    settings = Settings(
        host=host,
        port=port,
        token=token,
        insecure=insecure,
        label_studio=label_studio,
        label_studio_key=label_studio_key,
        limits=Limits(megabytes=max_mb, megapixels=max_mp, requests=max_requests, seconds=timeout),
    )

    def announce(url: str) -> None:
        page = f"{url}/#token={token}" if token else url
        typer.echo(f"Serving {run} at {page} (Ctrl-C stops)")

    def stop_now() -> None:
        os._exit(130)  # an image that is at work cannot be interrupted, and would abort Python's own exit

    Server(relmask.load(run, device=device, batch_size=batch_size), settings, announce, stop_now).run()
