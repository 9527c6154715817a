#!/usr/bin/env bash
# Packages: typer==0.29.2
#
# Seen: Tab completion in fish: the help of an option that is wider than the terminal comes as
# several lines, and fish takes each line for a candidate. After "--", Tab offers the words of help
# texts beside the options, and can insert them.
#
# A good guess: One line for each candidate, with a tab before the description: that is fish's
# format, and typer's code removes line breaks of the help for it (before rich, if it is installed,
# wraps the text again). bash gets names only.
#
# Why it matters: Any command with rich beside typer (typer brings it) and a help text of more than
# the terminal's width is affected. It is seen in a real fish only, at a width that is not the
# developer's; COLUMNS=10000 in the process that completes mends it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "typer==0.29.2"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

print("typer", version("typer"), "- rich", version("rich"))
Path("app.py").write_text(
    """
import typer
from typing import Annotated

app = typer.Typer()

@app.command()
def run(
    memory: Annotated[str, typer.Option(help="The most memory that the run may take, such as "
    "4 GiB; by default half of what is available when it starts, less what is in use.")] = "",
    workers: Annotated[int, typer.Option(help="Number of workers.")] = 1,
): ...

app(prog_name="app")
"""
)


def candidates(columns):
    env = dict(os.environ, _APP_COMPLETE="complete_fish", COLUMNS=str(columns))
    env |= {"_TYPER_COMPLETE_ARGS": "app --", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    run = subprocess.run([sys.executable, "app.py"], env=env, capture_output=True, text=True, check=True)
    return [line.partition("\t")[0] for line in run.stdout.splitlines()]


narrow, wide = candidates(80), candidates(10_000)
print("80 columns:", narrow)
assert wide[:2] == ["--memory", "--workers"]
assert all(name.startswith("--") for name in wide)
assert [name for name in narrow if not name.startswith("--")]
EOF
