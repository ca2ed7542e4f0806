"""Segments of trains."""

SLICES = {"line": lambda rows: rows["line"]}
