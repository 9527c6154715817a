"""What a preview is computed from: a job, its layer, and the part of the layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.layers.regions import Region


@dataclass(frozen=True)
class PreviewSource:
    """What a panel offers for a preview."""

    job: Job
    layer: Layer
    """The layer of the job's source."""
    region: Region = field(default_factory=dict)
    """The part of the layer that the job's source is; empty for all of it."""
    remark: str = ""
    """What the preview leaves out that Apply will do."""
