#!/usr/bin/env bash
# Packages: joblib==1.6.0
#
# Seen: `shutdown(kill_workers=True)` of loky's executor, while short tasks wait for a process, ends its
# managing thread with a KeyError: the thread forgets the waiting tasks, and then fills the queue to
# the processes with them if there is room. Python prints the traceback from the thread; the call
# itself returns, and the waiting futures have their exception.
#
# A good guess: Ending an executor with tasks that wait is what the option is for: nothing is printed,
# as in `concurrent.futures` with `cancel_futures=True`.
#
# Why it matters: An application whose Cancel ends its processes shows a traceback to its users, now
# and then; under pytest, where exceptions of threads are errors, tests fail at random.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "joblib==1.6.0"
cd "$folder"

cat >ends.py <<'EOF'
import concurrent.futures
import threading
import time

import joblib
from joblib.externals.loky import process_executor

TRIES = 20


def errors_of(executor_type, **ends):
    """The errors that a thread ended with, in the first of some tries that has one."""
    errors = []
    threading.excepthook = lambda failure: errors.append(failure.exc_type.__name__)
    for attempt in range(TRIES):
        pool = executor_type(2)
        tasks = [pool.submit(time.sleep, 0.002) for _ in range(2000)]
        tasks[20 + attempt].result()
        pool.shutdown(wait=True, **ends)
        assert all(task.done() for task in tasks)
        if errors:
            break
    print(executor_type.__module__, ends, f"errors of threads in {attempt + 1} tries:", errors)
    return errors


if __name__ == "__main__":
    print("joblib", joblib.__version__)
    assert errors_of(process_executor.ProcessPoolExecutor, kill_workers=True) == ["KeyError"]
    assert not errors_of(concurrent.futures.ProcessPoolExecutor, cancel_futures=True)
EOF
"$folder/venv/bin/python" ends.py
