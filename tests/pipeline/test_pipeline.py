"""A recipe's steps pull from those that they name; what is kept changes no pixel, only the work."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from skimage import color, data, feature, filters, measure, morphology, segmentation

import napari_tilewise as tw
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import results_of
from napari_tilewise.errors import InvalidAxes, InvalidParameter, InvalidRecipe
from napari_tilewise.pipeline.apply_recipe import Memo, apply_recipe, keys_of
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images
from napari_tilewise.pipeline.materialize import decide
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.runs import plan
from tests.sources import ArrayLike

COINS = data.coins()[:200, :260]
CHAIN = Recipe(
    [
        ("filters.gaussian", {"sigma": 2}),
        "filters.sobel",
        "filters.threshold_otsu",
        "measure.label",
        ("morphology.remove_small_objects", {"max_size": 30}),
        ("measure.regionprops_table", {"properties": ("label", "area", "bbox")}),
    ]
)
SEEDED = Recipe(
    [
        ("filters.gaussian", {"sigma": 1}),
        Step("filters.sobel", name="edges"),
        Step("filters.threshold_otsu", inputs={"image": "source"}, name="mask"),
        Step("morphology.erosion", {"footprint": {"shape": "disk", "radius": 3}}),
        Step("measure.label", name="seeds"),
        Step(
            "segmentation.watershed",
            inputs={"image": "edges", "markers": "seeds", "mask": "mask"},
        ),
    ]
)


def whole_chain(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what scikit-image gives for `CHAIN`."""
    edges = filters.sobel(filters.gaussian(image, sigma=2))
    labels = measure.label(edges > filters.threshold_otsu(edges))
    labels = morphology.remove_small_objects(labels, max_size=30)
    return measure.regionprops_table(labels, properties=("label", "area", "bbox"))


def whole_seeded(image: np.ndarray) -> np.ndarray:
    """Return what scikit-image gives for `SEEDED`."""
    edges = filters.sobel(filters.gaussian(image, sigma=1))
    mask = image > filters.threshold_otsu(image)
    seeds = measure.label(morphology.erosion(mask, morphology.disk(3)))
    return segmentation.watershed(edges, seeds, mask=mask)


def value(recipe: Recipe, image: Any, keep: dict[int, bool] | None = None, **given_: Any) -> Any:
    """Return the result of a chain with some results kept."""
    images = recipe_images(recipe, image, given_)
    pipeline = bind_recipe(recipe, images, Session(2), tiles=64).with_layout(materialize=keep)
    (result,) = results_of(pipeline.last, eager=True)
    return result.value


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kept", [(), (1,), (0, 1, 2, 3, 4), (2, 3)])
def test_what_is_kept_changes_no_number(kept: tuple[int, ...], in_memory: bool) -> None:
    table = value(CHAIN, COINS, dict.fromkeys(kept, in_memory))
    for key, column in whole_chain(COINS).items():
        np.testing.assert_array_equal(table[key], column)


def test_the_fused_chain_reads_its_source_once_per_pass_that_needs_it() -> None:
    image = np.pad(COINS, ((0, 312), (0, 252)), mode="symmetric")
    source = ArrayLike(image, (64, 64))
    made = plan.plan(CHAIN, source)
    decided = {one.step: one for one in made.decisions}
    assert [decided[n].keep for n in range(5)] == [False, True, True, True, False]
    assert "3 passes, kept in memory" in str(decided[1])
    assert "computed in one with the next" in str(decided[0])
    table = made.last.value()
    for key, column in whole_chain(image).items():
        np.testing.assert_array_equal(table[key], column)
    assert len(source.reads) <= 1.3 * 8 * 8  # of 3 passes that are allowed
    for kept in made.pipeline.materialized.values():
        assert kept.computed == len(kept.grid)  # each tile once


