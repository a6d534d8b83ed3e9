"""Tapemill."""
