"""Make the bundle, and prove on every holdout row that it answers as the model does: `python pipelines/export.py`."""

from pathlib import Path

from ratchet import bundle, data, export, files, params, persistence
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem

REQUIREMENTS = {"treelite": Path("environment/scoring.txt"), "skops": Path("environment/scoring-sklearn.txt")}


def main() -> None:
    """Write bundle/, unless parity fails."""
    given = params.load()
    problem = Problem(given.problem)
    dataset = files.read_json(data.DATASET)
    pipeline = persistence.load(Path("model/pipeline.skops"), (given.problem, "ratchet.rows"))
    origin = export.Origin(
        trained_on={period: batch["sha256"] for period, batch in dataset["train"].items()},
        params=given.model_dump(mode="json", include={"train", "model"}),
        threshold=files.read_json(Path("model/training.json"))["threshold"],
    )
    with files.directory(Path("bundle")) as folder:
        export.build(problem, pipeline, origin, REQUIREMENTS, folder)
        export.check_parity(bundle.load(folder), pipeline, data.load(dataset, "test"))


if __name__ == "__main__":
    with told_to_the_user():
        main()
