"""Sessions that only the collector ends, at its own thresholds: none deadlocks, each ends once, memory is bounded."""

import json
import os
import subprocess
import sys
from pathlib import Path

from endurance.plan import IS_FULL


# Without the hand-over, one of the first few hundred deadlocks.
SESSIONS = 20_000 if IS_FULL else 1_000
MOST_GROWTH = 32 * 1024 * 1024


def test_sessions_that_hold_themselves_and_a_stream_all_end() -> None:
    completed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from endurance.scripts.collector import main; main()", str(SESSIONS)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "BRAINTRUST_SYNC_FLUSH": "1"},
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    seen = json.loads(completed.stdout)
    assert (seen["begun"], seen["ended"], seen["open"]) == (SESSIONS, SESSIONS, 0)
    assert seen["grown"] < MOST_GROWTH
