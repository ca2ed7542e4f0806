"""What the model sees of a train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CATEGORIES = ("line",)
NUMBERS = ("distance", "wind")


def features(row: Mapping[str, Any]) -> dict[str, Any]:
    """The line, the distance in units of 100 km, and the wind."""
    return {"line": row["line"], "distance": row["distance"] / 100, "wind": row["wind"]}
