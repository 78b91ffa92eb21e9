"""Throughput and latency of `relmask serve` at 1, 4 and 16 clients beside the plain classifier; its memory.

    python benchmarks/serve_load.py [RUN PICTURES]

The plain classifier is the same model behind the same server, without thresholds, explanations and masks.
Pictures that RUN judges clean are sent, since most of inspection is clean; `relmask batches` is the same
with batches of up to 8 pictures. The servers are asked in turns, so that other work hits all alike.
Then 10,000 requests of pictures of 64 px, clean and defective, go to a small run, and the server's memory is
read.
Without RUN and PICTURES both parts use a small run on synthetic surfaces. Prints one JSON line a figure. Only
127.0.0.1 is asked.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import relmask
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.serve import Server, Settings
from relmask.synthetic.surfaces import write_surfaces

CLIENTS = (1, 4, 16)
ROUNDS = 6
SECONDS = 5.0  # a round of one server
MEMORY_REQUESTS = 10_000
BOUNDARY = "relmask-load"


class PlainSegmenter(Segmenter):
    """The classifier alone."""

    def segment_images(self, images: Sequence[NDArray[np.float32]]) -> list[Segmentation]:
        """Logits, and an empty mask."""
        inputs = torch.cat([self.model.cut(image)[0] for image in images])
        logits = self.model.logits(inputs).tolist()
        return [
            Segmentation(
                mask=np.zeros(image.shape[:2], np.uint8),
                relevance=None,
                scores=dict(zip(self.classes, row, strict=True)),
                score=0.0,
                status="clean",
                components=(),
            )
            for image, row in zip(images, logits, strict=True)
        ]


class PlainRun(Run):
    """A run of which only the classifier is used."""

    @cached_property
    def segmenter(self) -> Segmenter:
        """The classifier alone."""
        whole = super().segmenter
        return PlainSegmenter(whole.model, whole.classes, whole.calibration)


def serve(kind: str, folder: str, batch_size: str) -> None:
    """Serve a run in this process, and print the port."""
    torch.set_num_threads(1)
    run = relmask.load(folder)
    chosen = PlainRun(run.path, run.metadata, run.model) if kind == "plain" else run
    Server(
        chosen,
        Settings(port=0, batch_size=int(batch_size)),
        lambda url: print(url.rpartition(":")[2], flush=True),
    ).run()


@dataclass(frozen=True)
class Served:
    """A server of this benchmark."""

    port: int
    process: int

    @property
    def resident(self) -> float:
        """Resident memory in MiB (Linux)."""
        text = Path(f"/proc/{self.process}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def served(kind: str, run: Path, batch_size: int = 1) -> Iterator[Served]:
    """A server in a process of its own."""
    command = [sys.executable, __file__, "--serve", kind, str(run), str(batch_size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Served(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


def body_of(path: Path) -> bytes:
    """A picture as the body of a request."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{path.name}"\r\n\r\n'
    return head.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Send a request, and give the seconds until its answer."""
    begin = time.monotonic()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/segment", body, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return time.monotonic() - begin


def load(server: Served, bodies: Sequence[bytes], clients: int, seconds: float) -> list[float]:
    """Seconds of each answer to clients that ask one request after the other for some time."""
    end = time.monotonic() + seconds

    def client(number: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        took = []
        for body in islice(cycle(bodies), number, None):
            if time.monotonic() > end:
                break
            took.append(ask(connection, body))
        connection.close()
        return took

    with ThreadPoolExecutor(clients) as pool:
        return [took for some in pool.map(client, range(clients)) for took in some]


def compare(run: Path, clean: Sequence[Path]) -> None:
    """Print throughput and latency of the servers in turns."""
    bodies = [body_of(path) for path in clean]
    kinds = {"plain": ("plain", 1), "relmask": ("relmask", 1), "relmask batches": ("relmask", 8)}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(served(kind, run, size)) for name, (kind, size) in kinds.items()}
        for server in servers.values():
            load(server, bodies, 1, 1)
        for clients in CLIENTS:
            took: dict[str, list[list[float]]] = {name: [] for name in servers}
            for _ in range(ROUNDS):
                for name, server in servers.items():
                    took[name].append(load(server, bodies, clients, SECONDS))
            rates = {name: [len(some) / SECONDS for some in rounds] for name, rounds in took.items()}
            for name, rounds in took.items():
                every = np.concatenate(rounds)
                figure = {
                    "server": name,
                    "clients": clients,
                    "requests": len(every),
                    "per_second": round(float(np.median(rates[name])), 2),
                    "p50_ms": round(1000 * float(np.quantile(every, 0.5)), 1),
                    "p95_ms": round(1000 * float(np.quantile(every, 0.95)), 1),
                    "of_plain": round(float(np.median(np.divide(rates[name], rates["plain"]))), 3),
                }
                print(json.dumps(figure), flush=True)


def watch_memory(run: Path, pictures: Sequence[Path]) -> None:
    """Print the server's resident memory along many requests."""
    bodies = [body_of(path) for path in pictures]
    with served("relmask", run) as server, ThreadPoolExecutor(4) as pool:
        begin = time.monotonic()

        def some(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for body in islice(cycle(bodies), number, number + 125):
                ask(connection, body)
            connection.close()

        for done in range(500, MEMORY_REQUESTS + 1, 500):
            list(pool.map(some, range(0, 4)))
            if done in (500, 1000) or done % 3000 == 1000:
                figure = {
                    "requests": done,
                    "resident_mib": round(server.resident, 1),
                    "seconds": round(time.monotonic() - begin, 1),
                }
                print(json.dumps(figure), flush=True)


def main() -> None:
    """Both parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_surfaces(folder / "data", images=60, size=64)
        small = relmask.train(folder / "data", folder / "run", epochs=1, size=64)
        pictures = sorted((folder / "data" / "images").iterdir())
        run, many = (Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 2 else (small.path, folder / "data")
        loaded = relmask.load(run)
        found = (path for path in sorted(Path(many).rglob("*.jpg")) if loaded.segment(path).status == "clean")
        compare(run, list(islice(found, 16)))
        watch_memory(small.path, pictures)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(*sys.argv[2:])
    else:
        main()
