"""MLflow's registry out of the releases: a version for each, with its bundle and figures; the newest is the champion.

A runner's own `mlflow.db` is lost with it, and loses nothing: what was released says all that the registry held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import bundle, evaluation, files, ledger, params, release, tracking
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.forge import Forge, Release

CARD = "card.md"


def sync(forge: Forge, root: Path = Path(), echo: Callable[[str], None] = print) -> None:
    """Register every release that the registry lacks, oldest first, and make the newest the champion.

    Args:
        forge: With a token that reads.
        root: The project.
        echo: Gets one line for each release that was registered.

    Raises:
        RatchetError: A release cannot be read, or MLflow cannot be reached.
    """
    given = params.load(root / "params.yaml")
    known = {version.digest for version in tracking.versions(root)}
    entries = ledger.Ledger(forge).listing().releases()
    published = {found.tag: found for found in forge.releases() if not found.draft}
    for entry in entries:
        if entry["model_digest"] not in known and entry["tag"] in published:
            with TemporaryDirectory() as scratch:
                said = _outputs(forge, published[entry["tag"]], entry, Path(scratch), given.problem)
                recorded = tracking.store(root, Path(scratch), said, given.tracking.experiment, None)
            known.add(entry["model_digest"])
            echo(f"{entry['tag']}: {recorded}")
    if entries:
        champion = tracking.promote(entries[-1]["model_digest"], root)
        echo(f"{entries[-1]['tag']} is the champion, version {champion.version}")


def _outputs(forge: Forge, found: Release, entry: Mapping[str, Any], folder: Path, problem: str) -> tracking.Outputs:
    """What a release says, with its files where MLflow takes them from."""
    release.unpack(_fetched(forge, found, release.BUNDLE, folder / release.BUNDLE), folder / "bundle")
    opened = bundle.load(folder / "bundle")
    if opened.digest != entry["model_digest"]:
        raise RatchetError(f"release {found.tag}: holds another model than the ledger says\nit is not registered")
    evaluated = files.read_json(_fetched(forge, found, "evaluation.json", folder / "evaluation" / "evaluation.json"))
    dataset = files.read_json(_fetched(forge, found, "dataset.json", folder / "dataset.json"))
    _fetched(forge, found, CARD, folder / "card" / "MODEL_CARD.md")
    made_from = params.flattened({**opened.manifest["made_from"]["params"], "threshold": opened.manifest["threshold"]})
    return tracking.Outputs(
        problem=problem,
        model_digest=opened.digest,
        lock_digest=entry["lock_digest"],
        commit=entry["sha"],
        params={name: value if isinstance(value, str) else json.dumps(value) for name, value in made_from.items()},
        metrics={
            name: float(value)
            for name, value in params.flattened(evaluation.flat(evaluated)).items()
            if isinstance(value, int | float)
        },
        datasets={
            (context, period): facts
            for context, part in (("training", "train"), ("testing", "test"))
            for period, facts in sorted(dataset[part].items())
        },
    )


def _fetched(forge: Forge, found: Release, name: str, path: Path) -> Path:
    asset = found.asset(name)
    if asset is None:
        raise RatchetError(f"release {found.tag}: has no {name}\nit is not registered")
    path.parent.mkdir(parents=True, exist_ok=True)
    forge.download_asset(asset, path, release.LARGEST_BUNDLE)
    return path
