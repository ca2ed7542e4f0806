"""How often the gate is wrong, measured: false promotions, power, and what wears a holdout out.

    python bench/decisions.py --out docs/decisions.md          # about five minutes on two cores
    python bench/decisions.py --quick                          # a tenth of the pairs, printed
    python bench/decisions.py --seeds A B --out docs/decisions.md   # two folders of outputs, one training, two seeds

The tables go between the markers of the page. Days are simulated at the scale of the example: the mean difference of 30
days has a standard deviation of 0.0023 to 0.0075 in log loss and 0.0024 to 0.0056 in ROC AUC.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from ratchet import files, gate, metrics
from ratchet.params import Gate

Days = np.ndarray
POLICY = Gate(
    metric="log_loss",
    delta=0.001,
    margin=0.005,
    level=0.05,
    slice_margin=0.02,
    slice_rows=500,
    calibration_slope=(0.1, 10.0),
    bundle_megabytes=50,
)
CLUSTERS = (28, 31, 60)
ERROR = {"Log loss": (0.0023, 0.0043, 0.0075), "ROC AUC": (0.0024, 0.0040, 0.0056)}  # of the mean of 30 days
GAINS = (0.002, 0.005, 0.01)
FAMILY = 20


def independent(rng: np.random.Generator, shape: tuple[int, ...]) -> Days:
    """Normal days, mean 0 and standard deviation 1 like every kind below; the last axis is time."""
    return rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...], sigma: float = 1.0) -> Days:
    """Days with a log-normal tail of harm: rarely, the challenger is much worse."""
    return _tail(rng.normal(size=shape), sigma)


def skewed_for_good(rng: np.random.Generator, shape: tuple[int, ...]) -> Days:
    """Days with a log-normal tail of gain."""
    return -skewed(rng, shape)


def autocorrelated(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> Days:
    """A first-order autoregression: weather lasts."""
    days = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        days[..., t] = rho * days[..., t - 1] + np.sqrt(1 - rho**2) * days[..., t]
    return days


def _tail(normal: Days, sigma: float) -> Days:
    mean, deviation = np.exp(sigma**2 / 2), np.sqrt((np.exp(sigma**2) - 1) * np.exp(sigma**2))
    return (mean - np.exp(sigma * normal)) / deviation


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Days]] = {
    "independent": independent,
    "skewed to harm (log-normal, sigma 1)": skewed,
    "skewed to gain (log-normal, sigma 1)": skewed_for_good,
    "autocorrelated (0.3)": lambda rng, shape: autocorrelated(rng, shape, 0.3),
    "autocorrelated (0.5)": lambda rng, shape: autocorrelated(rng, shape, 0.5),
    "both (0.3, sigma 0.5)": lambda rng, shape: _tail(autocorrelated(rng, shape, 0.3), 0.5),
}


def lower_ends(days: Days, level: float | Days) -> Days:
    """Lower ends of the gate's own intervals of the mean improvement; days (..., G) to (...)."""
    without = (days.sum(axis=-1, keepdims=True) - days) / (days.shape[-1] - 1)
    return metrics.intervals(days.mean(axis=-1), without, level)[0]


def textbook_ends(days: Days, level: float) -> Days:
    """The same by Student's t on G - 1 degrees of freedom and nothing else."""
    error = days.std(axis=-1, ddof=1) / np.sqrt(days.shape[-1])
    return days.mean(axis=-1) - stats.t.ppf(1 - level, days.shape[-1] - 1) * error


def rate(promoted: Days) -> str:
    """A share in per cent with its 95 % Clopper-Pearson interval."""
    found = stats.binomtest(int(promoted.sum()), promoted.size).proportion_ci(0.95, method="exact")
    return f"{100 * promoted.mean():.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def null_pairs(pairs: int, seed: int = 1) -> str:
    """Pairs without a gain worth shipping, at the first look: how often are they promoted?"""
    level, rows = gate.spend(POLICY.level, 1), []
    scale = ERROR["Log loss"][1] * np.sqrt(30)
    for kind, draw in KINDS.items():
        for clusters in CLUSTERS:
            days = scale * draw(np.random.default_rng([seed, clusters]), (pairs, clusters))
            low, textbook = lower_ends(days, level), textbook_ends(days, level)
            rows.append((kind, clusters, rate(low > POLICY.delta), rate(low > 0), rate(textbook > 0)))
    return _table(("days", "clusters", "no gain", "a gain of exactly δ", "the same by Student's t alone"), rows)


