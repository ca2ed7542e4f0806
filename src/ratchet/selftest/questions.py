"""The questions: what the loop takes for granted of GitHub, as far as a workflow can ask it.

Each is a function of the scene that says what it has found. It raises `Otherwise` when that is not what we think, and
`CouldNotAsk` when there is no telling. Several findings can be what we think: the answer then says which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from ratchet import doctor, ledger, runs
from ratchet.errors import RatchetError
from ratchet.selftest.answers import Answer
from ratchet.selftest.scene import MESSAGE, PROBE, TITLE, WORKFLOW, CouldNotAsk, Scene, names, remove_runs

if TYPE_CHECKING:
    from ratchet.forge import Run

ARTIFACT = "selftest-probe"
"""The artifact that the job has uploaded before it asks."""
CONTENT = Path("params.yaml")
"""What is in it."""
LARGEST = 200_000_000
CONTEXT = "ratchet-selftest"
LISTENING = {".github/workflows/ci.yml", ".github/workflows/report.yml"}
"""The workflows that hear of pull requests."""
COUNTED = {"clean", "has_hooks", "unstable"}
"""GitHub's words for a pull request whose required statuses are there."""
RULES = {"deletion", "non_fast_forward", "pull_request", "required_status_checks"}
"""The types of rules in main.json: none blocks the self-test's pull request but for the statuses."""
REVIEWS = ("required_approving_review_count", "required_reviewers", "require_last_push_approval")
"""What a rule of pull requests may ask for besides, and the self-test cannot give."""
REQUESTS = 1000

ASKED: dict[str, Question] = {}
"""The questions of the first job, in the order in which they are asked."""


class Otherwise(RatchetError):  # noqa: N818  # reads as what it says
    """GitHub does something else than we think; says what."""


@dataclass(frozen=True)
class Question:
    """One thing that the loop takes for granted.

    Attributes:
        id: Its stable name.
        thought: What we think, in one sentence.
        follows: What does not work when it is otherwise.
        todo: What to do then.
        ask: Finds out, and says what it found.
    """

    id: str
    thought: str
    follows: str
    todo: str
    ask: Callable[[Scene], str]

    def answered(self, scene: Scene) -> Answer:
        """What came of it."""
        from ratchet.forge import ApiError, Unavailable

        try:
            return self.answer("as we think", self.ask(scene))
        except RatchetError as error:
            is_told = isinstance(error, Otherwise | ApiError) and not isinstance(error, Unavailable)
            return self.answer("otherwise" if is_told else "could not ask", str(error).splitlines()[0])

    def answer(self, outcome: str, found: str) -> Answer:
        """An answer to it."""
        facts = {"id": self.id, "thought": self.thought, "follows": self.follows, "todo": self.todo}
        return Answer.model_validate({**facts, "outcome": outcome, "found": found})


def question(
    among: dict[str, Question], thought: str, follows: str, todo: str
) -> Callable[[Callable[[Scene], str]], Callable[[Scene], str]]:
    """Make a function a question, under its own name."""

    def register(ask: Callable[[Scene], str]) -> Callable[[Scene], str]:
        name = ask.__name__.replace("_", "-")
        among[name] = Question(name, thought, follows, todo, ask)
        return ask

    return register


_REPORT = "Report it to the template, with this run's log."


@question(
    ASKED,
    "an artifact of this run is listed with its digest, and downloads as it was uploaded",
    "Nothing can be judged, released or audited: all of them download artifacts.",
    _REPORT,
)
def artifact_up_and_down(scene: Scene) -> str:
    """Found in the list of the run, downloaded with the loop's own client."""
    if not CONTENT.is_file():
        raise CouldNotAsk(f"there is no {CONTENT} here, which the job uploads")
    listed = scene.wait.until(
        lambda: next((one for one in scene.forge.artifacts(scene.run) if one.name == ARTIFACT), None)
    )
    if listed is None:
        raise Otherwise(f"run {scene.run} has no artifact {ARTIFACT}")
    if listed.digest is None:
        raise Otherwise("it is listed without a digest")
    with TemporaryDirectory() as scratch:
        packed = Path(scratch, "artifact.zip")
        scene.forge.download(listed, packed, LARGEST)
        try:
            with ZipFile(packed) as opened:
                found = opened.read(CONTENT.name)
        except (BadZipFile, KeyError) as error:
            raise Otherwise(f"what is downloaded is no zip file with {CONTENT} in it ({error})") from error
    if found != CONTENT.read_bytes():
        raise Otherwise(f"what is downloaded differs from {CONTENT}")
    return f"{listed.size} bytes, as they were"


