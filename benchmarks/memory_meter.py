"""How much memory tensors take at once, on any device, without asking an allocator."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


def peak(run: Callable[[], object]) -> int:
    """The largest sum of the storages that `run` makes and that are alive at once, in bytes."""
    live = _Live()
    with live:
        run()
    return live.peak


class _Live(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        made = function(*args, **(kwargs or {}))
        given = {storage.data_ptr() for storage in _storages((args, kwargs))}
        for storage in _storages(made):
            place = storage.data_ptr()
            if place not in given and place not in self.sizes:
                self.sizes[place] = storage.nbytes()
                weakref.finalize(storage, self.sizes.pop, place, None)
        self.peak = max(self.peak, sum(self.sizes.values()))
        return made


def _storages(tree: object) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
