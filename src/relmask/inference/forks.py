"""What a forked child of a process with a model can still do.

The threads that torch works with do not survive a fork, and a child that hands them work waits forever. With
one thread a child needs none of them; but where another thread than the one that forks had used the model,
its first convolution can hang all the same (3 of 8 children on a busy machine, none of 14 otherwise).
"""

import os
import threading

import torch

from relmask.errors import ForkError

_users: set[int] = set()
"""Threads of this process that have used a model while torch worked with several threads."""
_lost = False
"""Was this process forked from one in which another such thread than the forking one was?"""


def entered() -> None:
    """Note that this thread uses a model.

    Raises:
        ForkError: in a process where that would never end.
    """
    if _lost:
        raise ForkError(
            "This process was forked from one in which another thread had used relmask; torch could wait "
            "forever here. Start it with multiprocessing.get_context('spawn') or 'forkserver', or call "
            "torch.set_num_threads(1) before relmask is first used."
        )
    if torch.get_num_threads() > 1:
        _users.add(threading.get_ident())


def _forked() -> None:
    global _lost
    _lost = _lost or bool(_users - {threading.get_ident()})
    _users.clear()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forked)
