#!/usr/bin/env bash
# Packages: typer==0.29.2 click==8.3.1 (and zsh, from the system)
#
# Seen: In zsh, the first Tab in each new shell completes nothing and rings the bell. The second Tab
# works, and all later ones do.
#
# A good guess: Completion that `--install-completion` installed works from the first Tab on, as it
# does in bash and fish, and with click, whose completion typer extends.
#
# Why it matters: Who tries completion once in a fresh terminal concludes that it was not installed.
# zsh loads the file below ~/.zfunc when the first Tab calls it; typer's script defines and registers
# a function there, but does not call it. click's script asks `$zsh_eval_context` and calls it.
set -euo pipefail

command -v zsh >/dev/null || { echo "zsh is not installed" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "typer==0.29.2" "click==8.3.1"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import os
import pty
import select
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

print("typer", version("typer"), "- click", version("click"))
zsh = subprocess.run(["zsh", "--version"], capture_output=True, text=True, check=True)
print(zsh.stdout.strip())

COMMANDS = "\n".join(f"@app.command()\ndef {name}(): ...\n" for name in ("galaxies", "stars"))
APPS = {
    "with-typer": "import typer\napp = typer.Typer()\n",
    "with-click": "import click\n@click.group()\ndef app(): ...\n",
}
home = Path.cwd() / "home"
(home / ".zfunc").mkdir(parents=True)
(home / ".zshrc").write_text("PS1='> '\nfpath+=~/.zfunc; autoload -Uz compinit; compinit -u\n")
bin_ = Path(sys.executable).parent
env = {"HOME": str(home), "PATH": f"{bin_}:/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"}
for name, text in APPS.items():
    script = bin_ / name
    script.write_text(f"#!{sys.executable}\n{text}{COMMANDS}\napp(prog_name='{name}')\n")
    script.chmod(0o755)
source = env | {"_WITH_CLICK_COMPLETE": "zsh_source"}
made = subprocess.run(["with-click"], env=source, capture_output=True, text=True, check=True)
(home / ".zfunc" / "_with-click").write_text(made.stdout)
install = env | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # nobody's shell but zsh
subprocess.run(["with-typer", "--install-completion", "zsh"], env=install, check=True)


def until_quiet(terminal, seconds):
    """Return what is printed until nothing has come for some seconds."""
    text = b""
    while select.select([terminal], [], [], seconds)[0]:
        try:
            text += os.read(terminal, 4096)
        except OSError:
            break
    return text.decode(errors="replace")


def tabs(command):
    """Return what each of two Tabs in a new zsh prints after `command gal`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-i"], env)
    until_quiet(terminal, 5)
    os.write(terminal, f"{command} gal".encode())
    until_quiet(terminal, 2)
    printed = []
    for _ in range(2):
        os.write(terminal, b"\t")
        printed.append(until_quiet(terminal, 10))
    os.write(terminal, b"\x15exit\n")
    time.sleep(1)
    os.close(terminal)
    os.waitpid(pid, 0)
    return printed


for name in APPS:
    first, second = tabs(name)
    print(f"{name} gal<Tab><Tab>: {first!r} {second!r}")
    if name == "with-click":
        assert "axies" in first, "click's first Tab does not complete"
    else:
        assert "axies" not in first, "typer's first Tab completes"
        assert "axies" in second, "typer's second Tab does not complete"
EOF
