"""What any sane model of pots does."""

from ratchet.problem import Case


def behaviour() -> list[Case]:
    """One expectation."""
    return [
        Case(
            "another number",
            "invariance",
            "The number of a pot is a name",
            change=lambda rows: rows.assign(pot=rows["pot"] + 1),
        )
    ]