@question(
    ASKED,
    "the tree of a commit can be read, and a file of it is what git has",
    "Nothing can be judged, released or audited: all of them read commits as data.",
    _REPORT,
)
def commit_down(scene: Scene) -> str:
    """The default branch's newest commit, beside what is checked out of it."""
    listed = scene.forge.tree(scene.base)
    if WORKFLOW not in listed:
        raise Otherwise(f"it lists {len(listed)} files, and {WORKFLOW} is not among them")
    content = scene.forge.file(scene.base, WORKFLOW) or b""
    if ledger.blob_name(content) != listed[WORKFLOW].sha:
        raise Otherwise(f"{WORKFLOW} has {len(content)} bytes, which are not those that the tree names")
    return f"{len(listed)} files"


@question(
    ASKED,
    "a commit made through the API keeps its parent's files, and a new branch takes it",
    "No dvc.lock, record, retraining or deployment can be committed.",
    "Look for a ruleset that keeps GitHub Actions from making branches: Settings → Rules → Rulesets.",
)
def commit_by_api(scene: Scene) -> str:
    """An empty commit on a branch of its own."""
    forge = scene.forge
    forge.create_branch(scene.branch, scene.base)
    made = forge.commit(forge.commit_files(scene.branch, scene.base, {}, MESSAGE))
    if made.parents != (scene.base,) or made.files:
        raise Otherwise(f"the commit has the parents {made.parents} and changes {made.files or 'nothing'}")
    scene.first = made.sha
    return f"commit {made.sha[:10]} on {scene.branch}"


@question(
    ASKED,
    "a workflow may open a pull request",
    "`adopt` and the retraining cannot open theirs.",
    "Settings → Actions → General → Workflow permissions → Allow GitHub Actions to create and approve pull requests",
)
def pull_request(scene: Scene) -> str:
    """From the branch into the default one."""
    scene.need(scene.first, "commit-by-api")
    body = f"Opened and closed by `selftest.yml`: {scene.url}\n\nIt changes nothing, and there is nothing to do."
    made = scene.forge.create_pull(TITLE, scene.branch, scene.forge.default_branch, body)
    scene.number = made.number
    return f"pull request {made.number}, by {made.author}"


@question(
    ASKED,
    "no job begins for a pull request that a workflow opens, so the loop dispatches",
    "What a workflow proposes is trained and tested twice. That costs minutes, and the gates are still right.",
    "Nothing has to be done; report it to the template.",
)
def opened_starts_nothing(scene: Scene) -> str:
    """Held, absent or failed without a job: all three are known."""
    scene.need(scene.number, "pull-request")
    return _world(scene, scene.need(scene.first, "commit-by-api"))


@question(
    ASKED,
    "no job begins for a commit that a workflow pushes to a pull request, so the parent's gate is carried over",
    "The commit with the judged dvc.lock is trained and tested once more, and the gates wait for that.",
    "Nothing has to be done; report it to the template.",
)
def lock_commit_starts_nothing(scene: Scene) -> str:
    """As after the loop's own commit of dvc.lock."""
    first = scene.need(scene.first, "commit-by-api")
    scene.need(scene.number, "pull-request")
    scene.second = scene.forge.commit_files(scene.branch, first, {}, MESSAGE)
    return _world(scene, scene.second)


@question(
    ASKED,
    "a push by a workflow starts no workflow that listens to pushes",
    "`ci.yml` and `release.yml` start once more for what the loop pushes. They find nothing to do.",
    "Nothing has to be done; report it to the template.",
)
def push_starts_nothing(scene: Scene) -> str:
    """Asked last of the three, so that GitHub has had its time."""
    shas = [scene.need(scene.first, "commit-by-api"), *([scene.second] if scene.second else [])]
    found = sorted({run.name for sha in shas for run in scene.runs(sha) if run.event == "push"})
    if found:
        raise Otherwise(f"{' and '.join(found)} ran")
    return f"nothing ran for {len(shas)} pushes"


