"""What could happen to pots."""

from ratchet.backtest.shifts import Shift


def shifts() -> list[Shift]:
    """A meaning, a category, and a slope."""
    return [
        Shift("turned", "pots crack that did not", lambda rows, _: rows.assign(cracked=1 - rows["cracked"])),
        Shift("no blue", "blue pots are no longer made", lambda rows, _: rows[rows["glaze"] != "blue"]),
        Shift("hotter", "the kiln gets hotter", _hotter, gradual=True),
    ]


def _hotter(rows, strength):
    return rows.assign(heat=rows["heat"] + 2 * strength)
