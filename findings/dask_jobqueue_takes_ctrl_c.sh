#!/usr/bin/env bash
# Packages: dask-jobqueue==0.9.0 distributed==2026.8.0
#
# Seen: `import dask_jobqueue` sets a handler for SIGINT that exits the process without a word, in
# place of whatever handler the program had; in any thread but the main one the import itself raises
# "ValueError: signal only works in main thread of the main interpreter".
#
# A good guess: An import changes nothing of the process, and works in any thread, as that of
# distributed does; the handler is for the module's runners, which a user of SLURMCluster never
# starts.
#
# Why it matters: Programs that compute in a thread of their own (a window, a server, a shell that
# answers Ctrl-C) cannot start a cluster there; where the import comes first in the main thread,
# Ctrl-C raises SystemExit instead of KeyboardInterrupt: nothing that catches the latter runs.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask-jobqueue==0.9.0" "distributed==2026.8.0"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import subprocess
import sys
import threading
from importlib.metadata import version

print("dask-jobqueue", version("dask-jobqueue"), "- distributed", version("distributed"))

errors = []


def in_thread(name):
    try:
        __import__(name)
    except ValueError as error:
        errors.append(str(error))


for name in ("distributed", "dask_jobqueue"):
    thread = threading.Thread(target=in_thread, args=(name,))
    thread.start()
    thread.join()
print("in a thread:", errors)
assert len(errors) == 1
assert errors[0].startswith("signal only works in main thread")

code = """
import signal, distributed
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
import dask_jobqueue
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("KeyboardInterrupt")
except SystemExit:
    print("SystemExit")
"""
output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
print("Ctrl-C after the import:", output.stdout.strip())
assert output.stdout.strip() == "SystemExit"
EOF
