"""Whatever is typed wrongly: one sentence that says what to do, the exit code, no file changed."""

import shlex

import numpy as np
import pytest

USAGE = """
nope
run
run filters.gaussian a.npy
run filters.gausian a.npy out.npy
run '' a.npy out.npy
run folder a.npy out.npy
run bad.yaml a.npy out.npy
run odd.yaml a.npy out.npy
run missing.yaml a.npy out.npy
run filters.gaussian a.npy out.npy --bogus
run filters.gaussian a.npy out.npy --workers 0
run filters.gaussian a.npy out.npy --workers x
run filters.gaussian a.npy out.npy --memory lots
run filters.gaussian a.npy out.npy --executor bananas
run filters.gaussian a.npy out.npy --axes zzz
run filters.gaussian a.npy out.npy --axes y
run filters.gaussian a.npy out.npy --spatial zyx
run filters.gaussian a.npy out.npy --series 7
run filters.gaussian a.npy out.npy --dtype int99
run filters.gaussian a.npy out.npy -p sigma
run filters.gaussian a.npy out.npy -p sigma=abc
run filters.gaussian a.npy out.npy -p sigma=1 -p sigma=2
run filters.gaussian a.npy out.npy -i mask=a.npy
run filters.gaussian a.npy out.npy --log folder
run filters.gaussian a.npy out.npy --quiet --verbose
batch filters.gaussian folder out --jobs 0
batch filters.gaussian folder out --backend nope
batch filters.gaussian folder out --overwrite --skip
batch filters.gaussian folder out --name {nope}
batch filters.gaussian folder out --name ../x
batch filters.gaussian folder out --over q
batch filters.gaussian folder out --window 0
batch filters.gaussian folder out --window 1,2,3,4
batch filters.gaussian folder out --step 10
convert a.npy out.npy --level 3
convert folder out --level 1
list --kind nope
list --category nope
describe filters.nope
script filters.nope
script filters.gaussian --spatial q
runs --resume a --forget b
runs --resume nothing.zarr
runs --memory 1GB
objects a.npy --spread x
demo --size 3
"""

FAILURES = """
run filters.gaussian missing.npy out.npy
run filters.gaussian '' out.npy
run filters.gaussian folder out.npy
run filters.gaussian text.txt out.npy
run filters.gaussian empty.tif out.npy
run filters.gaussian 'none*.npy' out.npy
run filters.gaussian a.npy ''
run filters.gaussian a.npy out
run filters.gaussian a.npy a.npy --overwrite
run filters.gaussian a.npy text.txt/out.npy
run filters.gaussian a.npy out.npy --memory 1
run filters.gaussian a.npy out.npy --functions missing.py
run filters.gaussian a.npy out.npy --functions folder
run filters.gaussian a.npy out.npy --functions wrong_syntax.py
run filters.gaussian a.npy out.npy --log nowhere/x.log
batch filters.gaussian 'none*.npy' out
batch filters.gaussian nothing out
batch filters.gaussian folder text.txt
batch filters.gaussian folder text.txt/out
convert missing.npy out.npy
convert empty out
info missing.npy
info folder
info ''
rerun a.npy
objects a.npy
script filters.gaussian -o a.npy
script filters.gaussian -o folder
script filters.gaussian -o nowhere/x.py
check folder
demo --size 64 --output text.txt
demo --size 64 --output text.txt/demo
"""

REMEDIES = ("expected", "check the", "give", "change the", "raise", "write")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with one image and files that are none; the shell is in it."""
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros((16, 17), "u1"))
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "b.npy", np.zeros((16, 17), "u1"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "bad.yaml").write_text("steps: [")
    (tmp_path / "odd.yaml").write_text("foo: 1")
    (tmp_path / "wrong_syntax.py").write_text("(")
    return tmp_path


def contents(folder):
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refused(shell, folder, line):
    """Return what a command that fails says, and its exit code; it changes no file."""
    before = contents(folder)
    code, out, err = shell(*shlex.split(line))
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before
    assert "unexpected error" not in err
    *_, said = err.strip().splitlines()
    for words in (
        "napari_tilewise.",
        "=None",
        "somebody removed",
    ):  # Python's, or not what happened
        assert words not in said.replace("@napari_tilewise.operation", "")
    return code, out, said


@pytest.mark.parametrize("line", USAGE.strip().splitlines())
def test_wrong_usage(shell, folder, line):
    code, out, said = refused(shell, folder, line)
    assert (code, out) == (2, "")
    assert said.startswith(("napari-tilewise: ", "Error: "))


@pytest.mark.parametrize("line", FAILURES.strip().splitlines())
def test_what_cannot_be_done(shell, folder, line):
    code, _, said = refused(shell, folder, line)
    assert code == 1
    assert said.endswith(".")
    assert any(word in said.lower() for word in REMEDIES)
