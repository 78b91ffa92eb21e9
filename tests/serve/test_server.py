import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from relmask.errors import RunError, UsageError
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmenter
from relmask.serve import Server, Settings, serve
from tests.serve.conftest import RED, eventually, picture, png, sent


def test_a_port_that_is_taken_is_told(colours: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="--port"):
        Server(colours, Settings(port=taken.getsockname()[1]))
    with pytest.raises(UsageError, match="Cannot listen on nosuchhost"):
        Server(colours, Settings(host="nosuchhost.invalid", token="t"))


def test_a_run_that_cannot_be_served_says_so_before_it_is(colours: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    broken = Run(colours.path, colours.metadata, colours.classifier.with_composite("nonsense"))
    with pytest.raises(UsageError, match="nonsense"):
        Server(broken, Settings(port=port))
    untold = colours.metadata.model_copy(update={"calibration": None})
    with pytest.raises(RunError, match="has no thresholds"):
        Server(Run(colours.path, untold, colours.model), Settings(port=port))
    socket.create_server(("127.0.0.1", port)).close()  # the port was given back


def test_it_listens_on_ipv6_too(colours: Run) -> None:
    started = threading.Event()
    server = Server(colours, Settings(host="::1", port=0), lambda url: started.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(60)
    assert httpx.get(f"{server.url}/health").status_code == 200
    server.should_exit = True
    thread.join()


def test_requests_at_work_are_answered_before_it_stops(colours: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, begun, started = threading.Event(), threading.Event(), threading.Event()
    segment = Segmenter.segment_images

    def waiting(self: Segmenter, images: list[object]) -> object:
        begun.set()
        opened.wait(60)
        return segment(self, images)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "segment_images", waiting)
    server = Server(colours, Settings(port=0), lambda url: started.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(60)
    with ThreadPoolExecutor(1) as one:
        answer = one.submit(httpx.post, f"{server.url}/segment", files=sent(picture(RED)), timeout=60)
        assert begun.wait(60)
        server.should_exit = True
        eventually(lambda: not _answers(server.url))
        opened.set()
        assert answer.result().json()["images"][0]["status"] == "defect"
    thread.join(60)
    assert not thread.is_alive()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_an_error(colours: Run, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    serve(colours, Settings(port=0), lambda url: os.kill(os.getpid(), number))
    assert signal.getsignal(number) is before


SLOW = """
import time
import torch
from relmask.cli import main
from relmask.inference.segmenter import Segmenter

def segment_images(self, images):
    print("at work", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        torch.ones(200, 200) @ torch.ones(200, 200)

Segmenter.segment_images = segment_images
main()
"""


def test_a_second_ctrl_c_ends_it_at_once_without_an_error(trained: Run) -> None:
    command = [sys.executable, "-c", SLOW, "serve", str(trained.path), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as it,
        ThreadPoolExecutor(1) as one,
    ):
        assert it.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", it.stdout.readline())
        assert found
        answer = one.submit(httpx.post, f"{found[0]}/segment", files=sent(picture(RED)), timeout=60)
        assert it.stdout.readline() == "at work\n"
        it.send_signal(signal.SIGINT)
        eventually(lambda: not _answers(found[0]))
        it.send_signal(signal.SIGINT)
        _, errors = it.communicate(timeout=30)
        assert answer.exception()
    assert errors == ""
    assert it.returncode == 130


def test_the_command_says_where_it_is_and_ends_well(trained: Run) -> None:
    command = [sys.executable, "-m", "relmask", "serve", str(trained.path), "--port", "0", "--token", "t0ken"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as it:
        assert it.stdout is not None
        found = re.search(r"(http://127\.0\.0\.1:\d+)/#token=t0ken", it.stdout.readline())
        assert found
        files = {"images": ("a.png", png(picture(RED)))}
        answer = httpx.post(
            f"{found[1]}/segment", files=files, headers={"authorization": "Bearer t0ken"}, timeout=60
        )
        assert answer.status_code == 200
        it.send_signal(signal.SIGTERM)
        _, errors = it.communicate(timeout=60)
    assert errors == ""
    assert it.returncode == 0
