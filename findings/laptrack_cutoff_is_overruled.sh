#!/usr/bin/env bash
# Packages: laptrack==0.17.1, pandas==3.1.1, numpy==2.4.6
#
# Seen: `LapTrack(cutoff=25)`, a limit of 5 pixels per frame in squared distances, still links spots of consecutive
# frames that are 14 pixels apart. What the first step refuses, the closing of gaps does: it takes the next frame for
# a gap of one, up to its own cutoff, which stays at 15 squared. With `gap_closing_cutoff` at 25 too, or False, the
# limit holds.
#
# A good guess: Spots of consecutive frames are linked up to `cutoff`; `gap_closing_cutoff` is for tracks that miss a
# frame in between.
#
# Why it matters: Lowering the cutoff for slow cells changes nothing up to 15 pixels, so neighbours are joined to
# one track with a jump: lifetimes are too long, divisions and deaths too few, speeds too large.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "laptrack==0.17.1" "pandas==3.1.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" -W ignore - <<'EOF'
from importlib.metadata import version

import pandas as pd
from laptrack import LapTrack

print("laptrack", version("laptrack"))


def tracks(distance, frames=(0, 1), **options):
    """How many tracks two spots make."""
    spots = pd.DataFrame({"frame": frames, "x": [0.0, distance], "y": [0.0, 0.0]})
    found = LapTrack(**options).predict_dataframe(spots, ["x", "y"], frame_col="frame", only_coordinate_cols=False)
    return found[0]["track_id"].nunique()


distances = (4, 6, 10, 14, 16)
settings = {
    "cutoff=25": {"cutoff": 25},
    "cutoff=25, gap_closing_cutoff=25": {"cutoff": 25, "gap_closing_cutoff": 25},
    "cutoff=25, gap_closing_cutoff=False": {"cutoff": 25, "gap_closing_cutoff": False},
}
numbers = {name: [tracks(distance, **options) for distance in distances] for name, options in settings.items()}
print("distance from frame 0 to 1", distances)
for name, found in numbers.items():
    print(f"{name:37} tracks: {found}")
first, second, third = numbers.values()
assert first == [1, 1, 1, 1, 2]
assert second == third == [1, 2, 2, 2, 2]

# A gap of 1 frame is no frame missed: it links consecutive frames again, and bridges no missing one.
assert tracks(14, cutoff=25, gap_closing_max_frame_count=1) == 1
assert tracks(4, frames=(0, 2), cutoff=25, gap_closing_max_frame_count=1) == 2
assert tracks(14, cutoff=25, gap_closing_max_frame_count=0) == 2
EOF
