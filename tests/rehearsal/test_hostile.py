"""Forks that lie: whatever their code uploads, the comment is one, harmless and true, and nothing merges."""

from __future__ import annotations

import pytest
from scenario import BETTER, alpha, gates, head, log, merges, runs, told, verdicts

from rehearsal.desk import Desk
from rehearsal.pages.markdown import Place, render

WORKFLOW = """\
name: report
on: [pull_request]
jobs:
  report:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {contents: write, statuses: write, pull-requests: write}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
        with: {ref: "${{ github.event.pull_request.head.sha }}", fetch-depth: 0}
      - uses: ./.github/actions/setup
      - run: python evil.py
        env: {GITHUB_TOKEN: "${{ github.token }}"}
      - uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a
        with: {name: NAME, path: build/evidence}
"""

HONEST = """\
import hashlib, json, subprocess, sys
from pathlib import Path
import pandas as pd

here = Path("build/evidence")
subprocess.run([sys.executable, "-m", "ratchet", "evidence", "--base", "origin/main", "--out", str(here)], check=True)

def sealed(name):
    manifest = json.loads((here / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256((here / name).read_bytes()).hexdigest()
    (here / "manifest.json").write_text(json.dumps(manifest))
"""

NAN = (
    HONEST
    + """
name = "scores/challenger.parquet"
frame = pd.read_parquet(here / name)
frame.loc[3, "score"] = float("nan")
frame.to_parquet(here / name, index=False)
sealed(name)
"""
)

FORGED = (
    HONEST
    + """
name = "scores/champion.parquet"
frame = pd.read_parquet(here / name)
frame["score"] = 0.0
frame.to_parquet(here / name, index=False)
sealed(name)
"""
)

CHERRIES = (
    HONEST
    + """
name = "scores/challenger.parquet"
frame = pd.read_parquet(here / name)
frame[(frame["score"] - frame["label"]).abs() < 1].to_parquet(here / name, index=False)
sealed(name)
"""
)

HUGE = """\
from pathlib import Path
Path("build/evidence/bundle").mkdir(parents=True)
Path("build/evidence/bundle/model.skops").write_bytes(bytes(130_000_000))
"""

CLIMBING = """\
import base64, hashlib, io, json, os, urllib.request, zipfile

def send(method, url, body, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method, headers=headers)) as answer:
        return answer.read()

def call(name, **asked):
    token = os.environ["ACTIONS_RUNTIME_TOKEN"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    run, job = claims["scp"].split(":")[1:]
    asked |= {"workflow_run_backend_id": run, "workflow_job_run_backend_id": job, "name": "evidence"}
    url = f"{os.environ['ACTIONS_RESULTS_URL']}twirp/github.actions.results.api.v1.ArtifactService/{name}"
    body = json.dumps(asked).encode()
    return json.loads(send("POST", url, body, Authorization=f"Bearer {token}"))

packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("../../src/ratchet/gate.py", "raise SystemExit")
content = packed.getvalue()
send("PUT", call("CreateArtifact", version=4)["signed_upload_url"], content)
call("FinalizeArtifact", size=str(len(content)), hash="sha256:" + hashlib.sha256(content).hexdigest())
"""

GREEDY = """\
import json, os, urllib.error, urllib.request

def write(method, path, body):
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}{path}"
    asked = urllib.request.Request(url, data=json.dumps(body).encode(), method=method)
    asked.add_header("Authorization", "Bearer " + os.environ["GITHUB_TOKEN"])
    try:
        print("WROTE", path, urllib.request.urlopen(asked).status)
    except urllib.error.HTTPError as error:
        print("refused", path, error.code)

sha = os.popen("git rev-parse HEAD").read().strip()
write("POST", f"/statuses/{sha}", {"context": "model-gate", "state": "success"})
write("POST", "/issues/1/comments", {"body": "<!-- ratchet -->\\nPromote"})
write("POST", "/git/refs", {"ref": "refs/heads/mine", "sha": sha})
write("POST", "/actions/workflows/release.yml/dispatches", {"ref": "main"})
"""

