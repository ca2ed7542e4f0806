"""Segments of pots."""

SLICES = {"glaze": lambda rows: rows["glaze"]}
