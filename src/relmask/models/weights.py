"""Files of weights: reading them, and loading them with an error that says what does not fit."""

import hashlib
import importlib.util
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from relmask.errors import RunError

_SHOWN = 4


def packaged(package: str, file: str, sha256: str) -> Path:
    """The file of weights that an installed package ships, checked by the start of its SHA-256.

    Raises:
        RunError: the package is not installed, or its file is another one.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise RunError(f"The package {name} is not installed: pip install {name}")
    path = Path(spec.submodule_search_locations[0]) / file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror}. Install {package} again.") from error
    if not found.startswith(sha256):
        raise RunError(f"{path} is not the file that was checked: SHA-256 {found[:12]}, expected {sha256}.")
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from a safetensors file or a state dict that torch saved; no code in it is run.

    A state dict may lie under `state_dict` or `model`, and its names may begin with `module.`.

    Raises:
        RunError: the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RunError(f"Cannot read the weights {path}: {error.strerror or error}.") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise RunError(
            f"{path} holds no plain weights: save them with torch.save(model.state_dict(), path)."
        ) from error
    if isinstance(content, Mapping):
        content = content.get("state_dict", content.get("model", content))
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise RunError(f"{path} holds no state dict: save it with torch.save(model.state_dict(), path).")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def load_weights(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    source: Path,
    ignored: Collection[str] = (),
) -> None:
    """Load `weights` into `module` strictly, but for names of the file that are `ignored`.

    Raises:
        RunError: a name is missing, unknown or of another shape; some of them are named.
    """
    wanted = _counted(module.state_dict())
    found = _counted(weights)
    problems = (
        [f"missing {key}" for key in wanted if key not in found]
        + [f"unknown {key}" for key in found if key not in wanted and key not in ignored]
        + [
            f"{key} is {tuple(found[key].shape)}, should be {tuple(value.shape)}"
            for key, value in wanted.items()
            if key in found and found[key].shape != value.shape
        ]
    )
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RunError(f"The weights {source} are of another network:\n{listed}{more}")
    module.load_state_dict({key: found[key] for key in wanted}, strict=False)


def _counted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without batch norm's counters, which old files lack and inference does not read."""
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