def _world(scene: Scene, sha: str) -> str:
    """Which of the three worlds GitHub is, by what it makes of a commit of a pull request that a workflow pushed."""

    def ended() -> list[Run] | None:
        found = of_pulls()
        is_over = {run.path for run in found} >= LISTENING and all(run.status == "completed" for run in found)
        return found if is_over else None

    def of_pulls() -> list[Run]:
        return [run for run in scene.runs(sha) if run.event == "pull_request" and run.path in LISTENING]

    found = scene.wait.until(ended) or of_pulls()
    begun = sorted(run.name for run in found if _has_begun(scene, run))
    if begun:
        raise Otherwise(f"{' and '.join(begun)} began")
    if not found:
        return "no run at all"
    kinds = {"are held for approval" if runs.is_held(run) else "end without a job" for run in found}
    return f"runs that {' or '.join(sorted(kinds))}"


def _has_begun(scene: Scene, run: Run) -> bool:
    """Whether a job of it has begun, or is about to."""
    return run.status != "completed" or runs.has_say(run, lambda: scene.forge.jobs(run.id, run.attempt))


@question(
    ASKED,
    "a status that a workflow sets is read back as GitHub Actions' own",
    "No gate can be set, so nothing can be merged.",
    _REPORT,
)
def status_up_and_down(scene: Scene) -> str:
    """Under a name of its own."""
    from ratchet.forge import BOT

    sha = scene.need(scene.second or scene.first, "commit-by-api")
    scene.forge.set_status(sha, CONTEXT, "success", "The self-test asks whether statuses can be set", scene.url)
    found = scene.wait.until(lambda: scene.forge.statuses(sha).get(CONTEXT))
    if found is None:
        raise Otherwise(f"{CONTEXT} is not listed on {sha[:10]}")
    if found.creator != BOT:
        raise Otherwise(f"its creator is {found.creator}")
    return f"by {found.creator}"


@question(
    ASKED,
    "a pull request is blocked until both gates are green, and statuses of a workflow's token make them so",
    "Either nothing that was promoted can be merged, or anything can be merged.",
    "Import .github/rulesets/main.json as it is: Settings → Rules → Rulesets → New ruleset → Import a ruleset",
)
def gates_count(scene: Scene) -> str:
    """What GitHub says of the pull request before and after; its commits change nothing, so it may well be merged."""
    number, sha = scene.need(scene.number, "pull-request"), scene.need(scene.second, "lock-commit-starts-nothing")
    _required(scene)
    before = scene.wait.until(lambda: _mergeable(scene, number))
    if before != "blocked":
        raise Otherwise(f"without a gate it is {before or 'of no known state'}")
    for context in doctor.CONTEXTS:
        said = "The self-test asks whether this status counts: it is no verdict, and the commit changes nothing"
        scene.forge.set_status(sha, context, "success", said, scene.url)

    def after() -> str | None:
        state = _mergeable(scene, number)
        return state if state != "blocked" else None

    state = scene.wait.until(after) or "blocked"
    if state not in COUNTED:
        raise Otherwise(f"with both gates green it is still {state}")
    return f"blocked before, {state} after"


def _required(scene: Scene) -> None:
    """Whether the rules of the default branch ask for the gates, and for nothing else that would block.

    Raises:
        CouldNotAsk: They do not, or for more.
    """
    held = scene.forge.ask(f"/rules/branches/{scene.forge.default_branch}", per_page=100)
    rules = [(str(rule["type"]), rule.get("parameters") or {}) for rule in held.body or ()]
    contexts = {check["context"] for _, one in rules for check in one.get("required_status_checks", ())}
    if not contexts >= set(doctor.CONTEXTS):
        raise CouldNotAsk(f"no ruleset asks for {' and '.join(doctor.CONTEXTS)}: import .github/rulesets/main.json")
    more = {*contexts.difference(doctor.CONTEXTS), *(kind for kind, _ in rules if kind not in RULES)}
    more |= {name for _, one in rules for name in REVIEWS if one.get(name)}
    if more:
        raise CouldNotAsk(f"the rulesets ask for more: {', '.join(sorted(more))}")


def _mergeable(scene: Scene, number: int) -> str | None:
    """GitHub's word for whether a pull request may be merged; None while it makes up its mind.

    Raises:
        CouldNotAsk: It would have to be brought up to date first.
    """
    state = str((scene.forge.ask(f"/pulls/{number}").body or {}).get("mergeable_state"))
    if state == "behind":
        raise CouldNotAsk(f"{scene.forge.default_branch} has moved meanwhile: ask again")
    return None if state == "unknown" else state


