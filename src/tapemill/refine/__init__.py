"""Refine: bronze into silver and reference tables, and the verdict on them."""
