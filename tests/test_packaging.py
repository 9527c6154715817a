"""What other packagers are told is what `pyproject.toml` says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FORGE = {"dask": "dask-core"}
"""Packages that conda-forge calls otherwise."""


def requirements(lines: list[str]) -> dict[str, str]:
    """Return the versions that a list of requirements names, by package."""
    matches = [re.match(r"([\w-]+)(?:\[\w+\])?\s*(.*)", line) for line in lines]
    return {match[1].replace("_", "-").lower(): match[2] for match in matches if match}


def test_the_draft_for_conda_forge_asks_for_the_same_versions() -> None:
    text = (ROOT / "packaging/conda-forge/recipe.yaml").read_text(encoding="utf-8")
    theirs = requirements(yaml.safe_load(text)["requirements"]["run"])
    ours = requirements(PROJECT["project"]["dependencies"])
    assert theirs.pop("python") == PROJECT["project"]["requires-python"]
    assert theirs == {FORGE.get(name, name): version for name, version in ours.items()}


def test_workflows_run_actions_of_one_commit() -> None:
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert workflows
    for workflow in workflows:
        text = workflow.read_text(encoding="utf-8")
        uses = re.findall(r"uses: (.*)", text)
        for action in uses:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action), action
