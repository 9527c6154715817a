#!/usr/bin/env bash
# Packages: polars==2.1.0
#
# Seen: `polars.mean_horizontal` of two uint8 columns with 200 and 100 is 22.0: the columns are added
# in their own type before they are divided, and the sum of 300 has become 44. The result is a
# float64. `sum_horizontal` wraps too; `Series.dot` of uint8 as well.
#
# A good guess: 150.0, as polars itself computes down a column: `Series.sum` and `Series.mean` of
# small integers widen, and `cum_sum` and `group_by(...).agg(sum)` do.
#
# Why it matters: Channels of an 8-bit image, or replicates of a count, stand in columns; their mean
# looks plausible and is wrong wherever the sum passes 255.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "polars==2.1.0"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import polars

print("polars", polars.__version__)
table = polars.DataFrame(
    {"red": [200], "green": [100]}, schema={"red": polars.UInt8, "green": polars.UInt8}
)
row = table.select(
    mean=polars.mean_horizontal("red", "green"), sum=polars.sum_horizontal("red", "green")
)
column = polars.Series([200, 100], dtype=polars.UInt8)
print("across columns: mean", row["mean"][0], row["mean"].dtype, "sum", row["sum"][0])
print("down a column:  mean", column.mean(), "sum", column.sum())
assert row["mean"].dtype == polars.Float64
assert row["mean"][0] == 22
assert row["sum"][0] == 44
assert column.mean() == 150
assert column.sum() == 300
assert column.dot(column) == (200 * 200 + 100 * 100) % 256
EOF
