"""What any sane model of coins does."""

from ratchet.problem import Case


def behaviour() -> list[Case]:
    """One expectation of each kind."""
    return [
        Case(
            "another number",
            "invariance",
            "The number of a throw is a name",
            change=lambda rows: rows.assign(throw=rows["throw"] + 1),
        ),
        Case(
            "harder",
            "direction",
            "A force of 9 makes more heads than one of 3",
            change=lambda rows: rows.assign(force=9.0),
            where=lambda rows: rows["force"].lt(3),
            direction="rises",
            tolerance=0.1,
        ),
        Case(
            "weak",
            "minimum",
            "Weak throws of tin rarely land on their head",
            where=lambda rows: rows["force"].lt(3) & rows["metal"].eq("tin"),
            high=0.3,
        ),
    ]
