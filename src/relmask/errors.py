"""What went wrong, and what to do: every error that a user can meet.

Each message says what, where and what next. The command line prints it to stderr and exits with `exit_code`.
"""


class RelmaskError(Exception):
    """Base of all errors that relmask raises on purpose."""

    exit_code = 3


class UsageError(RelmaskError):
    """Arguments that contradict each other or are out of range."""

    exit_code = 2


class DataError(RelmaskError):
    """DATA cannot be used: no images, no labels, one class only, a broken index."""


class RunError(RelmaskError):
    """RUN cannot be used: not a run, made by a newer relmask, damaged."""


class OutError(RelmaskError):
    """OUT cannot be used: no permission, a full disk, results of other settings."""


class UnwritableName(OutError):
    """One file cannot have the name that it needs: too long for the disk, or taken by a folder.

    Work on many images lists that image and goes on.
    """


class ImageError(RelmaskError):
    """One image cannot be read. Work on many images lists it and goes on."""

    exit_code = 1


class ForkError(RelmaskError):
    """A forked process cannot use a model, since torch's threads stayed in the process that it came from."""


class UnsupportedModel(RelmaskError):
    """A model that LRP cannot explain as it is: it ends in softmax, or cannot be exported."""


class UnsupportedOperator(UnsupportedModel):
    """Operators without a relevance rule; all of them are named at once."""
