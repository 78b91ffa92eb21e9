"""A run behind HTTP: images in, scores and masks out, and a page to review them.

    server = relmask.serve.serve(relmask.load("run"), Settings(port=8000))

Requests are limited in bytes, pixels, time and number, whoever sends them. FastAPI and uvicorn come with
`pip install 'relmask[serve]'`; names load on first use, since `relmask.serve.cvat` needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmask.serve.app import create_app
    from relmask.serve.server import Server, serve
    from relmask.serve.settings import Limits, Settings

__all__ = ["Limits", "Server", "Settings", "create_app", "serve"]

_HOMES = {
    "Limits": "settings",
    "Server": "server",
    "Settings": "settings",
    "create_app": "app",
    "serve": "server",
}

if not TYPE_CHECKING:  # so that mypy still finds names that do not exist

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'relmask.serve' has no attribute {name!r}")
        return getattr(import_module(f"relmask.serve.{_HOMES[name]}"), name)
