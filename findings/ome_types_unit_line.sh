#!/usr/bin/env bash
# Packages: ome-types==0.7.0, pint==0.25.3
#
# Seen: In ome-types, a length of one "li" (the line of OME's units, a twelfth of an inch, 2.1 mm)
# is the quantity "one link", a surveyor's 201 mm. The package defines a line as inch / 12, but the
# value that files hold, "li", is looked up by name and is another unit of pint's.
#
# A good guess: The quantity uses the package's own definition, as it does for the point, whose sign
# `pt` means a volume in plain pint.
#
# Why it matters: The conversion succeeds, and is wrong by a factor of 95.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "ome-types==0.7.0" "pint==0.25.3"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from ome_types.model import Pixels, UnitsLength
from ome_types.units import ureg

print("ome-types", version("ome-types"), "- pint", version("pint"))


def millimetres(unit):
    pixels = Pixels(
        dimension_order="XYZCT", type="uint8", size_x=1, size_y=1, size_z=1, size_c=1, size_t=1,
        physical_size_x=1, physical_size_x_unit=unit,
    )
    return pixels.physical_size_x_quantity.to("mm").magnitude


for unit in (UnitsLength.THOU, UnitsLength.LINE, UnitsLength.INCH, UnitsLength.POINT):
    print(f"1 {unit.value:4} ({unit.name}) is {millimetres(unit):.4f} mm")
defined = ureg("1 line").to("mm").magnitude
print(f"the package's own definition of a line: {defined:.4f} mm")
assert UnitsLength.LINE.value == "li"
assert abs(defined - 25.4 / 12) < 1e-9
assert abs(millimetres("li") - 201.168) < 0.01
assert abs(millimetres("in") - 25.4) < 1e-9
assert abs(millimetres("thou") - 0.0254) < 1e-9
assert abs(millimetres("pt") - 25.4 / 72) < 1e-6
EOF
