"""Pools of processes end whatever their processes compute, and whatever is still to be computed."""

from __future__ import annotations

import pytest
from joblib.externals.loky.process_executor import ShutdownExecutorError

from napari_tilewise.engine.system import subprocesses


def test_a_pool_ends_while_tasks_wait_for_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """loky's thread looks for waiting tasks after it has forgotten them, if there is room then."""
    pool = subprocesses.pool(1)
    assert pool.submit(abs, -1).result() == 1
    monkeypatch.setattr(pool._call_queue, "full", lambda: not pool._flags.kill_workers)
    waiting = [pool.submit(abs, number) for number in range(5)]
    thread = pool._executor_manager_thread
    subprocesses.end(pool)
    assert not thread.is_alive()
    for future in waiting:
        with pytest.raises(ShutdownExecutorError):
            future.result()
