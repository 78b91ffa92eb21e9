import json
from typing import Any

import httpx

from relmask.inference.run import Run
from tests.serve.conftest import serving


def test_export_refuses_what_would_harm(colours: Run) -> None:
    entry = {"name": "a.png", "width": 2, "height": 2, "score": 1, "scores": {}, "rle": []}
    runs = {"label": "green", "size": [2, 2], "counts": "13"}
    wrong: list[tuple[int, dict[str, Any]]] = [
        (422, {"name": "../a.png"}),
        (422, {"name": "/"}),
        (422, {"name": "C:\\a.png"}),
        (422, {"name": "a\n.png"}),
        (422, {"name": "\ud800.png"}),
        (422, {"name": "a" * 250 + ".png"}),
        (422, {"name": "\u00fc" * 130 + ".png"}),
        (422, {"rle": [{**runs, "label": "blue"}]}),
        (422, {"rle": [{**runs, "counts": "\u00fc"}]}),
        (422, {"rle": [{**runs, "size": [1, 4]}]}),
        (422, {"rle": [{**runs, "counts": "~~~"}]}),
        (422, {"rle": [{**runs, "counts": "1"}]}),
        (413, {"width": 10**6, "height": 10**6}),
    ]
    with serving(colours) as client:
        assert exported(client, "coco", {**entry, "rle": [runs]}).status_code == 200
        for status, change in wrong:
            assert exported(client, "labelme", {**entry, **change}).status_code == status
        assert exported(client, "no format", entry).status_code == 422
        assert exported(client, "coco", entry, entry).status_code == 422
        assert exported(client, "coco").status_code == 422


def exported(client: httpx.Client, name: str, *images: dict[str, Any]) -> httpx.Response:
    body = json.dumps({"format": name, "images": images})
    return client.post("/export", content=body, headers={"content-type": "application/json"})
