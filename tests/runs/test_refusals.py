"""A refusal names a budget that suffices: the same run with that budget ends well."""

import re
from functools import partial

import numpy as np
import pytest
import zarr
from skimage import feature, measure, segmentation

import napari_tilewise as tw
from napari_tilewise import OPERATIONS, errors
from napari_tilewise.cli import main
from napari_tilewise.engine.system.total_limits import TotalLimit
from napari_tilewise.kernels import floods_in_order
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.runs import planner
from napari_tilewise.sizes import parse_size

MIB = 2**20
LARGE = (2**14, 2**14)


def planned(step, source, memory):
    return tw.plan(step, source, memory=memory, workers=2, executor="threads")


def refused(step, source, memory=1):
    with pytest.raises(errors.MemoryBudgetExceeded) as caught:
        planned(step, source, memory)
    amount = re.search(r"memory= to '([^']*)'", str(caught.value))
    assert amount, caught.value
    assert parse_size(amount[1]) >= caught.value.sufficient
    return amount[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "large.zarr"
    zarr.create_array(path, shape=LARGE, chunks=(1024, 1024), dtype="uint8")
    return str(path)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_budget_that_a_plan_asks_for_suffices(kind, source):
    checked = 0
    for name, operation in OPERATIONS.items():
        if operation.kind is not kind:
            continue
        try:
            planned(name, source, "100 TiB")
        except errors.TilewiseError:
            continue  # not without further images or parameters
        amount = refused(name, source)
        plan = planned(name, source, amount)
        assert plan.budget.total <= parse_size(amount)
        with pytest.raises(errors.MemoryBudgetExceeded):  # nor does it ask for much more
            planned(name, source, int(0.96 * (parse_size(amount) - planner.MARGIN)))
        checked += 1
    assert checked > 0


@pytest.fixture
def small_budget(monkeypatch):
    """Plan as if the process took next to nothing, so that small images fill a budget."""
    monkeypatch.setattr(planner, "RUNTIME", 0)
    monkeypatch.setattr(planner, "resident", lambda: MIB)
    monkeypatch.setattr("napari_tilewise.runs.planner.MARGIN", MIB)
    monkeypatch.setattr("napari_tilewise.engine.budget.LEAST_TABLES", MIB // 8)
    monkeypatch.setattr("napari_tilewise.engine.system.total_limits.UNNOTICED", 0)
    monkeypatch.setattr("napari_tilewise.engine.passes.whole_regions.ALWAYS", 0)


@pytest.fixture
def ties():
    """Return a mask, seeds that tie in it, and levels."""
    seeds = np.zeros((512, 512), np.int32)
    seeds[8::16, 8::16] = np.arange(1, 1025).reshape(32, 32)
    return np.zeros(seeds.shape, np.uint8), seeds, np.ones(seeds.shape, bool)


@pytest.fixture
def tied_flood(ties, small_budget, tmp_path, monkeypatch):
    """Return what a flood is run with whose ties only the whole image decides, and its result."""
    levels, seeds, mask = ties
    links = {"markers": "seeds", "mask": "mask"}
    recipe = Recipe([Step("segmentation.watershed", inputs=links)], list(links.values()))
    monkeypatch.setattr(planner, "default_chunks", lambda shape, *_: (64,) * len(shape))
    monkeypatch.setattr("napari_tilewise.operations.segmentation.watershed.REACH", {2: 16})
    options = {"inputs": {"seeds": seeds, "mask": mask}, "workers": 1, "executor": "threads"}
    expected = segmentation.watershed(levels, seeds, mask=mask)
    return recipe, levels, tmp_path / "out.ome.zarr", options, expected


def test_a_fallback_to_the_whole_image_is_planned_for_and_named(tied_flood, monkeypatch):
    """Without the kernel that floods in order, the whole image has to be in memory."""
    recipe, levels, out, options, expected = tied_flood
    for module in ("ordered_flood", "watershed"):
        path = f"napari_tilewise.operations.segmentation.{module}.floods_in_order"
        monkeypatch.setattr(path, lambda call: False)
    with pytest.raises(errors.MemoryBudgetExceeded, match="the whole image at once") as caught:
        tw.run(recipe, levels, out, memory=14 * MIB, **options)
    enough = caught.value.sufficient
    assert enough < 2 * (512 * 512 * 8 * 8.5 + 2 * MIB)  # measured, not a multiple of it
    plan = tw.plan(recipe, levels, memory=enough, **options)
    assert "the whole image at once" in plan.describe()
    tw.run(recipe, levels, out, memory=enough, **options)
    np.testing.assert_array_equal(zarr.open_group(out, mode="r")["0"][:], expected)


@pytest.mark.skipif(not floods_in_order(), reason="kernels are off")
@pytest.mark.parametrize("memory", [7 * MIB, 14 * MIB])
def test_a_flood_in_order_runs_where_the_whole_image_does_not_fit(tied_flood, memory):
    recipe, levels, out, options, expected = tied_flood
    plan = tw.plan(recipe, levels, memory=memory, **options)
    assert plan.budget.total <= memory
    assert "in an order of its own" in plan.describe()
    tw.run(recipe, levels, out, memory=memory, **options)
    np.testing.assert_array_equal(zarr.open_group(out, mode="r")["0"][:], expected)


def test_gathered_numbers_take_what_is_free(small_budget, tmp_path, monkeypatch):
    image = np.zeros((512, 512), np.uint8)
    image[::2, ::2] = 1
    monkeypatch.setattr(planner, "default_chunks", lambda shape, *_: (64,) * len(shape))
    source, out = tmp_path / "a.npy", tmp_path / "out.ome.zarr"
    np.save(source, image)
    options = {"workers": 1, "executor": "threads", "overwrite": True, "resume": False}
    with pytest.raises(errors.MemoryBudgetExceeded, match="of this image take more than") as caught:
        tw.run("measure.label", source, out, memory=5 * MIB, **options)
    tw.run("measure.label", source, out, memory=caught.value.sufficient, **options)
    np.testing.assert_array_equal(zarr.open_group(out, mode="r")["0"][:], measure.label(image))


def test_pairs_of_blobs_are_counted_before_they_are_listed(small_budget, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tilewise.runs.planner.SHORTEST_TILE", {2: 64})
    image = np.random.default_rng(0).random((256, 256)).astype(np.float32)
    np.save(tmp_path / "a.npy", image)
    params = {"min_sigma": 1, "max_sigma": 8, "num_sigma": 3, "threshold": 0.05}
    options = {"workers": 1, "executor": "threads", "overwrite": True, "resume": False}
    run = partial(tw.run, ("feature.blob_log", params), tmp_path / "a.npy", tmp_path / "a.csv")
    with pytest.raises(errors.MemoryBudgetExceeded, match="peaks in space and scale of") as caught:
        run(memory=24 * MIB, **options)
    blobs = run(memory=caught.value.sufficient, **options).value
    np.testing.assert_array_equal(blobs, feature.blob_log(image, **params))


@pytest.mark.parametrize("dense", ["everywhere", "at the start", "at the end"])
def test_a_refusal_of_pieces_comes_early_and_names_no_more_than_it_takes(
    dense, small_budget, tmp_path, monkeypatch
):
    image = np.zeros((1024, 1024), np.uint8)
    rows = {"everywhere": slice(0, 1024), "at the start": slice(0, 128)}.get(
        dense, slice(512, 1024)
    )
    image[rows][::2, ::2] = 1
    monkeypatch.setattr(planner, "default_chunks", lambda shape, *_: (64,) * len(shape))
    source, out = tmp_path / "a.npy", tmp_path / "out.ome.zarr"
    np.save(source, image)
    sizes, tiles = [], []
    check = TotalLimit.check

    def checked(limit, total, merged):
        sizes.append(total.nbytes)
        check(limit, total, merged)

    monkeypatch.setattr(TotalLimit, "check", checked)
    options = {"workers": 1, "executor": "threads", "overwrite": True, "resume": False}
    with pytest.raises(errors.MemoryBudgetExceeded, match="of this image take") as caught:
        tw.run("measure.label", source, out, memory=4 * MIB, progress=tiles.append, **options)
    merged = max(getattr(event, "done", 0) for event in tiles)
    assert merged < (16**2 if dense == "at the end" else 16**2 / 4)
    enough = caught.value.sufficient
    sizes.clear()
    tw.run("measure.label", source, out, memory=enough, **options)
    needed = max(sizes)
    tables = tw.plan("measure.label", source, memory=enough, workers=1, resume=False).budget.tables
    assert needed <= tables < 1.6 * needed + 2 * MIB  # MARGIN, and what a tile's edge adds
    with pytest.raises(errors.MemoryBudgetExceeded):
        tw.run("measure.label", source, out, memory=enough // 2, **options)


def test_the_shell_names_its_own_option(source, tmp_path, capfd):
    assert (
        main(["run", "filters.gaussian", source, str(tmp_path / "o.ome.zarr"), "--memory", "1MiB"])
        == 1
    )
    err = capfd.readouterr().err
    assert re.search(r"Raise --memory to '\d+MiB' or more", err)
    assert "memory=" not in err
