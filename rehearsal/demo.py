"""The story of the README, played on real flights: a champion, and three changes that are judged against it.

    make demo

Everything happens in copies of the repository under build/demo; the working tree is only read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet import files, outputs, params
from ratchet.errors import RatchetError, told_to_the_user

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / "build" / "demo"
DVC = (sys.executable, "-m", "dvc")
CHAMPION_PERIODS = ["2013-01", "2013-02", "2013-03", "2013-04"]
MORE_PERIODS = [*CHAMPION_PERIODS, "2013-05", "2013-06", "2013-07"]


@dataclass(frozen=True)
class Change:
    """One pull request, as a person would propose it.

    Attributes:
        name: Of its folder.
        why: What its author hopes for.
        edits: Dotted keys of params.yaml to new values.
        look: Which distinct model this is that its holdout judges.
    """

    name: str
    why: str
    edits: Mapping[str, Any]
    look: int


CHANGES = (
    Change("more-data", "Train to June, test on July.", {"data.periods": MORE_PERIODS}, look=1),
    Change(
        "crippled",
        "Two leaves and a tenth of the trees: surely enough?",
        {"model.max_leaf_nodes": 2, "model.max_iter": 15},
        look=1,
    ),
    Change("another-seed", "The same model, another seed.", {"train.seed": 1}, look=2),
)


def main() -> None:
    """Build the champion, then judge each change against it."""
    began = time.monotonic()
    shutil.rmtree(STAGE, ignore_errors=True)
    champion = STAGE / "champion"
    copy_project(champion)
    params.edit(champion / "params.yaml", {"data.periods": CHAMPION_PERIODS})
    say("The champion: trained on January to March, tested on April.")
    reproduce(champion)
    commit(champion, "The champion")
    tell_champion(champion)
    for change in CHANGES:
        judge(champion, change)
    say(f"That was the loop, in {time.monotonic() - began:.0f} s. Open a report, or propose a change of your own.")


def judge(champion: Path, change: Change) -> None:
    """Propose a change in a clone, run the pipeline there, and print the verdict."""
    folder = STAGE / change.name
    run(["git", "clone", "--quiet", str(champion), str(folder)])
    share_cache(folder)
    run([*DVC, "checkout", "--quiet"], cwd=folder)
    params.edit(folder / "params.yaml", change.edits)
    say(f"A change: {change.why}")
    reproduce(folder)
    challenger = outputs.find(folder)
    judged_on = outputs.holdout(challenger, None)
    policy = params.load(champion / "params.yaml").gate
    judged = outputs.compare(outputs.find(champion), challenger, judged_on, policy, change.look)
    judged.write(STAGE / "reports" / change.name)
    print(f"  {judged.verdict['sentence']}")
    print(f"  report: {(STAGE / 'reports' / change.name / 'report.html').relative_to(ROOT)}", flush=True)


def tell_champion(champion: Path) -> None:
    """What the champion is worth, beside its baselines."""
    found = files.read_json(champion / "evaluation" / "metrics.json")
    models = {"model": found, **found["baseline"]}
    for name, figures in models.items():
        print(f"  {name:<9} log loss {figures['log_loss']:.4f}   ROC AUC {figures['roc_auc']:.4f}")
    print(f"  model card: {(champion / 'card' / 'card.html').relative_to(ROOT)}", flush=True)


def copy_project(target: Path) -> None:
    """Copy what git would commit now, edits included, to a repository of its own."""
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    run(["git", "init", "--quiet", "--initial-branch", "main"], cwd=target)
    share_cache(target)


def share_cache(folder: Path) -> None:
    """One cache for all proposals, as main's cache is there for every pull request."""
    config = f"[cache]\n    dir = {STAGE / 'cache'}\n"
    (folder / ".dvc" / "config.local").write_text(config)


def commit(folder: Path, message: str) -> None:
    """Commit everything, as nobody in particular."""
    run(["git", "add", "--all"], cwd=folder)
    author = ["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid", "-c", "commit.gpgsign=false"]
    run(["git", *author, "commit", "--quiet", "--no-verify", "--message", message], cwd=folder)


def reproduce(folder: Path) -> None:
    """`dvc repro`, its output in a log; a line for each stage that ran."""
    began = time.monotonic()
    log = folder.parent / f"{folder.name}.log"
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with (
        log.open("w") as file,
        subprocess.Popen([*DVC, "repro"], cwd=folder, env=environment(folder), **pipes) as process,
    ):
        for line in process.stdout or ():
            file.write(line)
            if line.startswith("Running stage"):
                print(f"  {time.monotonic() - began:5.1f} s  {line.split(chr(39))[1]}", flush=True)
    if process.returncode:
        tail = "\n".join(log.read_text().strip().splitlines()[-3:])
        raise RatchetError(
            f"dvc repro failed in {folder.relative_to(ROOT)}; its log is {log.relative_to(ROOT)}\n{tail}"
        )


def environment(folder: Path) -> dict[str, str]:
    """Ours, with this interpreter's programs and the folder's own code first, and a tracking store of the demo's."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    store = f"sqlite:///{STAGE / 'mlflow.db'}"
    code = str(folder / "src")
    return {**os.environ, "PATH": path, "PYTHONPATH": code, "MLFLOW_TRACKING_URI": store, "DVC_NO_ANALYTICS": "true"}


def run(command: list[str], cwd: Path | None = None) -> str:
    """Run a program that should not fail; its output, or its last word as an error."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"`{' '.join(command[:3])}` failed: {done.stderr.strip()}")
    return done.stdout


def say(text: str) -> None:
    """A paragraph of the story."""
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    with told_to_the_user():
        main()