JUDGEMENT = """\
from pathlib import Path
Path("build/evidence").mkdir(parents=True)
Path("build/evidence/judgement.json").write_text('{"outcome": "judged"}')
"""


def attack(desk: Desk, program: str, artifact: str = "evidence") -> int:
    """A fork whose report.yml runs a program of its own; the number of its pull request."""
    changes = {
        ".github/workflows/report.yml": WORKFLOW.replace("NAME", artifact).encode(),
        "evil.py": program.encode(),
        **alpha(BETTER),
    }
    number = desk.propose("Trust me", changes, "trust-me", who="bob")
    desk.approve_workflows(number)
    desk.wait()
    return number


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (NAN, "empty cells"),
        (FORGED, "The run's scores of the champion are not those that the champion gives"),
        (CHERRIES, "are missing"),
        (HUGE, "MB"),
        (CLIMBING, "none of its files"),
    ],
    ids=["not-a-number", "a-forged-champion", "chosen-rows", "a-huge-file", "a-path-that-climbs"],
)
def test_evidence_that_is_not_what_it_must_be_is_rejected_with_its_reason(
    desk: Desk, program: str, reason: str
) -> None:
    """The gate stays shut, nothing is recorded, and the comment says what is wrong."""
    number = attack(desk, program)

    assert reason in told(desk, number)
    assert gates(desk, number)["model-gate"] == "failure"
    assert verdicts(desk, number) == []
    assert not merges(desk, number)


def test_a_fork_s_token_writes_nothing_whatever_its_workflow_asks_for(desk: Desk) -> None:
    """Each attempt is refused, and the gate says what the judge says."""
    number = attack(desk, GREEDY)

    said = log(runs(desk, "report.yml")[-1])
    assert said.count("refused") == 4
    assert "WROTE" not in said
    assert {creator for creator, state in writers(desk, head(desk, number)) if state == "success"} <= {
        "github-actions[bot]"
    }
    assert gates(desk, number)["model-gate"] == "failure"
    assert desk.ask("GET", "/branches/mine").status_code == 404


def test_an_artifact_that_bears_the_name_of_the_judge_s_is_not_taken_for_it(desk: Desk) -> None:
    """The job that writes takes the judgement of its own run."""
    number = attack(desk, JUDGEMENT, artifact="judgement")

    assert "without leaving any evidence" in told(desk, number)
    assert gates(desk, number)["model-gate"] == "failure"


def test_a_workflow_that_only_bears_the_name_of_report_has_no_say(desk: Desk) -> None:
    """Its runs change neither comment nor gate."""
    other = WORKFLOW.replace("NAME", "evidence").encode()
    changes = {".github/workflows/other.yml": other, "evil.py": JUDGEMENT.encode(), "README.md": b"# Hello\n"}
    number = desk.propose("Trust me", changes, "trust-me", who="bob")
    desk.approve_workflows(number)
    desk.wait()

    assert gates(desk, number)["model-gate"] == "failure"
    assert "judge" in told(desk, number)


def test_what_a_fork_s_code_prints_reaches_the_comment_as_plain_text(desk: Desk) -> None:
    """No mention, no image, no link, no markup: only words."""
    words = "@ada ![x](https://evil.example/x.png) <img src=x onerror=alert(1)> [win](https://evil.example) ```"
    changes = {"src/delays/model/estimator.py": f"raise SystemExit({words!r})\n".encode()}
    number = desk.propose(words, changes, "words", who="bob")
    desk.approve_workflows(number)
    desk.wait()

    page = render(told(desk, number), Place(desk.name, desk.forge.url))
    assert "Stage train failed" in page
    assert "evil.example/x.png" in page
    assert "<img" not in page
    assert 'href="https://evil' not in page
    assert "user-mention" not in page


def writers(desk: Desk, sha: str) -> list[tuple[str, str]]:
    """Who set which state of `model-gate`."""
    listed = desk.get(f"/commits/{sha}/statuses")
    return [(each["creator"]["login"], each["state"]) for each in listed if each["context"] == "model-gate"]
