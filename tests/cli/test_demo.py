"""The demo proves what it claims, on a real image, and touches nothing but its own folder."""

import subprocess
import sys

import numpy as np
import pytest
import zarr

from napari_tilewise import errors
from napari_tilewise.cli import main
from napari_tilewise.cli import run_demo as demo

SIZE = 700


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return demo.run_demo(SIZE, tmp_path_factory.mktemp("demo") / "out")


def test_tiled_equals_whole(done):
    assert done.equal, done.difference
    assert done.objects > 50
    labels = zarr.open_group(done.labels, mode="r")["0"][...]
    source = zarr.open_array(done.source, mode="r")[...]
    np.testing.assert_array_equal(labels, demo.whole(source))


def test_it_says_what_it_measured(done):
    text = done.summary()
    amounts = (f"{SIZE} x {SIZE}", str(done.objects), "iB (budget ")
    for words in (*amounts, "bit for bit", str(done.labels)):
        assert words in text


def test_the_image_is_the_photograph_continued_by_its_mirror():
    image = demo.photograph()
    rows, columns = image.shape
    big = demo.mirrored(image, 2100, slice(0, 2100))
    np.testing.assert_array_equal(big[:rows, :columns], image)
    np.testing.assert_array_equal(big[rows : 2 * rows, :columns], image[::-1])
    np.testing.assert_array_equal(big[:rows, columns : 2 * columns], image[:, ::-1])
    np.testing.assert_array_equal(demo.mirrored(image, 2100, slice(900, 950)), big[900:950])


def test_a_second_demo_replaces_the_first(done):
    again = demo.run_demo(SIZE // 2, done.source.parent)
    assert again.equal
    assert again.shape == (SIZE // 2, SIZE // 2)


def test_a_folder_with_other_things_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["demo", "--size", "128", "--output", str(tmp_path)]) == 1
    assert "--output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_difference_is_said_and_is_exit_code_1(tmp_path, capsys, monkeypatch):
    right = demo.whole

    def wrong(image):
        labels = right(image)
        labels[5, 7] += 1
        return labels

    monkeypatch.setattr(demo, "whole", wrong)
    assert main(["demo", "--size", "128", "--output", str(tmp_path / "out")]) == 1
    assert "1 pixels, the first at (5, 7)" in capsys.readouterr().out


def test_view_without_napari_names_the_extra(done, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(errors.MissingExtra, match=r"napari-tilewise\[all\]"):
        demo.show(done)
    # ... before minutes of computing.
    assert main(["demo", "--view", "--output", str(tmp_path / "out")]) == 1
    assert "--view needs napari" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_needs_neither_pooch_nor_napari(tmp_path):
    code = (
        "import sys; sys.modules['pooch'] = sys.modules['napari'] = None\n"
        "from napari_tilewise.cli import main\n"
        f"sys.exit(main(['demo', '--size', '256', '--output', {str(tmp_path / 'out')!r}]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert "bit for bit" in out.stdout
    assert "Traceback" not in out.stderr
