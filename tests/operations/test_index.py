"""The index of the operations says what the modules declare, in their order."""

import inspect

import numpy as np

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


def test_a_ufunc_has_the_signature_that_numpy_tells_from_2_4_on(monkeypatch):
    function = BUILT_IN["numpy.add"].raw_function
    expected = list(docstrings.signature.__wrapped__(function))

    def unsupported(function):
        if inspect.unwrap(function) is np.add:
            raise ValueError
        return inspect.Signature.from_callable(function)

    monkeypatch.setattr(docstrings.inspect, "signature", unsupported)
    assert list(docstrings.signature.__wrapped__(function)) == expected
    assert expected[:2] == ["x1", "x2"]
