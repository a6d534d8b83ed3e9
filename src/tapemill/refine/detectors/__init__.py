"""Detectors of known defect patterns, each under its own name."""
