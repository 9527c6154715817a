"""The index of the operations says what the modules declare, in their order."""

import pytest

from napari_tilewise.operations import BUILT_IN, declared, write_index
from napari_tilewise.operations.spec import docstrings


def test_the_committed_index_is_the_generated_one():
    assert write_index.PATH.read_text(encoding="utf-8") == write_index.text(), "run: make index"


def test_the_committed_summaries_are_the_generated_ones():
    path = write_index.SUMMARIES_PATH
    assert path.read_text(encoding="utf-8") == write_index.summaries_text(), "run: make index"


def test_every_key_leads_to_its_operation():
    assert list(BUILT_IN) == [key for key, _ in declared()]
    assert all(BUILT_IN[key].name == key for key in BUILT_IN)


@pytest.mark.parametrize("key", ["numpy.add", "numpy.maximum"])
def test_ufuncs_have_a_signature_before_numpy_2_4(key, monkeypatch):
    function = BUILT_IN[key].raw_function
    expected = docstrings.signature.__wrapped__(function)

    def unsupported(function):
        raise ValueError

    monkeypatch.setattr(docstrings.inspect, "signature", unsupported)
    assert dict(docstrings.signature.__wrapped__(function)) == dict(expected)
