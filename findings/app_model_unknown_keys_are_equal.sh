#!/usr/bin/env bash
# Packages: app-model==0.5.1
#
# Seen: app-model's `KeyBinding.from_str` takes a key name that it does not know, such as
# "Ctrl+Plus" or "Ctrl+Num1", without a word as Ctrl and an unknown key. All such bindings are one:
# they are equal, have one number and are written as "Ctrl+". "Ctrl++" is among them, though
# "Ctrl+=" and "Ctrl+-" are not.
#
# A good guess: A name that is not in the table of keys raises an error, as other input that cannot
# be represented does.
#
# Why it matters: A misspelt shortcut in a plugin's manifest is no shortcut, and two of them look
# like a conflict between two commands that share a key.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "app-model==0.5.1"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from app_model.types import KeyBinding, KeyCode

print("app-model", version("app-model"))
bindings = {text: KeyBinding.from_str(text) for text in ("Ctrl+Plus", "Ctrl+Num1", "Ctrl+Oops", "Ctrl++", "Ctrl+=", "Ctrl+-")}
for text, binding in bindings.items():
    print(f"{text:10} is read as {binding.part0.key!r}, written as {str(binding)!r}, number {int(binding)}")
for text in ("Ctrl+Plus", "Ctrl+Num1", "Ctrl+Oops", "Ctrl++"):
    assert bindings[text].part0.key is KeyCode.UNKNOWN
    assert bindings[text] == bindings["Ctrl+Oops"] and int(bindings[text]) == int(bindings["Ctrl+Oops"])
    assert str(bindings[text]) == "Ctrl+"
for text in ("Ctrl+=", "Ctrl+-"):
    assert bindings[text].part0.key is not KeyCode.UNKNOWN and str(bindings[text]) == text
try:
    int(KeyBinding.from_str("A B C"))
except NotImplementedError as error:
    print("the number of 'A B C':", error)
else:
    raise SystemExit("a chord of three parts has a number")
EOF