def test_a_result_is_computed_again_where_there_is_no_room(monkeypatch: Any) -> None:
    monkeypatch.setattr("napari_tilewise.pipeline.materialize.free_bytes", lambda disk: 0)
    made = plan.plan(CHAIN, COINS)
    bare = bind_recipe(CHAIN, recipe_images(CHAIN, COINS, None), Session(1))
    assert not any(one.keep for one in decide(bare, 1))
    assert str(decide(bare, 1)[1]) == "5 passes, computed in each"
    assert any(one.keep for one in made.decisions)


def test_cheap_steps_are_not_kept() -> None:
    recipe = Recipe(["util.img_as_float", "filters.threshold_otsu"])
    bare = bind_recipe(recipe, recipe_images(recipe, COINS, None), Session(1))
    assert [one.keep for one in decide(bare, 2**40)] == [False]


@pytest.mark.parametrize("lazy", [False, True])
def test_steps_take_images_from_the_steps_that_they_name(lazy: bool) -> None:
    image = da.from_array(COINS, chunks=70) if lazy else COINS
    (result,) = apply_recipe(SEEDED, image, layout=StackLayout(tiles=80))
    actual = result.value.compute() if lazy else result.value
    np.testing.assert_array_equal(actual, whole_seeded(COINS))


def test_a_graph_runs_into_a_file(tmp_path: Any) -> None:
    done = tw.run(SEEDED, ArrayLike(COINS, (64, 64)), tmp_path / "a.ome.zarr", memory="4 GiB")
    import zarr

    np.testing.assert_array_equal(zarr.open(done.path)["0"][:], whole_seeded(COINS))


def test_inputs_are_given_by_name(tmp_path: Any) -> None:
    recipe = Recipe(
        ["filters.sobel", Step("segmentation.watershed", inputs={"markers": "seeds"})], ["seeds"]
    )
    seeds = morphology.label(COINS > 180)
    expected = segmentation.watershed(filters.sobel(COINS), seeds)
    np.testing.assert_array_equal(value(recipe, COINS, seeds=seeds), expected)
    np.save(tmp_path / "seeds.npy", seeds)
    done = tw.run(
        recipe, COINS, tmp_path / "a.ome.zarr", inputs={"seeds": str(tmp_path / "seeds.npy")}
    )
    import zarr

    np.testing.assert_array_equal(zarr.open(done.path)["0"][:], expected)
    with pytest.raises(InvalidParameter, match="input 'seeds' is missing"):
        tw.run(recipe, COINS, tmp_path / "b.ome.zarr")
    with pytest.raises(InvalidParameter, match=r"no input 'seed'.*Did you mean 'seeds'"):
        tw.run(recipe, COINS, tmp_path / "b.ome.zarr", inputs={"seeds": seeds, "seed": seeds})
    assert not (tmp_path / "b.ome.zarr").exists()


def test_one_of_several_results() -> None:
    recipe = Recipe(
        [
            Step("feature.hessian_matrix", {"sigma": 2}, name="hessian"),
            Step("filters.gaussian", inputs={"image": "hessian[2]"}),
        ]
    )
    expected = filters.gaussian(
        feature.hessian_matrix(COINS, sigma=2, use_gaussian_derivatives=False)[2]
    )
    recipe = recipe.replaced(
        0,
        Step("feature.hessian_matrix", {"sigma": 2, "use_gaussian_derivatives": False}, "hessian"),
    )
    np.testing.assert_array_equal(value(recipe, COINS), expected)
    joined = Recipe(
        [
            Step("segmentation.join_segmentations", inputs={"s2": "other"}, name="joined"),
            Step("segmentation.find_boundaries", inputs={"label_img": "joined"}),
        ],
        ["other"],
    )
    first, second = measure.label(COINS > 100), measure.label(COINS > 150)
    np.testing.assert_array_equal(
        value(joined, first, other=second),
        segmentation.find_boundaries(segmentation.join_segmentations(first, second)),
    )


def test_a_step_that_is_switched_off_hands_on_what_it_would_have_worked_on() -> None:
    off = CHAIN.replaced(1, Step("filters.sobel", enabled=False))
    on = CHAIN.without(1)
    for key, column in value(on, COINS).items():
        np.testing.assert_array_equal(value(off, COINS)[key], column)
    with pytest.raises(InvalidRecipe, match="Every step of the recipe is switched off"):
        value(Recipe([Step("filters.sobel", enabled=False)]), COINS)


