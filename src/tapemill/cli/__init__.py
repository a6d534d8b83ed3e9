"""The command line: one file a verb, each thin, each importing its rooms only when it runs.

In: arguments. Out: tables for people, ``--json`` for machines, exit codes 0 ok, 1 check failed,
2 usage, 3 data or vendor fault.
"""

from __future__ import annotations

from tapemill.cli.app import main

__all__ = ["main"]