def power(pairs: int, seed: int = 2) -> str:
    """How often a true gain is promoted on 30 and 60 independent days."""
    rows = []
    for metric, errors in ERROR.items():
        for error in errors:
            for clusters, look in ((30, 1), (30, 5), (60, 1)):
                level = gate.spend(POLICY.level, look)
                days = error * np.sqrt(30) * independent(np.random.default_rng(seed), (pairs, clusters))
                least = float(np.median([_detectable(one, level) for one in days[:500]]))
                shares = (f"{100 * np.mean(lower_ends(days + g, level) > POLICY.delta):.0f} %" for g in (*GAINS, least))
                *known, at_least = shares
                rows.append((metric, f"{error:.4f}", clusters, look, *known, f"{least:.3f}", at_least))
    heads = ("metric", "sd of the mean of 30 days", "clusters", "look", *(f"gain {gain:g}" for gain in GAINS))
    return _table((*heads, "`detectable`", "found"), rows)


def _detectable(days: Days, level: float) -> float:
    return metrics.detectable((days.sum() - days) / (len(days) - 1), level, POLICY.delta)


def families(count: int, seed: int = 3) -> str:
    """Twenty distinct proposals without merit on one holdout: how often is any promoted?"""
    levels = np.array([gate.spend(POLICY.level, look) for look in range(1, FAMILY + 1)])
    scale, rows = ERROR["Log loss"][1] * np.sqrt(30), []
    for kind, draw in KINDS.items():
        for clusters in CLUSTERS:
            rng = np.random.default_rng([seed, clusters])
            own = scale * draw(rng, (count, FAMILY, clusters))
            shared = (own + scale * draw(rng, (count, 1, clusters))) / np.sqrt(2)  # all meet the same champion
            ends = lower_ends(shared, levels)
            figures = (
                ends > POLICY.delta,
                ends > 0,
                lower_ends(own, levels) > 0,
                lower_ends(shared, POLICY.level) > 0,
            )
            rows.append((kind, clusters, *(rate(promoted.any(axis=1)) for promoted in figures)))
    heads = ("no gain", "a gain of exactly δ", "exactly δ, unrelated proposals", "exactly δ, level not spent")
    return _table(("days", "clusters", *heads), rows)


# The whole path: tables of scores, judged by the gate itself.

MONTH, ROWS_A_DAY = 30, 100


def scores(rng: np.random.Generator, shifts: Days) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of scores of the same rows.

    Both models see the truth blurred a little on each row, each in its own way, and moved by their own `shifts` (2, G)
    on each day, in logits. Shifts of one distribution make two models of equal worth.
    """
    clusters = shifts.shape[1]
    day = np.repeat(np.arange(clusters), ROWS_A_DAY)
    truth = rng.normal(-1.2, 1, day.size)
    labels = (rng.random(day.size) < _expit(truth)).astype(float)
    known = {"row": np.arange(day.size), "cluster": [f"day-{d:03d}" for d in day], "label": labels}
    champion, challenger = (
        pd.DataFrame({**known, "score": _expit(truth + shift[day] + rng.normal(0, 0.1, day.size))}) for shift in shifts
    )
    return champion, challenger


def shifts_of(kind: str, rng: np.random.Generator) -> Days:
    """Daily shifts (2, G) of champion and challenger; a day's loss grows with the square of its shift."""
    if kind == "independent":
        return 0.5 * independent(rng, (2, MONTH))
    if kind.startswith("autocorrelated"):
        return 0.5 + 0.25 * autocorrelated(rng, (2, MONTH), 0.5)  # positive, so that losses last as the shifts do
    return np.stack([np.full(MONTH, 0.5), 0.4 * np.exp(rng.normal(size=MONTH) / 2)])


def side(table: pd.DataFrame, name: str) -> gate.Side:
    """A model with nothing but scores."""
    manifest = {"task": "binary", "target": "label", "threshold": 0.3, "trained_on": {"before": name}}
    return gate.Side(table, {"behaviour": []}, manifest, {"properties": {}}, 1, name)


