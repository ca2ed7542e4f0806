"""Fit the model and its baselines, and choose the operating threshold: `python pipelines/train.py`, about 10 s."""

from pathlib import Path

from ratchet import data, files, params, persistence, training
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem


def main() -> None:
    """Write model/: the fitted pipeline, the fitted baselines, and the figures of the folds."""
    given = params.load()
    trained = training.train(Problem(given.problem), given, data.load(files.read_json(data.DATASET), "train"))
    with files.directory(Path("model")) as folder:
        persistence.dump(trained.pipeline, folder / "pipeline.skops")
        persistence.dump(dict(trained.baselines), folder / "baselines.skops")
        files.write_json(folder / "training.json", trained.training_json)


if __name__ == "__main__":
    with told_to_the_user():
        main()
