"""Refine: bronze into silver and reference tables, and the verdict on them.

In: bronze tables, the ledger and the exchange calendar of a lake. Out: versioned silver and
reference tables (:func:`build`), coverage and named findings (:func:`check`). The kernels are pure
functions of frames; only `build` writes.
"""

from __future__ import annotations

from tapemill.refine.build import BuildReport, TargetReport, build
from tapemill.refine.check import CheckReport, check
from tapemill.refine.detectors import Finding
from tapemill.refine.recipes import RECIPES

__all__ = [
    "RECIPES",
    "BuildReport",
    "CheckReport",
    "Finding",
    "TargetReport",
    "build",
    "check",
]