def test_each_step_may_run_over_axes_of_its_own() -> None:
    stack = np.stack([COINS, COINS[::-1], 255 - COINS])
    recipe = Recipe([Step("filters.gaussian", {"sigma": 3}, spatial="yx"), Step("filters.sobel")])
    expected = filters.sobel(np.stack([filters.gaussian(plane, sigma=3) for plane in stack]))
    np.testing.assert_array_equal(value(recipe, stack), expected)
    (result,) = apply_recipe(recipe, stack, layout=StackLayout(AxisSelection("zyx")))
    np.testing.assert_array_equal(result.value, expected)
    numbers = recipe.replaced(0, Step("filters.gaussian", {"sigma": 3}, spatial=(-2, -1)))
    np.testing.assert_array_equal(value(numbers, stack), expected)
    with pytest.raises(InvalidAxes, match="names 'z'"):
        apply_recipe(
            recipe.replaced(1, Step("filters.sobel", spatial="zyx")),
            stack,
            layout=StackLayout(AxisSelection("tyx")),
        )


def test_an_axis_that_a_step_does_away_with() -> None:
    recipe = Recipe(["color.rgb2gray", ("filters.gaussian", {"sigma": 2})])
    image = data.astronaut()[:90, :100]
    (result,) = apply_recipe(recipe, image)
    expected = filters.gaussian(color.rgb2gray(image), sigma=2)
    np.testing.assert_allclose(result.value, expected, rtol=0, atol=1e-15)


class TestMemo:
    def applied(self, memo: Memo, recipe: Recipe, image: Any = COINS, **given_: Any) -> list[str]:
        """Return the passes that run, after a look at the result."""
        told: list[str] = []

        def listen(event: Any) -> None:
            if type(event).__name__ == "PassStarted":
                told.append(event.title)

        (result,) = apply_recipe(
            recipe,
            image,
            control=Control(listen),
            memo=memo,
            layout=StackLayout(tiles=64),
            **given_,
        )
        np.testing.assert_equal(result.value, value(recipe, image))
        return told

    def test_only_what_changed_is_computed_again(self) -> None:
        memo = Memo()
        first = self.applied(memo, CHAIN)
        assert any("threshold_otsu" in what for what in first)
        made = memo.results(keys_of(CHAIN, StackLayout(tiles=64)))
        before = {
            n: kept.computed for n, (_, kept) in made.items() if isinstance(kept, Materialized)
        }
        assert sorted(before) == [0, 1, 2, 3, 4]
        edited = CHAIN.replaced(4, ("morphology.remove_small_objects", {"max_size": 90}))
        again = self.applied(memo, edited)
        assert not any("threshold_otsu" in what or "label" in what for what in again)
        assert {n: made[n][1].computed for n in range(4)} == {n: before[n] for n in range(4)}
        assert self.applied(memo, CHAIN) == []  # back again: the table itself is at hand

    def test_an_early_edit_computes_all_that_follows(self) -> None:
        memo = Memo()
        self.applied(memo, CHAIN)
        again = self.applied(memo, CHAIN.replaced(0, ("filters.gaussian", {"sigma": 3})))
        assert any("threshold_otsu" in what for what in again)

    def test_another_image_is_another_thing(self) -> None:
        memo = Memo()
        self.applied(memo, CHAIN)
        again = self.applied(memo, CHAIN, COINS[::-1].copy())
        assert any("threshold_otsu" in what for what in again)

    def test_the_oldest_results_are_forgotten(self) -> None:
        memo = Memo(most_bytes=COINS.nbytes * 8)
        for sigma in range(1, 6):
            recipe = Recipe([("filters.gaussian", {"sigma": sigma}), "filters.sobel"])
            self.applied(memo, recipe)
        assert memo.nbytes <= memo.most_bytes
