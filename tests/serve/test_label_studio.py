"""Label Studio's side is played as label_studio/ml/api_connector.py does it: the same fields and routes."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from relmask.formats import label_studio
from relmask.inference.run import Run
from relmask.serve import Limits, Settings
from tests.serve.conftest import CLASSES, GREEN, RED, picture, png, serving

CONFIG = label_studio.config(CLASSES).replace('name="label"', 'name="brush"').replace('"image"', '"photo"')
PERSONAL = "aaa.bbb.ccc"


@dataclass
class Studio:
    """A Label Studio that has pictures."""

    url: str
    files: dict[str, bytes]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    fresh: bytes = b'{"access": "fresh"}'


@pytest.fixture
def studio() -> Iterator[Studio]:
    """Serves uploads and local files, to who brings a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers["authorization"]
            found.asked.append((self.path, given))
            if self.path == "/data/away":
                self.send_response(302)
                self.send_header("Location", "http://localhost:1/secret")
                self.end_headers()
                return
            known = given in ("Token legacy", "Bearer fresh")
            self._answer(found.files.get(self.path) if known else None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            fresh = self.path == "/api/token/refresh" and body == {"refresh": PERSONAL}
            self._answer(found.fresh if fresh else None)

        def _answer(self, content: bytes | None) -> None:
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        found = Studio(
            url,
            {
                "/data/upload/1/0a1b2c3d-red.png": png(picture(RED)),
                "/data/local-files/?d=parts/both.png": png(picture(RED | GREEN)),
                "/data/upload/1/clean.png": png(picture()),
                "/data/local-files/?d=ein%20Teil%20%C3%BC.png": png(picture(RED)),
                "/data/upload/1/broken.png": b"broken",
            },
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def asks(client: httpx.Client, *addresses: object, config: str = CONFIG) -> httpx.Response:
    """POST /predict as Label Studio's connector sends it."""
    request = {
        "tasks": [
            {"id": n, "data": {"image": address}, "annotations": []} for n, address in enumerate(addresses)
        ],
        "model_version": None,
        "project": "3.1764086400",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }
    return client.post("/predict", content=json.dumps(request), headers={"content-type": "application/json"})


@pytest.mark.parametrize("key", ["legacy", PERSONAL])
def test_predictions_are_brush_regions_that_label_studio_draws(
    colours: Run, studio: Studio, tmp_path: Path, key: str
) -> None:
    addresses = [
        "/data/upload/1/0a1b2c3d-red.png",
        "/data/local-files/?d=parts/both.png",
        f"{studio.url}/data/upload/1/clean.png",
    ]
    settings = Settings(port=0, label_studio=studio.url, label_studio_key=key)
    with serving(colours, settings) as client:
        answer = asks(client, *addresses).json()
    assert [region["from_name"] for found in answer["results"] for region in found["result"]] == ["brush"] * 3
    assert {region["to_name"] for found in answer["results"] for region in found["result"]} == {"photo"}
    assert answer["model_version"].startswith("relmask-")
    assert all(found["model_version"] == answer["model_version"] for found in answer["results"])
    tasks = [
        {"data": {"image": address, "width": 32, "height": 32}, "predictions": [found]}
        for address, found in zip(addresses, answer["results"], strict=True)
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    read = label_studio.read(tmp_path / "tasks.json").pictures
    red, green = picture(RED)[..., 0] > 0, picture(GREEN)[..., 1] > 0
    expected = [1 * red, 1 * red + 2 * green, 0 * red]
    for annotation, mask in zip(read, expected, strict=True):
        assert np.array_equal(annotation.draw(CLASSES, (32, 32)), mask)
    scores = [found["score"] for found in answer["results"]]
    assert all(0.5 <= score <= 1 for score in scores)


def test_the_version_changes_with_the_thresholds(colours: Run) -> None:
    with serving(colours) as client:
        before = client.post("/setup", json={"project": "1.2", "schema": CONFIG}).json()["model_version"]
        assert (
            client.post("/setup", json={"project": "1.2", "schema": CONFIG}).json()["model_version"] == before
        )
        client.put("/thresholds", json={"green": {"level": 0.2}})
        assert (
            client.post("/setup", json={"project": "1.2", "schema": CONFIG}).json()["model_version"] != before
        )


def test_setup_says_whether_the_labelling_interface_fits(colours: Run) -> None:
    request = {
        "project": "3.1",
        "hostname": "http://localhost:8080",
        "access_token": "abc",
        "extra_params": {},
    }
    with serving(colours) as client:
        assert client.get("/health").json()["status"] == "UP"
        for schema, status in ((CONFIG, 200), ("<View></View>", 200), (CONFIG.replace("green", "grun"), 422)):
            answer = client.post("/setup", json={**request, "schema": schema})
            assert answer.status_code == status
    assert "lacks the labels green" in answer.json()["detail"]
    assert '<Label value="green"' in answer.json()["detail"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "not from 169.254.169.254"),
        ("//localhost:1/a.png", "not from localhost:1"),
        ("file:///etc/passwd", "alone"),
        ("/data/away", "redirects to localhost:1"),
        ("/data/upload/1/missing.png", "404"),
        ("/data/upload/1/broken.png", "no picture"),
        ("data:image/png;base64,###", "damaged"),
        ("data:image/png,abc", "base64"),
        ("data:image/png;base64,\u00fc", "damaged"),
        ("http://[x", "no address"),
        ("/data/a\nb.png", "no address"),
        ("\ud800.png", "no address"),
        (None, "no picture"),
        ({"a": 1}, "no picture"),
    ],
)
def test_pictures_come_from_label_studio_alone(
    colours: Run, studio: Studio, address: object, reason: str
) -> None:
    settings = Settings(port=0, label_studio=studio.url, label_studio_key="legacy")
    with serving(colours, settings) as client:
        refused = asks(client, address)
        assert refused.status_code == 422
        assert reason in refused.json()["detail"]
        mixed = asks(client, address, "/data/upload/1/0a1b2c3d-red.png").json()["results"]
    assert reason in mixed[0]["error"]
    assert mixed[0]["result"] == []
    assert len(mixed[1]["result"]) == 1


def test_names_that_no_address_holds_are_fetched_all_the_same(colours: Run, studio: Studio) -> None:
    settings = Settings(port=0, label_studio=studio.url, label_studio_key="legacy")
    with serving(colours, settings) as client:
        [found] = asks(client, "/data/local-files/?d=ein Teil \u00fc.png").json()["results"]
    assert len(found["result"]) == 1


@pytest.mark.parametrize("answer", [b"no JSON", b"{}", b"[]"])
def test_a_server_that_is_no_label_studio_is_told(colours: Run, studio: Studio, answer: bytes) -> None:
    studio.fresh = answer
    settings = Settings(port=0, label_studio=studio.url, label_studio_key=PERSONAL)
    with serving(colours, settings) as client:
        refused = asks(client, "/data/upload/1/0a1b2c3d-red.png")
    assert refused.status_code == 422
    assert "did not renew the access token" in refused.json()["detail"]


def test_a_label_studio_that_is_gone_is_told(colours: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with serving(colours, Settings(port=0, label_studio=url)) as client:
        refused = asks(client, "/data/upload/1/a.png")
    assert refused.json()["detail"] == "Label Studio does not give /data/upload/1/a.png: Connection refused."


def test_nothing_is_fetched_without_an_address_and_inline_pictures_still_work(colours: Run) -> None:
    inline = "data:image/png;base64," + base64.b64encode(png(picture(RED))).decode()
    with serving(colours) as client:
        assert "--label-studio URL" in asks(client, "/data/upload/1/a.png").json()["detail"]
        assert len(asks(client, inline).json()["results"][0]["result"]) == 1


def test_a_picture_that_is_too_large_is_not_taken_in(colours: Run, studio: Studio) -> None:
    studio.files["/data/upload/1/large.png"] = b"x" * 200_000
    limits = Limits(megabytes=0.1)
    settings = Settings(port=0, label_studio=studio.url, label_studio_key="legacy", limits=limits)
    with serving(colours, settings) as client:
        assert "larger than 0.1 MB" in asks(client, "/data/upload/1/large.png").json()["detail"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("<View>", "no XML"),
        ("", "no XML"),
        ("<View><Image name='a' value='$image'/></View>", "no BrushLabels"),
        (CONFIG.replace("$image", "image"), "no BrushLabels"),
    ],
)
def test_a_labelling_interface_that_does_not_fit_is_refused(colours: Run, config: str, reason: str) -> None:
    with serving(colours) as client:
        refused = asks(client, "/data/upload/1/a.png", config=config)
    assert refused.status_code == 422
    assert reason in refused.json()["detail"]
