"""Which workflows an event starts, and what a workflow file says about its runs."""

from typing import Any

import pytest

from ratchet.errors import RatchetError
from rehearsal.forge import Event, Run
from rehearsal.runner import plan, triggers, workflow

JOBS = "\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: date\n"
ENDED = "on:\n  workflow_run:\n    workflows: [report]\n    types: [completed]"
ON_MAIN = "on:\n  workflow_run:\n    workflows: [ci]\n    branches: [main]"


def starts(
    on: str, name: str, payload: dict[str, Any], *, ref: str = "refs/heads/main", files: tuple[str, ...] = ()
) -> bool:
    """Whether a workflow with this `on:` starts."""
    one = workflow.parse(".github/workflows/a.yml", on + JOBS)
    event = Event(name, payload.get("action"), "ada/flights", payload, ref, "0" * 40, "ada")
    return triggers.starts(one, event, lambda: files)


def pull(action: str = "opened", base: str = "main") -> dict[str, Any]:
    """The payload of a pull request."""
    return {"action": action, "pull_request": {"base": {"ref": base}}}


def after(action: str, name: str, branch: str = "main") -> dict[str, Any]:
    """The payload of a workflow run."""
    return {"action": action, "workflow_run": {"name": name, "head_branch": branch}}


@pytest.mark.parametrize(
    ("on", "name", "payload", "expected"),
    [
        ("on: push", "push", {}, True),
        ("on: [push, pull_request]", "pull_request", pull(), True),
        ("on: push", "pull_request", pull(), False),
        ("on: push", "push", {"deleted": True}, False),
        ("on: pull_request", "pull_request", pull("synchronize"), True),
        ("on: pull_request", "pull_request", pull("closed"), False),
        ("on:\n  pull_request:\n    types: [closed]", "pull_request", pull("closed"), True),
        ("on:\n  pull_request:\n    branches: ['release/**']", "pull_request", pull(base="main"), False),
        (ENDED, "workflow_run", after("completed", "report"), True),
        (ENDED, "workflow_run", after("requested", "report"), False),
        ("on:\n  workflow_run:\n    workflows: [report]", "workflow_run", after("requested", "report"), True),
        ("on:\n  workflow_run:\n    workflows: [report]", "workflow_run", after("completed", "ci"), False),
        (ON_MAIN, "workflow_run", after("completed", "ci", "x"), False),
        ("on: workflow_dispatch", "workflow_dispatch", {"workflow": ".github/workflows/a.yml"}, True),
        ("on: workflow_dispatch", "workflow_dispatch", {"workflow": ".github/workflows/b.yml"}, False),
        ("on:\n  schedule:\n    - cron: '0 5 * * 1'", "schedule", {"workflow": ".github/workflows/a.yml"}, True),
        ("on:\n  repository_dispatch:\n    types: [drift]", "repository_dispatch", {"action": "other"}, False),
        ("on:\n  release:\n    types: [published]", "release", {"action": "published"}, True),
        ("on: issue_comment", "issue_comment", {"action": "edited"}, True),
    ],
)  # fmt: skip
def test_an_event_starts_the_workflows_that_ask_for_it(
    on: str, name: str, payload: dict[str, Any], expected: bool
) -> None:
    """Events, types, branches and workflow names decide."""
    assert starts(on, name, payload) is expected


@pytest.mark.parametrize(
    ("filters", "ref", "files", "expected"),
    [
        ("branches: [main]", "refs/heads/main", (), True),
        ("branches: [main]", "refs/heads/other", (), False),
        ("branches: [main]", "refs/tags/main", (), False),
        ("tags: ['v*']", "refs/tags/v1", (), True),
        ("tags: ['v*']", "refs/heads/v1", (), False),
        ("branches-ignore: ['wip/**']", "refs/heads/wip/a/b", (), False),
        ("branches-ignore: ['wip/**']", "refs/heads/main", (), True),
        ("paths: ['src/**']", "refs/heads/main", ("docs/a.md",), False),
        ("paths: ['src/**']", "refs/heads/main", ("docs/a.md", "src/x/y.py"), True),
        ("paths: ['src/**', '!src/x/**']", "refs/heads/main", ("src/x/y.py",), False),
        ("paths-ignore: ['**.md']", "refs/heads/main", ("docs/a.md", "README.md"), False),
        ("paths-ignore: ['**.md']", "refs/heads/main", ("docs/a.md", "params.yaml"), True),
    ],
)
def test_filters_of_a_push(filters: str, ref: str, files: tuple[str, ...], expected: bool) -> None:
    """Branches, tags and paths, each also as a list of what to ignore."""
    assert starts(f"on:\n  push:\n    {filters}", "push", {}, ref=ref, files=files) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "main", True),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("releases/*", "releases/1", True),
        ("releases/*", "releases/1/2", False),
        ("**/docs/**", "docs/a", True),
        ("v[12].[0-9]+", "v2.10", True),
        ("v[12].[0-9]+", "v3.1", False),
        ("*.jsx?", "page.js", True),
        ("v1.0", "v1x0", False),
    ],
)
def test_filter_patterns(pattern: str, name: str, expected: bool) -> None:
    """As GitHub's cheat sheet lists them."""
    assert triggers.matches([pattern], name) is expected


def test_the_last_pattern_that_fits_decides() -> None:
    """A later pattern brings back what an earlier one took."""
    patterns = ["releases/**", "!releases/**-alpha", "releases/9-alpha"]

    assert not triggers.matches(patterns, "releases/1-alpha")
    assert triggers.matches(patterns, "releases/9-alpha")
    assert triggers.matches(patterns, "releases/1")


