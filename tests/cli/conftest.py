"""The shell in this process: exit code, stdout and stderr of a command."""

import pytest

from napari_tilewise.cli import main


@pytest.fixture
def shell(capfd):
    """Return a function that runs a command; no traceback ever."""

    def call(*args):
        code = main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call