@question(
    ASKED,
    "a branch moves forward only: a commit that is not on top of it is refused",
    "Two jobs that write at the same time could undo each other's records.",
    _REPORT,
)
def only_forward(scene: Scene) -> str:
    """A second commit on top of the first one, where another already is."""
    from ratchet.forge import Moved

    first = scene.need(scene.first, "commit-by-api")
    scene.need(scene.second, "lock-commit-starts-nothing")
    try:
        scene.forge.commit_files(scene.branch, first, {}, f"{MESSAGE}, and comes too late")
    except Moved:
        return "refused"
    raise Otherwise("it was taken, and the commit before it is gone from the branch")


@question(
    ASKED,
    "a workflow's token cannot bring in a workflow file that no branch has",
    "A job that may write could change what the next one runs.",
    _REPORT,
)
def workflow_file_refused(scene: Scene) -> str:
    """On a branch by itself. The file would start nothing."""
    from ratchet.forge import ApiError, Unavailable

    branch = names(scene.run)[1]
    scene.forge.create_branch(branch, scene.base)
    text = b"name: ratchet-selftest\non: workflow_call\njobs: {}\n"
    try:
        scene.forge.commit_files(branch, scene.base, {PROBE: text}, MESSAGE)
    except Unavailable:
        raise
    except ApiError as error:
        return f"refused with status {error.status}"
    raise Otherwise(f"{PROBE} was taken")


@question(
    ASKED,
    "a workflow's token cannot take a branch over a change of the workflow files that the default branch has made",
    "Nothing breaks: `adopt` and `refresh` could do what they now leave to a person.",
    "Nothing has to be done; report it to the template.",
)
def older_workflows_refused(scene: Scene) -> str:
    """From the commit before the last change of a workflow file; GitHub may already refuse a branch there."""
    from ratchet.forge import ApiError, Unavailable

    forge, branch, folder = scene.forge, names(scene.run)[2], str(Path(WORKFLOW).parent)
    changed = next(forge.commits(scene.base, folder))
    if not changed.parents:
        raise CouldNotAsk(f"{folder} has not changed yet on {forge.default_branch}")
    older, step = changed.parents[0], "when the branch is made"
    paths = [path for path in forge.commit(changed.sha).files if path.startswith(f"{folder}/")]
    try:
        forge.create_branch(branch, older)
        step = "when the change comes in"
        forge.commit_files(branch, older, {path: forge.file(changed.sha, path) for path in paths}, MESSAGE)
    except Unavailable:
        raise
    except ApiError as error:
        return f"refused {step}, with status {error.status}"
    raise Otherwise(f"{' and '.join(paths)} came from {older[:10]} to {changed.sha[:10]}")


@question(
    ASKED,
    "a dispatch by a workflow starts a run",
    "Whatever the loop pushes (retraining, `adopt`, `refresh`) is never judged.",
    _REPORT,
)
def dispatch_starts(scene: Scene) -> str:
    """This very workflow, on the branch, where its jobs have nothing to do."""
    scene.need(scene.first, "commit-by-api")
    name = Path(WORKFLOW).name
    scene.forge.dispatch(name, scene.branch)
    found = scene.wait.until(lambda: next(iter(scene.forge.runs_on(scene.branch, name)), None))
    if found is None:
        raise Otherwise(f"no run of {name} on {scene.branch}")
    return f"run {found.id}"


@question(
    ASKED,
    "a pull request closes when its branch is deleted",
    "A retraining that is out of date stays open.",
    "Close such pull requests by hand, and report it to the template.",
)
def deleted_branch_closes(scene: Scene) -> str:
    """The last thing that happens to the branch."""
    number = scene.need(scene.number, "pull-request")
    remove_runs(scene.forge, scene.wait, scene.branch)  # while the branch is there, a later run would find them
    scene.forge.delete_branch(scene.branch)
    is_closed = scene.wait.until(lambda: True if not scene.forge.pull(number).is_open else None)
    if not is_closed:
        raise Otherwise(f"pull request {number} is open, and its branch is gone")
    return f"pull request {number} is closed"


@question(
    ASKED,
    f"a workflow's token has at least {REQUESTS:,} requests an hour",
    "With many pull requests at once, jobs wait, or fail for want of requests.",
    "Run them again an hour later; if it happens often, report it to the template.",
)
def requests_left(scene: Scene) -> str:
    """Which all workflows of the repository share."""
    limit, remaining = scene.forge.requests()
    if limit < REQUESTS:
        raise Otherwise(f"{limit:,} an hour")
    return f"{limit:,} an hour, {remaining:,} left"
