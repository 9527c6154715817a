#!/usr/bin/env bash
# Packages: napari==0.9.2, pint==0.25.3, numpy==2.4.6
#
# Seen: A napari layer whose `units` are "10*um" has micrometer as its unit, with the scale as it was: the
# factor 10 is gone, without a warning. "10*um" and "um" layers lie one on the other in world
# coordinates although they differ by ten. A unit such as "micron" stays; pint's short form of it is
# "µ", without the metre.
#
# A good guess: The factor goes into the scale, or the text is refused, as it is a quantity and no unit:
# pint itself reads "10*um" as 10 micrometer.
#
# Why it matters: Files state pixel sizes as "0.5 um" or "10 * nm" in one text. What is passed on as
# the unit is accepted, and every scale bar and measurement is wrong by the factor.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "napari==0.9.2" "pint==0.25.3" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import pint
from napari.layers import Image

print(*(f"{name} {version(name)}" for name in ("napari", "pint")), sep=", ")
pixels = np.zeros((4, 5))
plain = Image(pixels, units=("um", "um"))
tenfold = Image(pixels, units=("10*um", "10*um"))
for layer, text in ((plain, "um"), (tenfold, "10*um")):
    print(f"{text!r}: units {layer.units}, scale {layer.scale}, extent {layer.extent.world[1]}")
assert tenfold.units == plain.units
assert (tenfold.scale == plain.scale).all()
assert (tenfold.extent.world == plain.extent.world).all()

quantity = pint.get_application_registry()("10*um")
print("pint reads", quantity)
assert quantity.to("um").magnitude == 10

micron = Image(pixels, units=("micron", "micron")).units[0]
print(f"short form of {micron}: {micron:~P}")
assert f"{micron:~P}" == "µ"
EOF
