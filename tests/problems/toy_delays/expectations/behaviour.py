"""What any sane model of delays does."""

from ratchet.problem import Case


def behaviour() -> list[Case]:
    """One expectation of each kind."""
    return [
        Case(
            "another number",
            "invariance",
            "The number of a train is a name",
            change=lambda rows: rows.assign(train=rows["train"] + 100),
        ),
        Case(
            "a longer way",
            "direction",
            "100 km more make a train later, by at least a minute",
            change=lambda rows: rows.assign(distance=rows["distance"] + 100),
            direction="rises",
            tolerance=1.0,
        ),
        Case(
            "short and calm",
            "minimum",
            "Short ways without wind are no more than ten minutes late",
            where=lambda rows: rows["distance"].lt(30) & rows["wind"].lt(5),
            high=10.0,
        ),
    ]
