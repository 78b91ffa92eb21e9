"""A run behind HTTP: pictures in, labels, scores and masks out, and a page to review them.

    server = relmask.serve.serve(relmask.load("run"), Settings(port=8000))

What it takes is bounded in bytes, pixels, time and number, whoever sends it. FastAPI and uvicorn come with
`pip install 'relmask[serve]'`.
"""

from relmask.serve.app import create_app
from relmask.serve.server import Server, serve
from relmask.serve.settings import Limits, Settings

__all__ = ["Limits", "Server", "Settings", "create_app", "serve"]
