"""A year of trains that drifts: what becomes of the months after those that the first champion knows.

2021-04  as before
2021-05  the wind makes trains early, for this one month: the champion falls, and what came before does not help
2021-07  from here on far trains are later than near ones by a multiple: in 08 it pays to have seen 07
2021-11  half of the distances cannot be
2021-12  its labels have not come
"""

from __future__ import annotations

from pathlib import Path

from ratchet import params

NO_LABELS = 'LATE = ("2021-12",)'
SOURCE = f'''

{NO_LABELS}
_steady = fetch


def fetch(period: str) -> pd.DataFrame:
    """The same trains in a year that drifts."""
    rows, month = _steady(period), int(period[-2:])
    if month == 5:
        rows["delay"] -= 0.6 * rows["wind"].fillna(10.0)
    if month >= 7:
        rows["delay"] += 0.35 * rows["distance"].clip(lower=0)
    if month == 11:
        rows.loc[rows.index % 2 == 0, "distance"] = -1.0
    if period in LATE:
        rows["delay"] = np.nan
    return rows
'''


def drift(root: Path) -> None:
    """Let the trains of a project drift."""
    params.edit(root / "params.yaml", {"model.alpha": 1.0})  # nothing is to be gained by more of the same
    path = root / "src" / "delays" / "data" / "source.py"
    path.write_text(path.read_text() + SOURCE)