@pytest.mark.parametrize("message", ["Fix [skip ci]", "[no ci] x", "Fix\n\nskip-checks: true"])
def test_a_commit_can_ask_for_no_run(message: str) -> None:
    """It holds for pushes and pull requests alone."""
    push, run = (Event(name, None, "a/b", {}, "", "", "ada") for name in ("push", "workflow_run"))

    assert triggers.is_skipped(push, message)
    assert not triggers.is_skipped(run, message)
    assert not triggers.is_skipped(push, "Fix")


def test_inputs_of_a_dispatch_have_defaults_and_types() -> None:
    """What is not given is the default; booleans are booleans."""
    declared = "{reason: {default: none}, dry: {type: boolean}, n: {type: number, default: 3}, who: }"
    one = workflow.parse("a.yml", f"on:\n  workflow_dispatch:\n    inputs: {declared}\n{JOBS}")

    assert triggers.inputs(one, {"dry": "true"}) == {"reason": "none", "dry": True, "n": 3.0, "who": ""}


def test_permissions_of_a_job_are_its_own_then_those_of_the_workflow() -> None:
    """`permissions: {}` is none; a fork's pull request only reads; nothing declared is the repository's setting."""
    declared = "{own: {permissions: {}}, all: {permissions: read-all}, none: {}}"
    jobs = workflow.parse("a.yml", f"on: push\npermissions: {{contents: write}}\njobs: {declared}").jobs
    bare = workflow.parse("a.yml", "on: push" + JOBS).jobs["one"]

    assert workflow.granted(jobs["own"], "write", is_restricted=False) == {}
    assert workflow.granted(jobs["none"], "read", is_restricted=False) == {"contents": "write"}
    assert workflow.granted(jobs["none"], "read", is_restricted=True) == {"contents": "read"}
    assert workflow.granted(jobs["all"], "read", is_restricted=False)["statuses"] == "read"
    assert workflow.granted(bare, "read", is_restricted=False) == {"contents": "read", "packages": "read"}
    assert workflow.granted(bare, "write", is_restricted=False)["issues"] == "write"


@pytest.mark.parametrize(("event", "is_restricted"), [("pull_request", True), ("push", True), ("workflow_run", False)])
def test_dependabot_reads(event: str, is_restricted: bool) -> None:
    """What it causes itself; what follows on that is main's own."""
    run = Run("a/b", "a.yml", "a", event, "topic", "5eed", "a/b", "dependabot[bot]")

    assert plan.is_restricted(run) is is_restricted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("on: push\njobs: {", "a.yml: is not YAML"),
        ("- a", "a.yml: holds no keys"),
        ("on: push", "a.yml: has no `jobs:`"),
        ("jobs: {a: {}}", "a.yml: has no `on:`"),
        ("on: push\npermissions: {content: read}" + JOBS, "a.yml: permissions: GitHub does not know `content: read`"),
        ("on: push\njobs:\n  a:\n    uses: ./x.yml", "a.yml: jobs.a.uses: cannot be rehearsed"),
    ],
)
def test_a_file_that_github_or_the_runner_cannot_run_is_refused(text: str, message: str) -> None:
    """The error names the file and the place."""
    with pytest.raises(RatchetError) as caught:
        workflow.parse("a.yml", text)

    assert str(caught.value).startswith(message)


def test_yaml_is_read_as_github_reads_it() -> None:
    """`on` is a word, and so are yes and no; every `uses:` is found, however deep."""
    found = workflow.read_yaml("on: push\na: yes\nb: true\nc: [{uses: x/y@1}, {d: {uses: ./z}}]", "a.yml")

    assert found["on"] == "push"
    assert (found["a"], found["b"]) == ("yes", True)
    assert list(workflow.uses(found)) == ["x/y@1", "./z"]


DEFAULT = "github.event_name != 'push' || github.ref_name == github.event.repository.default_branch"
IDLE = f"""\
on: push
jobs:
  first: {{if: "{DEFAULT}"}}
  next: {{needs: first}}
  last: {{needs: [first, next], if: "${{{{ !cancelled() && needs.first.result != 'skipped' }}}}"}}
"""


def known(event: str, ref: str) -> dict[str, Any]:
    """What expressions know before a job starts."""
    github = {"event_name": event, "ref_name": ref, "event": {"repository": {"default_branch": "master"}}}
    return {"github": github, "inputs": {}, "vars": {}}


@pytest.mark.parametrize(
    ("event", "ref", "expected"),
    [("push", "topic", True), ("push", "master", False), ("workflow_dispatch", "topic", False)],
)
def test_a_run_whose_conditions_keep_every_job_back_is_idle(event: str, ref: str, expected: bool) -> None:
    """What needs a skipped job is skipped with it."""
    assert plan.is_idle(workflow.parse("a.yml", IDLE), known(event, ref)) is expected


@pytest.mark.parametrize("condition", ["always()", "needs.first.result == 'skipped' && !cancelled()", "secrets.KEY"])
def test_a_run_is_not_idle_while_one_of_its_jobs_may_run(condition: str) -> None:
    """A job that runs whatever became of others does; what cannot be known yet may."""
    text = f'{IDLE}  late: {{needs: first, if: "{condition}"}}\n'

    assert not plan.is_idle(workflow.parse("a.yml", text), known("push", "topic"))
