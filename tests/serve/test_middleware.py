import base64
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.serve import Limits, Settings
from tests.serve.conftest import RED, SIZE, eventually, picture, sent, serving


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is not set, segmenting waits."""
    opened = threading.Event()
    segment = Segmenter.segment_images

    def waiting(self: Segmenter, images: Sequence[NDArray[np.float32]]) -> list[Segmentation]:
        assert opened.wait(60)
        return segment(self, images)

    monkeypatch.setattr(Segmenter, "segment_images", waiting)
    yield opened
    opened.set()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer  s3cret", 200),
        (basic("label-studio", "s3cret"), 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer s3cre", 401),
        ("Bearer s3cretx", 401),
        (basic("s3cret", ""), 401),
        ("Basic ###", 401),
        ("Basic /w==", 401),
    ],
)
def test_only_who_has_the_token_comes_in(colours: Run, given: str | None, status: int) -> None:
    with serving(colours, Settings(port=0, token="s3cret")) as client:
        del client.headers["authorization"]
        headers = {} if given is None else {"authorization": given}
        assert client.get("/run", headers=headers).status_code == status
        answer = client.post("/segment", files=sent(picture()), headers=headers)
        assert answer.status_code == status
        for path in ("/health", "/openapi.json"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1234"}, 200),
        ({"host": "[::1]:1234"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1:80", "origin": "http://127.0.0.1:81"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_stay_out(colours: Run, headers: dict[str, str], status: int) -> None:
    with serving(colours) as client:
        assert client.get("/run", headers=headers).status_code == status
        assert client.post("/segment", files=sent(picture()), headers=headers).status_code == status
    with serving(colours, Settings(port=0, token="t")) as client:  # they cannot know it
        assert client.get("/run", headers=headers).status_code == 200


def test_overload_is_answered_at_once_and_says_when_to_come_back(colours: Run, gate: threading.Event) -> None:
    settings = Settings(port=0, limits=Limits(requests=2))
    with serving(colours, settings) as client, ThreadPoolExecutor(3) as three:
        asked = [three.submit(client.post, "/segment", files=sent(picture(RED))) for _ in range(3)]
        refused = next(as_completed(asked)).result()
        assert refused.status_code == 503
        assert "Busy" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client.get("/health").status_code == 200
        gate.set()
        assert sorted(answer.result().status_code for answer in asked) == [200, 200, 503]
        assert client.post("/segment", files=sent(picture())).status_code == 200


def test_what_takes_too_long_is_given_up(colours: Run, gate: threading.Event) -> None:
    with serving(colours, Settings(port=0, limits=Limits(seconds=0.3))) as client:
        try:
            begin = time.monotonic()
            late = client.post("/segment", files=sent(picture(RED)))
            assert time.monotonic() - begin < 5
            assert late.status_code == 503
            assert "Not done in time" in late.json()["detail"]
            assert "retry-after" in late.headers
        finally:
            gate.set()
        eventually(lambda: client.post("/segment", files=sent(picture())).status_code == 200)


def test_pictures_of_requests_that_were_given_up_are_passed_over(
    colours: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()
    read: list[object] = []
    original = Run.read

    def waiting(self: Run, path: Path) -> NDArray[np.float32]:
        read.append(path)
        assert opened.wait(60)
        return original(self, path)

    monkeypatch.setattr(Run, "read", waiting)
    with serving(colours, Settings(port=0, limits=Limits(seconds=0.5))) as client:
        assert client.post("/segment", files=sent(*[picture()] * 4)).status_code == 503
        opened.set()
        eventually(lambda: client.post("/segment", files=sent(picture())).status_code == 200)
    assert len(read) < 4


def test_a_body_that_does_not_come_is_given_up(colours: Run) -> None:
    with serving(colours, Settings(port=0, limits=Limits(seconds=0.3, requests=1))) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as slow:
            head = (
                "POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            )
            slow.sendall(head.encode())
            slow.settimeout(10)
            assert b" 408 " in slow.recv(1000).splitlines()[0]
        assert client.post("/segment", files=sent(picture())).status_code == 200


def test_a_client_that_goes_away_frees_its_place(colours: Run) -> None:
    with serving(colours, Settings(port=0, limits=Limits(requests=1))) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as gone:
            gone.sendall(b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n--")
        eventually(lambda: client.post("/segment", files=sent(picture())).status_code == 200)


def test_pictures_of_a_client_that_has_gone_are_not_segmented(
    colours: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()
    read: list[int] = []
    segmented: list[int] = []
    segment, original = Segmenter.segment_images, Run.read

    def reading(self: Run, path: Path) -> NDArray[np.float32]:
        image = original(self, path)
        read.append(image.shape[1])
        return image

    def waiting(self: Segmenter, images: Sequence[NDArray[np.float32]]) -> list[Segmentation]:
        segmented.extend(image.shape[1] for image in images)
        assert opened.wait(60)
        return segment(self, images)

    monkeypatch.setattr(Run, "read", reading)
    monkeypatch.setattr(Segmenter, "segment_images", waiting)
    settings = Settings(port=0, limits=Limits(requests=2))
    with serving(colours, settings) as client, ThreadPoolExecutor(2) as two:
        staying = two.submit(client.post, "/segment", files=sent(picture(RED)))
        eventually(lambda: segmented == [SIZE])
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as gone:
            gone.sendall(raw(client, sent(*[picture(width=77)] * 5)))
            eventually(lambda: read == [SIZE, *[77] * 5])
        following = two.submit(until_accepted, client)
        eventually(lambda: len(read) == 7)  # the place is free before anything else is segmented
        opened.set()
        assert staying.result().json()["images"][0]["status"] == "defect"
        assert following.result().status_code == 200
    assert segmented == [SIZE, SIZE]


def raw(client: httpx.Client, files: list[tuple[str, tuple[str, bytes]]]) -> bytes:
    """A whole request of pictures, byte by byte."""
    request = client.build_request("POST", "/segment", files=files)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST /segment HTTP/1.1\r\n{head}\r\n".encode() + request.read()


def until_accepted(client: httpx.Client) -> httpx.Response:
    """The first answer that is not "busy"."""
    while (answer := client.post("/segment", files=sent(picture()))).status_code == 503:
        time.sleep(0.01)
    return answer


def test_refusals_can_be_read_by_clients_that_are_still_sending(colours: Run) -> None:
    with serving(colours, Settings(port=0, token="t", limits=Limits(megabytes=8))) as client:
        for _ in range(5):
            answer = httpx.post(f"{client.base_url}/segment", files=sent(b"x" * 7_000_000))
            assert answer.status_code == 401
