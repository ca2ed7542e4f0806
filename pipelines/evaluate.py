"""Score the holdout with the bundle, and measure it beside the baselines: `python pipelines/evaluate.py`."""

from pathlib import Path

from ratchet import bundle, data, evaluation, files, params, persistence, training
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem


def main() -> None:
    """Write evaluation/."""
    problem = Problem(params.load().problem)
    holdout = data.load(files.read_json(data.DATASET), "test")
    opened = bundle.load(Path("bundle"))
    fitted = persistence.load(Path("model/baselines.skops"), (problem.name, "ratchet.rows"))
    inputs = holdout.drop(columns=problem.target)
    baselines = {name: training.scores(baseline, inputs, problem.task) for name, baseline in fitted.items()}
    table = evaluation.scores_table(problem, holdout, opened.score, baselines)
    model = evaluation.Model(opened.score, opened.digest, opened.manifest["threshold"])
    evaluation.write(Path("evaluation"), table, evaluation.evaluate(problem, table, holdout, model))


if __name__ == "__main__":
    with told_to_the_user():
        main()
