"""A forge in the middle of a story: a release, a merged, a blocked, a waiting and a fork's pull request."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearsal.forge import BOT, Artifact, Asset, CheckRun, Comment, Forge, Issue, Job, Pull, Release, Run, Status
from rehearsal.forge.git import Entry, Person

NAME = "ada/flights"
START = datetime.datetime(2026, 11, 24, 9, 0, 0, tzinfo=datetime.UTC)
WORKFLOW = """\
name: maintainer
on:
  workflow_dispatch:
    inputs:
      action: {description: What to do, type: choice, options: [accept, adopt, refresh], required: true}
      pull_request: {description: Number of the pull request, required: true}
      reason: {description: Why, default: ""}
jobs: {}
"""
README = """\
# Flights

See [the decisions](docs/decisions.md) and ![a picture](docs/picture.svg).

```mermaid
flowchart LR
    data["a month of data"] --> pipeline["dvc repro"] --> verdict{"verdict"}
    verdict -- promote --> champion["the new champion"]
```

| verdict | when |
|---|---:|
| **promote** | proven |
"""
PARAMS = "problem: flights\ndata:\n  periods: [2013-01, 2013-02]\n  holdout: 1\nmodel:\n  learning_rate: 0.1\n"
COMMENT = """\
<!-- ratchet -->
## ✅ Promote

> [!TIP]
> Promote: log loss falls by 0.034 (0.567 → 0.533), at least 0.002 with 97 % confidence, on 28,293 rows.

| Metric | Champion | Challenger | Improvement |
| :--- | ---: | ---: | ---: |
| **Log loss** | 0.5671 | 0.5326 | +0.0345 |

<details><summary><b>Calibration</b></summary>

```mermaid
xychart-beta
    title "Calibration"
    x-axis [1, 2, 3]
    bar [0.1, 0.2, 0.4]
    line [0.12, 0.22, 0.38]
```

