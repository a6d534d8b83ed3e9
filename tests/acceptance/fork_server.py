"""A process that has imported everything and forks children for the tests: a start in 20 ms.

As a script it reads one request a line, ``{"kind": …, "jobs": [...]}``, forks one child a job,
waits for all and answers one line: for each child whether it was killed, how it ended and what it
told. `ForkServer` is the tests' end of the pipe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


class ForkServer:
    """The tests' end."""

    def __init__(self, environment=None):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    [str(Path(__file__).resolve().parents[1]), *sys.path]
                ),
                "POLARS_MAX_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                **(environment or {}),
            },
        )
        self.run("walk")

    def start(self, kind, *jobs):
        """Start children; answer what became of them with :meth:`finish`."""
        self._process.stdin.write(json.dumps({"kind": kind, "jobs": jobs}) + "\n")
        self._process.stdin.flush()

    def finish(self):
        """What became of the children started last."""
        ends = json.loads(self._process.stdout.readline())
        for end in ends:
            assert end["killed"] or end["exit"] == 0, end["error"]
        return ends

    def run(self, kind, *jobs):
        """Run children side by side until all have ended."""
        self.start(kind, *jobs)
        return self.finish()

    def close(self):
        """End the server."""
        self._process.communicate(timeout=60)


def main():
    from acceptance.journey import survey, walk, work
    from acceptance.sharing import share

    kinds = {"survey": survey, "walk": walk, "work": work, "share": share}
    for line in sys.stdin:
        request = json.loads(line)
        children = [_begin(kinds[request["kind"]], job) for job in request["jobs"]]
        print(json.dumps([_end(*child) for child in children]), flush=True)


def _begin(action, job):
    errors, path = tempfile.mkstemp()
    told, telling = os.pipe()
    child = os.fork()
    if child:
        os.close(telling)
        os.close(errors)
        return child, told, path, (job.get("kill") or {}).get("seconds")
    os.close(told)
    os.dup2(errors, 2)
    code = 1
    try:
        action(job, telling)
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def _end(child, told, path, seconds):
    lines = []
    with os.fdopen(told) as stream:
        for line in stream:
            lines.append(json.loads(line))
            if seconds is not None and lines[-1] == "last phase":
                # At any instruction, inside the libraries' own threads too.
                time.sleep(seconds)
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    error = Path(path).read_text(errors="replace")
    Path(path).unlink()
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {
        "killed": killed,
        "exit": os.waitstatus_to_exitcode(status),
        "told": lines,
        "error": error[-4000:],
    }


if __name__ == "__main__":
    main()