def judged(kind: str, seed: int) -> tuple[float, float, float]:
    """One pair: improvement, the gate's lower end, and that of a decision by rows."""
    rng = np.random.default_rng([4, seed])
    champion, challenger = scores(rng, shifts_of(kind, rng))
    found = gate.verdict(side(champion, "a"), side(challenger, "b"), {"test": "c"}, POLICY, 1)["primary"]
    labels = champion["label"].to_numpy()
    a, b = (metrics.log_losses(labels, table["score"].to_numpy()) for table in (champion, challenger))
    by_rows = np.mean(a - b) - stats.norm.ppf(1 - gate.spend(POLICY.level, 1)) * np.std(a - b) / np.sqrt(len(a))
    return found["improvement"], found["low"], float(by_rows)


def whole_path(pairs: int, jobs: int) -> str:
    """Tables of scores through `gate.verdict`: how often does the lower end lie above the true gain?

    The true gain of equal models is 0. Models of which one is skewed cannot be equal: theirs is the mean of all pairs.
    """
    rows = []
    for kind in ("independent", "skewed to harm (log-normal, sigma 1)", "autocorrelated (0.5)"):
        found = Parallel(n_jobs=jobs)(delayed(judged)(kind, seed) for seed in range(pairs))
        improvement, low, by_rows = np.array(found).T
        truth = improvement.mean() if kind.startswith("skewed") else 0.0
        rows.append((kind, f"{improvement.std():.4f}", rate(low > truth), rate(by_rows > truth)))
    return _table(("days", "sd of the difference", "by clusters (the gate)", "by rows"), rows)


def two_seeds(champion: Path, challenger: Path) -> str:
    """Two folders of outputs of one training with two seeds: what the gate says of a real, small difference."""
    sides = [_read(folder) for folder in (champion, challenger)]
    test = files.read_json(challenger / "data" / "dataset.json")["test"]
    found = gate.verdict(*sides, {period: entry["sha256"] for period, entry in test.items()}, POLICY, 1)
    rows = [
        (m["title"], *(f"{m[key]:.5f}" for key in ("champion", "challenger", "improvement")), _between(m))
        for m in found["metrics"]
        if m["low"] is not None
    ]
    heads = ("metric", "one seed", "the other", "improvement", "interval")
    return f"{_table(heads, rows)}\n\n> {found['sentence']}"


def _read(folder: Path) -> gate.Side:
    bundle = folder / "bundle"
    return gate.Side(
        files.read_parquet(folder / "evaluation" / "scores.parquet"),
        files.read_json(folder / "evaluation" / "evaluation.json"),
        files.read_json(bundle / "manifest.json"),
        files.read_json(bundle / "schema.json"),
        sum(path.stat().st_size for path in bundle.iterdir()),
        files.sha256(bundle / "manifest.json"),
    )


def _between(record: dict) -> str:
    return f"{record['low']:.5f} to {record['high']:.5f}"


def _expit(x: Days) -> Days:
    return 1 / (1 + np.exp(-x))


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def inserted(page: str, tables: dict[str, str]) -> str:
    """The page with each table between its markers, `<!-- name -->` and `<!-- end of name -->`."""
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page, found = pattern.subn(lambda match, new=table: f"{match[1]}{new}\n{match[2]}", page)
        if found != 1:
            raise SystemExit(f"error: the page has {found} places for the table {name!r}; it must have one")
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print or rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pairs")
    parser.add_argument("--out", type=Path, help="the page whose tables are rewritten (default: print them)")
    parser.add_argument("--seeds", nargs=2, type=Path, metavar=("A", "B"), help="only these two folders of outputs")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one a core)")
    options = parser.parse_args(arguments)
    part = 10 if options.quick else 1
    if options.seeds:
        tables = {"two seeds": two_seeds(*options.seeds)}
    else:
        tables = {
            "null pairs": null_pairs(20_000 // part),
            "whole path": whole_path(2_000 // part, options.jobs),
            "power": power(5_000 // part),
            "families": families(5_000 // part),
        }
    if options.out:
        files.write_text(options.out, inserted(options.out.read_text(encoding="utf-8"), tables))
    else:
        print("\n\n".join(f"## {name}\n\n{table}" for name, table in tables.items()))


if __name__ == "__main__":
    main()