</details>
"""
LOG = """\
job: evidence
  step: Set up
    \x1b[32mready\x1b[0m
  step: dvc repro
    Running stage 'train'
    <script>alert(1)</script>
    error: failed to reproduce 'train'
  failed: dvc repro
"""
GATES = ("ci-gate", "model-gate")
RULESET = {
    "id": 1,
    "name": "main",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
    "rules": [
        {"type": "pull_request", "parameters": {}},
        {
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": True,
                "required_status_checks": [{"context": name} for name in GATES],
            },
        },
    ],
}


def at(seconds: float) -> str:
    """A time of the story."""
    return (START + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Story:
    """A forge, and what is needed to add to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forge = Forge(folder)
        self.files = folder / "example"
        self.files.mkdir(parents=True, exist_ok=True)
        self.state = self.forge.state
        self.repository = self.forge.create_repository(NAME)
        self.repository.description = "Will this flight arrive more than 15 minutes late?"
        self.repository.rulesets = [RULESET]

    def commit(
        self,
        branch: str,
        files: Mapping[str, str],
        message: str,
        seconds: float,
        who: str = "ada",
        repository: str = NAME,
    ) -> str:
        """A commit on a branch, which is made from the default branch when it is new."""
        git = self.forge.git(repository)
        parent = git.branch(branch) or git.branch("main")
        blobs = [Entry(path, "100644", "blob", git.write_blob(text.encode())) for path, text in files.items()]
        tree = git.write_tree(parent, blobs)
        by = Person(who, f"{who}@example.org", at(seconds))
        sha = git.write_commit(tree, [parent] if parent else [], message, by)
        git.update_ref(f"refs/heads/{branch}", sha)
        return sha

    def pull(self, title: str, body: str, branch: str, seconds: float, who: str = "ada", source: str = NAME) -> Pull:
        """An open pull request from a branch that is there."""
        head = self.forge.git(source).branch(branch)
        base = self.forge.git(NAME).branch("main")
        assert head
        assert base
        number = self.repository.next_number
        self.repository.next_number += 1
        self.forge.git(NAME).fetch(self.forge.git(source).path, head, f"refs/pull/{number}/head")
        names = (source, branch, head, "main", base)
        pull = Pull(self.state.new_id(), NAME, number, title, body, who, *names, created_at=at(seconds))
        self.state.pulls.append(pull)
        return pull

    def comment(self, number: int, body: str, seconds: float, who: str = BOT, edited: float | None = None) -> Comment:
        """Something said."""
        one = Comment(self.state.new_id(), NAME, number, who, body, at(seconds), at(edited or seconds))
        self.state.comments.append(one)
        return one

    def status(self, sha: str, context: str, state: str, sentence: str, run: Run | None = None) -> None:
        """A status of a commit."""
        url = f"{self.forge.url}/{NAME}/actions/runs/{run.id}" if run else None
        self.state.statuses.append(Status(self.state.new_id(), NAME, sha, context, state, BOT, sentence, url, at(0)))

    def run(self, name: str, event: str, pull: Pull | None, begin: float, took: float, result: str | None) -> Run:
        """A run with one job; without a result it is still under way."""
        branch, sha, source = ("main", self.forge.git(NAME).branch("main"), NAME)
        if pull:
            branch, sha, source = pull.head_ref, pull.head_sha, pull.head_repository
        run = Run(NAME, f".github/workflows/{name}.yml", name, event, branch, sha or "", source, "ada")
        run.id, run.number = self.state.new_id(), 1 + sum(one.name == name for one in self.state.runs)
        run.pull_requests = [pull.number] if pull and not pull.is_fork else []
        run.payload = {"pull_request": {"number": pull.number}} if pull else {}
        run.display_title = pull.title if pull else "Merge"
        run.status, run.conclusion = ("completed", result) if result else ("in_progress", None)
        run.created_at, run.started_at = at(begin), at(begin + 1)
        run.completed_at = at(begin + 1 + took) if result else None
        run.jobs = [
            self.job("judge" if name == "verdict" else "evidence", {"contents": "read"}, begin + 1, took, result)
        ]
        if name == "verdict":
            may = {"contents": "write", "pull-requests": "write", "statuses": "write", "actions": "read"}
            run.jobs.append(self.job("write", may, begin + 1 + took * 0.7, took * 0.3, result))
        log = self.files / f"{run.id}.log"
        log.write_text(LOG)
        run.log = str(log)
        self.state.runs.append(run)
        return run

    def job(self, name: str, permissions: dict[str, str], begin: float, took: float, result: str | None) -> Job:
        """A job with three steps."""
        steps = [
            {"name": "Set up", "conclusion": "success", "seconds": 1.2},
            {"name": "dvc repro", "conclusion": result or "success", "seconds": round(took * 0.8, 1)},
            {
                "name": "Upload what it made",
                "conclusion": "skipped" if result == "failure" else "success",
                "seconds": 0.3,
            },
        ]
        job = Job(self.state.new_id(), name, "completed" if result else "in_progress", result, permissions)
        job.started_at, job.completed_at, job.steps = at(begin), at(begin + took) if result else None, steps
        return job

    def artifact(self, run: Run, name: str, content: bytes, *, is_page: bool = False) -> Artifact:
        """A file that a run left: a zip, or a page as it is."""
        path = self.files / (name if is_page else f"{name}.zip")
        if is_page:
            path.write_bytes(content)
        else:
            held = io.BytesIO()
            with zipfile.ZipFile(held, "w") as archive:
                archive.writestr("run.json", content)
            path.write_bytes(held.getvalue())
        size, digest = path.stat().st_size, f"sha256:{'ab' * 32}"
        one = Artifact(self.state.new_id(), NAME, run.id, 1, name, str(path), size, digest)
        self.state.artifacts.append(one)
        return one

    def record(self, path: str, record: Mapping[str, Any], seconds: float) -> None:
        """A file on the branch `records`."""
        git = self.forge.git(NAME)
        parent = git.branch("records")
        blob = Entry(path, "100644", "blob", git.write_blob(json.dumps(record).encode()))
        by = Person("github-actions[bot]", "bot@example.org", at(seconds))
        tree = git.write_tree(parent, [blob])
        git.update_ref("refs/heads/records", git.write_commit(tree, [parent] if parent else [], f"Record {path}", by))


def tell(folder: Path, comment: str = COMMENT) -> Story:
    """The whole story: pull requests 1 (merged), 2 (blocked), 3 (under way), 4 (from a fork), issue 5."""
    story = Story(folder)
    files = {
        "README.md": README,
        "params.yaml": PARAMS,
        "docs/decisions.md": "# Decisions\n",
        "docs/picture.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        ".github/workflows/maintainer.yml": WORKFLOW,
        "src/flights/model/estimator.py": "def estimator():\n    return None\n",
    }
    story.commit("main", files, "Start", 0)
    _release(story)
    _merged(story, comment)
    _blocked(story)
    _under_way(story)
    _fork(story)
    issue = Issue(story.state.new_id(), NAME, 5, "No new data for 40 days", "The source is *silent*.", BOT)
    story.state.issues.append(issue)
    story.repository.next_number = 6
    with story.forge.changing():
        pass
    return story


def _release(story: Story) -> None:
    sha = story.forge.git(NAME).branch("main") or ""
    page = story.files / "card.html"
    page.write_text("<h1>Model card</h1>")
    asset = Asset(story.state.new_id(), "card.html", str(page), page.stat().st_size, f"sha256:{'cd' * 32}")
    body = "The **first** model: log loss 0.569."
    one = Release(
        story.state.new_id(), NAME, "model-v1", sha, "Model v1", body, BOT, assets=[asset], published_at=at(70)
    )
    story.state.releases.append(one)
    story.run("release", "push", None, 5, 62, "success")


def _merged(story: Story, comment: str) -> None:
    changed = PARAMS.replace("2013-02", "2013-02, 2013-03, 2013-04")
    story.commit("more-data", {"params.yaml": changed}, "Train to June, test on July", 100)
    pull = story.pull("Train to June, test on July", "Spring and summer are missing.", "more-data", 105)
    report = story.run("report", "pull_request", pull, 106, 29, "success")
    verdict = story.run("verdict", "workflow_run", pull, 137, 12, "success")
    verdict.pull_requests, verdict.summary = [], "### Promote\n\nThe comment was written."
    story.artifact(report, "evidence", b"{}")
    story.artifact(verdict, "report.html", b"<!DOCTYPE html><h1>Report</h1>", is_page=True)
    story.comment(pull.number, comment, 108, edited=149)
    story.comment(pull.number, "Looks right to me. @bob, see #2?", 200, "ada")
    story.status(pull.head_sha, "ci-gate", "success", "ci passed", report)
    story.status(pull.head_sha, "model-gate", "success", "Promote: log loss falls by 0.034 (0.567 → 0.533)", verdict)
    story.record("verdicts/aa/bb/pr1-1.1.json", _verdict(pull, "promote", None), 149)
    story.forge.merge(pull, "squash", story.forge.owner(NAME))
    pull.merged_at = pull.closed_at = at(230)


def _verdict(pull: Pull, verdict: str, hold: str | None) -> dict[str, Any]:
    return {
        "version": 1,
        "kind": "verdict",
        "at": at(149 + pull.number),
        "pull_request": pull.number,
        "head_sha": pull.head_sha,
        "model_digest": "23019408acc2" + "0" * 52,
        "verdict": verdict,
        "hold": hold,
        "sentence": f"{verdict.capitalize()}: a sentence about <the> model.",
        "look": pull.number,
    }


def _blocked(story: Story) -> None:
    story.commit("crippled", {"params.yaml": PARAMS.replace("0.1", "0.9")}, "Faster: surely enough?", 240)
    pull = story.pull("Two leaves and a tenth of the trees", "Surely enough?", "crippled", 245)
    story.run("report", "pull_request", pull, 246, 14, "failure")
    verdict = story.run("verdict", "workflow_run", pull, 262, 9, "success")
    story.comment(
        pull.number, "<!-- ratchet -->\n## ⛔ Block\n\n> [!CAUTION]\n> Block: it is provably worse.", 247, edited=271
    )
    story.status(pull.head_sha, "ci-gate", "success", "ci passed")
    story.status(pull.head_sha, "model-gate", "failure", "Block: the calibration slope is 3.8", verdict)
    story.record("verdicts/aa/cc/pr2-1.1.json", _verdict(pull, "block", None), 271)
    story.commit("main", {"docs/decisions.md": "# Decisions\n\nOne more.\n"}, "Write a decision down", 280)


def _under_way(story: Story) -> None:
    story.commit("seed", {"params.yaml": PARAMS + "train:\n  seed: 1\n"}, "Another seed", 1900)
    pull = story.pull("The same model, another seed", "", "seed", 1902)
    run = story.run("ci", "pull_request", pull, 1903, 10, "success")
    story.state.check_runs.append(
        CheckRun(
            story.state.new_id(), NAME, pull.head_sha, "tests", "completed", "success", run.id, 1, details_url=None
        )
    )
    story.status(pull.head_sha, "model-gate", "pending", "the pipeline runs")


def _fork(story: Story) -> None:
    story.forge.fork(NAME, "bob")
    story.commit("main", {"src/flights/model/estimator.py": "import os\n"}, "Mine <b>", 2000, "bob", "bob/flights")
    title = "A better model <script>alert(1)</script>"
    pull = story.pull(
        title, "![x](https://example.org/x.png) <script>alert(1)</script>", "main", 2003, "bob", "bob/flights"
    )
    run = story.run("report", "pull_request", pull, 2004, 0, None)
    run.status, run.started_at, run.jobs, run.log = "waiting", None, [], ""
