#!/usr/bin/env bash
# Packages: app-model==0.5.1
#
# Seen: The text of an app-model expression loses its parentheses: `(a or b) and c` is written as `a
# or b and c`, which is another condition, and `not (a and b)` as `not a and b`. Evaluated as an
# object the expression is right; evaluated from its own text it is not.
#
# A good guess: `parse_expression(str(expression))` is the same expression, as with Python's own
# `ast.unparse`.
#
# Why it matters: Conditions of menus and keys (`when`, `enablement`) that are written to a
# manifest, a settings file or a message and read again enable commands where they must not, or hide
# them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "app-model==0.5.1"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import ast
from itertools import product

from app_model.expressions import Name, parse_expression

print("app-model", version("app-model"))
a, b, c = Name("a"), Name("b"), Name("c")


def disagreements(expression):
    again = parse_expression(str(expression))
    return [
        values
        for values in product((False, True), repeat=3)
        if bool(expression.eval(dict(zip("abc", values)))) != bool(again.eval(dict(zip("abc", values))))
    ]


for text in ("(a or b) and c", "not (a and b)", "a and (b or c)"):
    expression = parse_expression(text)
    print(f"{text:15} is written as {str(expression):13} - contexts that differ:", len(disagreements(expression)), "of 8")
    assert disagreements(expression)
    assert ast.unparse(ast.parse(text)) == text
assert str((a | b) & c) == "a or b and c" and disagreements((a | b) & c)
# The object itself is right, and a text that needs no parentheses survives.
assert not ((a | b) & c).eval({"a": True, "b": False, "c": False})
assert not disagreements(parse_expression("a or b and not c"))
number = parse_expression("(a + b) * c")
assert number.eval({"a": 1, "b": 2, "c": 3}) == 9
assert parse_expression(str(number)).eval({"a": 1, "b": 2, "c": 3}) == 7
print("(1 + 2) * 3 is 9, and 7 from its own text")
EOF
