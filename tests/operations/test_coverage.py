"""Every public name of scikit-image's image modules is an operation, or says why it is none."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.util import PendingSkimage2Change

import napari_tilewise as tw
from napari_tilewise.operations.not_operations import NOT_OPERATIONS
from tests.strategies import cases

PAGE = Path(__file__).parents[2] / "docs" / "operations.py"
SPEC = importlib.util.spec_from_file_location("operations_page", PAGE)
page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(page)


def test_every_public_name_is_an_operation_or_has_a_reason():
    names = set(page.public_names())
    missing = names - set(tw.OPERATIONS) - set(page.aliases()) - set(NOT_OPERATIONS)
    assert sorted(missing) == []


def test_no_reason_is_given_in_vain():
    reasons = set(NOT_OPERATIONS)
    assert sorted(reasons & (set(tw.OPERATIONS) | set(page.aliases()))) == []
    assert sorted(reasons - set(page.public_names())) == []
    assert all(NOT_OPERATIONS.values())


def test_every_operation_is_public():
    hidden = set(tw.OPERATIONS) - set(page.public_names())
    assert all(tw.OPERATIONS[name].deprecated for name in hidden)


def test_committed_page_is_the_generated_one():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run: make operations"


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=2)
@given(data=st.data())
def test_no_default_is_left_to_change(name: str, data: st.DataObject) -> None:
    """What scikit-image 2 will do otherwise is passed explicitly: nothing warns of it."""
    operation = tw.OPERATIONS[name]
    case = data.draw(cases(operation))
    required = {n for n, p in operation.parameters.items() if p.required or n == operation.channel}
    params = {n: value for n, value in case.params.items() if n in required}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PendingSkimage2Change)
        if not operation.deprecated:
            warnings.simplefilter("error", FutureWarning)
        cause = None
        try:
            tw.apply(name, case.image, tiles=case.tiles, **params)
        except tw.TilewiseError as error:  # scikit-image may refuse the image
            cause = error.__cause__
    assert not isinstance(cause, PendingSkimage2Change | FutureWarning)
