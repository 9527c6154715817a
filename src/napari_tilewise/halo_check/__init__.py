"""The smallest halo of a user's function is measured, and compared with the declared one.

An image is cut; the distance from the cut up to which results differ from the whole image's is the
halo that the function needs. Nothing about the function is assumed: it is only called.
"""

from __future__ import annotations

from napari_tilewise.halo_check.check import check, findings
from napari_tilewise.halo_check.verdict import HaloFinding, Verdict

__all__ = ["HaloFinding", "Verdict", "check", "findings"]
