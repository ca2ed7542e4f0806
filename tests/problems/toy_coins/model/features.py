"""Features of a throw."""

from collections.abc import Mapping
from typing import Any


def features(row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns or one row."""
    return {"metal": row["metal"], "side": row["side"], "force": row["force"], "spin": row["force"] * row["turns"]}
