import subprocess
import sys
from importlib.metadata import version

import pytest

import relmask


def test_importing_relmask_imports_nothing_heavy() -> None:
    code = "import sys, relmask; assert not {'torch', 'numpy', 'skimage', 'typer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", relmask.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert getattr(relmask, name) is not None
    assert name in dir(relmask)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        relmask.segmnt  # type: ignore[attr-defined]  # noqa: B018


def test_the_version_is_the_packages() -> None:
    assert relmask.__version__ == version("relmask")
