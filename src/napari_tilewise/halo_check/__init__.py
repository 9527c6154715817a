"""Measures the smallest halo of a user's function, and says whether the declared one is right.

An image is cut; how far from the cut the results differ from the whole image's is the halo that the
function needs. No knowledge of the function goes into it, only calls.
"""

from __future__ import annotations

from napari_tilewise.halo_check.check import check, findings
from napari_tilewise.halo_check.verdict import HaloFinding, Verdict

__all__ = ["HaloFinding", "Verdict", "check", "findings"]
