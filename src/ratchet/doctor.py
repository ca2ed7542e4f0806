"""The doctor: does a repository on GitHub have the settings that the loop needs, and if not, what to click.

    checks = [doctor.problem(Path()), *doctor.examine(doctor.ask(Forge.from_environment()))]
    for line in doctor.told(checks):
        print(line)

Each check passes, fails, or is unknown when GitHub does not tell: some settings only an administrator may read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from ratchet import cml, folders, params, triggers
from ratchet.errors import RatchetError
from ratchet.forge import Answer, Forge

Outcome = Literal["pass", "fail", "unknown"]

CONTEXTS = ("ci-gate", "model-gate")
"""The commit statuses without which nothing is merged."""
IDLE = timedelta(days=60)
"""After that long without a commit GitHub stops schedules in a public repository."""
WARN = timedelta(days=45)
OLD = timedelta(days=2 * 365)
"""After that long nobody can say whether what is pinned is still good."""
PRODUCTION = "production"
"""The environment whose reviewers let a model in."""
SYMBOLS: Mapping[Outcome, str] = {"pass": "ok  ", "fail": "FAIL", "unknown": "?   "}
LISTENING = {"ci.yml": ("pull_request", "push"), "release.yml": ("push",), "report.yml": ("pull_request",)}
"""The workflows that wait for what happens to a branch, and for what."""
ADMIN = "only an administrator may read this: `GITHUB_TOKEN=$(gh auth token) ratchet doctor`"


@dataclass(frozen=True)
class Check:
    """One setting.

    Attributes:
        name: What it is about.
        outcome: Whether it is as it should be.
        sentence: What was found.
        click: What to do about it; empty when it passes.
        answer: What GitHub was asked, and its status.
    """

    name: str
    outcome: Outcome
    sentence: str
    click: str
    answer: str


@dataclass(frozen=True)
class Facts:
    """What GitHub says about a repository.

    Attributes:
        repository: "owner/name".
        settings: The repository itself.
        actions: Whether Actions run, and which.
        token: What a workflow's token may do.
        workflows: The workflows, and whether they are active.
        files: Those of the loop's workflows that wait for what happens to a branch, by name.
        rulesets: The list of rulesets.
        rules: Each ruleset in full.
        branches: The commit of each branch that the loop writes; None where it is not there.
        release: The newest release.
        codeowners: The file .github/CODEOWNERS.
        production: The environment that promote.yml deploys to.
        now: The time.
        advisories: What CML's own repository has published of its security.
    """

    repository: str
    settings: Answer
    actions: Answer
    token: Answer
    workflows: Answer
    files: Mapping[str, Answer]
    rulesets: Answer
    rules: tuple[Mapping[str, Any], ...]
    branches: Mapping[str, str | None]
    release: Answer
    codeowners: Answer
    production: Answer
    now: datetime
    advisories: Answer

    @property
    def default_branch(self) -> str:
        """The branch that pull requests go to; "" when GitHub does not tell."""
        return str(self.settings.body["default_branch"]) if self.settings.known else ""

    @property
    def is_private(self) -> bool:
        """Whether not everybody may read it."""
        return bool(self.settings.known and self.settings.body.get("private"))


def ask(forge: Forge) -> Facts:
    """Read all that `examine` looks at.

    Raises:
        ApiError: The token is refused, or GitHub cannot be reached.
    """
    rulesets = forge.ask("/rulesets", per_page=100)
    found = [forge.ask(f"/rulesets/{ruleset['id']}") for ruleset in (rulesets.body or []) if _is_active(ruleset)]
    return Facts(
        repository=forge.repository,
        settings=forge.ask(),
        actions=forge.ask("/actions/permissions"),
        token=forge.ask("/actions/permissions/workflow"),
        workflows=forge.ask("/actions/workflows", per_page=100),
        files={name: forge.ask(f"/contents/.github/workflows/{name}") for name in LISTENING},
        rulesets=rulesets,
        rules=tuple(answer.body for answer in found if answer.known),
        branches={name: forge.branch(name) for name in ("records", "deploy")},
        release=forge.ask("/releases/latest"),
        codeowners=forge.ask("/contents/.github/CODEOWNERS"),
        production=forge.ask(f"/environments/{PRODUCTION}"),
        now=datetime.now(UTC),
        advisories=forge.ask("/security-advisories", of=cml.REPOSITORY, state="published"),
    )


def examine(facts: Facts) -> list[Check]:
    """Every check, in the order in which one sets up a repository."""
    return [check for examined in _CHECKS for check in examined(facts)]


def problem(root: Path) -> Check:
    """Whether the problem in a clone's `src/` is as it must be, and the one that `dvc.yaml` depends on."""
    if not (root / "params.yaml").is_file():
        return Check("problem", "unknown", "there is no params.yaml here", "run this in a clone of the repository", "")
    try:
        folder = folders.check(params.load(root / "params.yaml").problem, (root / folders.SRC).resolve())
    except RatchetError as error:
        sentence, _, click = str(error).partition("\n")
        return Check("problem", "fail", sentence, click, "")
    return Check("problem", "pass", f"src/{folder.name}/ is whole, and what dvc.yaml depends on", "", "")


def told(checks: list[Check]) -> list[str]:
    """The checks as lines of text; under each that does not pass, what to do and what GitHub was asked."""
    lines = []
    for check in checks:
        lines.append(f"{SYMBOLS[check.outcome]}  {check.name}: {check.sentence}")
        if check.outcome != "pass":
            lines += [f"      {line}" for line in (check.click, check.answer) if line]
    counts = {outcome: sum(check.outcome == outcome for check in checks) for outcome in SYMBOLS}
    lines.append(f"{counts['pass']} pass, {counts['fail']} fail, {counts['unknown']} unknown")
    return lines


def healthy(checks: list[Check]) -> bool:
    """Whether nothing fails; what is unknown does not count."""
    return all(check.outcome != "fail" for check in checks)


def _template(facts: Facts) -> Iterator[Check]:
    def says(body: Mapping[str, Any]) -> tuple[bool, str]:
        if body.get("fork"):
            return False, "a fork has no releases, and its workflows and schedules are off"
        return True, "made from the template, not a fork"

    yield _check(
        "repository", facts.settings, says, "github.com → Use this template → Create a new repository, and go on there"
    )


def _actions(facts: Facts) -> Iterator[Check]:
    def says(body: Mapping[str, Any]) -> tuple[bool, str]:
        if not body["enabled"]:
            return False, "switched off"
        if body.get("allowed_actions") == "local_only":
            return False, "only actions of this repository are allowed; the workflows use others, pinned by commit"
        return True, "switched on"

    click = "Settings → Actions → General → Actions permissions → Allow all actions and reusable workflows"
    yield _check("Actions", facts.actions, says, click)


def _token(facts: Facts) -> Iterator[Check]:
    where = "Settings → Actions → General → Workflow permissions →"

    def reads(body: Mapping[str, Any]) -> tuple[bool, str]:
        level = body["default_workflow_permissions"]
        return level == "read", f"a job that asks for nothing may {level}"

    def opens(body: Mapping[str, Any]) -> tuple[bool, str]:
        may = bool(body["can_approve_pull_request_reviews"])
        return may, f"Actions may {'' if may else 'not '}open pull requests: adopting a fork's needs it, and retraining"

    yield _check("token", facts.token, reads, f"{where} Read repository contents and packages permissions")
    yield _check(
        "pull requests by Actions",
        facts.token,
        opens,
        f"{where} Allow GitHub Actions to create and approve pull requests",
    )


def _rules(facts: Facts) -> Iterator[Check]:
    imported = "Settings → Rules → Rulesets → New ruleset → Import a ruleset →"

    def gates(_: Any) -> tuple[bool, str]:
        lacks = list(_lacks(_for(facts, facts.default_branch)))
        return not lacks, "; ".join(lacks) or f"nothing is merged into {facts.default_branch} without both gates"

    def kept(_: Any) -> tuple[bool, str]:
        branches = {name: {str(rule["type"]) for rule in _for(facts, name)} for name in ("records", "deploy")}
        loose = [name for name, types in branches.items() if not {"deletion", "non_fast_forward"} <= types]
        said = f"{' and '.join(loose)} may be rewritten or deleted"
        return not loose, said if loose else "records and deploy only ever move forward"

    yield _check("merges", facts.rulesets, gates, f"{imported} .github/rulesets/main.json")
    yield _check("history", facts.rulesets, kept, f"{imported} .github/rulesets/records.json")


def _lacks(rules: list[Mapping[str, Any]]) -> Iterator[str]:
    """What a merge should need and does not."""
    types = {rule["type"] for rule in rules}
    wanted = {"pull_request": "a pull request", "non_fast_forward": "no force push", "deletion": "no deletion"}
    lacking = [said for name, said in wanted.items() if name not in types]
    if lacking:
        yield f"no active ruleset asks for {', '.join(lacking)}"
    checks = [rule["parameters"] for rule in rules if rule["type"] == "required_status_checks"]
    required = {check["context"] for rule in checks for check in rule["required_status_checks"]}
    for context in CONTEXTS:
        if context not in required:
            yield f"{context} is not required"
    if not any(rule.get("strict_required_status_checks_policy") for rule in checks):
        yield "branches need not be up to date, so yesterday's verdict would merge today"


def _merging(facts: Facts) -> Iterator[Check]:
    def says(body: Mapping[str, Any]) -> tuple[bool, str]:
        ways = {name: body[f"allow_{name}"] for name in ("merge_commit", "squash_merge")}  # absent without rights
        allowed = [name.replace("_", " ") for name, may in ways.items() if may]
        return bool(allowed), f"by {' or '.join(allowed)}" if allowed else "neither merge commits nor squash merges"

    yield _check(
        "merge button",
        facts.settings,
        says,
        "Settings → General → Pull Requests → Allow merge commits, Allow squash merging",
    )


def _branches(facts: Facts) -> Iterator[Check]:
    written = {"records": "with the first verdict", "deploy": "with the first deployment"}
    for name, when in written.items():
        at = facts.branches.get(name)
        said = f"at {at[:10]}" if at else f"not there yet; it is made {when}"
        yield Check(f"branch {name}", "pass", said, "", "")


def _release(facts: Facts) -> Iterator[Check]:
    answer, click = facts.release, "Actions → release → Run workflow"
    if answer.status == 404:
        yield Check("release", "fail", "none yet, so there is no champion to beat", click, _asked(answer))
    else:
        yield _check("release", answer, lambda body: (True, f"{body['tag_name']} is the champion"), click)


def _schedules(facts: Facts) -> Iterator[Check]:
    def says(body: Mapping[str, Any]) -> tuple[bool, str]:
        off = sorted(str(w["name"]) for w in body["workflows"] if str(w.get("state", "active")).startswith("disabled"))
        return not off, f"{', '.join(off)} switched off" if off else "all are switched on"

    def fresh(body: Mapping[str, Any]) -> tuple[bool, str]:
        idle = facts.now - datetime.fromisoformat(body["pushed_at"])
        return idle < WARN, f"last push {idle.days} days ago; GitHub stops schedules after {IDLE.days}"

    yield _check("workflows", facts.workflows, says, "Actions → the workflow's name → Enable workflow")
    if not facts.is_private:  # only public repositories' schedules are stopped
        yield _check(
            "schedules", facts.settings, fresh, "push a commit, or Actions → the workflow's name → Enable workflow"
        )


def _listening(facts: Facts) -> Iterator[Check]:
    """A workflow that waits for pushes to another branch than the default one does nothing, without a word."""
    branch = facts.default_branch

    def says(_: Any) -> tuple[bool, str]:
        missing = [name for name, answer in facts.files.items() if answer.status == 404]
        read = {name: _text(answer) for name, answer in facts.files.items() if answer.known}
        deaf = [f"{name} {why}" for name, text in read.items() for why in _deaf(text, LISTENING[name], branch)]
        said = [f"{name} is not there" for name in missing] + deaf
        return not said, f"{branch}: " + ("; ".join(said) or "what happens to it starts the workflows")

    click = f"in .github/workflows, let `on:` name the event, with no `branches` or with some that fit {branch}"
    yield _check("default branch", facts.settings, says, click)


def _deaf(text: str, events: Sequence[str], branch: str) -> list[str]:
    """Of which events a workflow does not hear, or why there is no telling."""
    try:
        return [f"does not hear of {event}" for event in events if not triggers.hears(text, event, branch)]
    except RatchetError as error:
        return [f"cannot be read ({error})"]


def _plan(facts: Facts) -> Iterator[Check]:
    if facts.is_private:
        said = "private: rulesets need Pro or Team, required reviewers and attestations Enterprise; all else works"
        click = "github.com/settings/billing, or Settings → General → Danger Zone → Change visibility"
        yield Check("plan", "unknown", said, click, _asked(facts.settings))
    else:
        said = "public: attestations, rulesets and approvals are free"
        yield _check("plan", facts.settings, lambda _: (True, said), "")


def _owners(facts: Facts) -> Iterator[Check]:
    click = "edit .github/CODEOWNERS: put a person or a team with write access where @OWNER stands"

    def says(_: Any) -> tuple[bool, str]:
        rules = [
            line for line in _text(facts.codeowners).splitlines() if line.strip() and not line.lstrip().startswith("#")
        ]
        if any(re.search(r"@OWNER\b", rule) for rule in rules):
            return False, "nobody is asked when the judge changes: it still says @OWNER"
        return bool(rules), "the judge has owners" if rules else "it names nobody"

    if facts.codeowners.status == 404:
        yield Check("CODEOWNERS", "fail", "there is no such file", click, _asked(facts.codeowners))
    else:
        yield _check("CODEOWNERS", facts.codeowners, says, click)


def _cml(facts: Facts) -> Iterator[Check]:
    """The commit of CML that verdict.yml pins. What is published against the packages of its lock is not asked."""
    click = "Settings → Secrets and variables → Actions → Variables → CML: off, and the API writes the comment alone"
    found = [str(each.get("ghsa_id")) for each in facts.advisories.body or ()]
    if found:
        yield Check("CML", "fail", f"its repository has published {', '.join(found)}", click, _asked(facts.advisories))
    of = f"its pinned commit is of {cml.COMMITTED:%Y-%m-%d}"
    if facts.now - cml.COMMITTED > OLD:
        yield Check("CML", "unknown", f"{of}, more than two years old", click, _asked(facts.advisories))
    elif not found:
        yield Check("CML", "pass", of, "", "")


def _approval(facts: Facts) -> Iterator[Check]:
    where, answer = f"Settings → Environments → {PRODUCTION} → Required reviewers", facts.production
    asks_nobody = f"nobody is asked before a model comes to {PRODUCTION}"
    if facts.is_private and not _reviewers(answer):
        said = f"{asks_nobody}; in a private repository that needs GitHub Enterprise"
        yield Check("approval", "unknown", said, where, _asked(answer))
    elif answer.status == 404:
        click = f"Settings → Environments → New environment → {PRODUCTION}, and there Required reviewers"
        yield Check("approval", "fail", f"{asks_nobody}: there is no such environment", click, _asked(answer))
    else:

        def says(_: Any) -> tuple[bool, str]:
            names = _reviewers(answer)
            return bool(names), f"{' or '.join(names)} lets a model into {PRODUCTION}" if names else asks_nobody

        yield _check("approval", answer, says, where)


def _reviewers(answer: Answer) -> list[str]:
    """Of whom one has to approve before a job deploys to an environment: people by login, teams by name."""
    rules = answer.body.get("protection_rules") or [] if answer.known else []
    asked = [one["reviewer"] for rule in rules if rule["type"] == "required_reviewers" for one in rule["reviewers"]]
    return [str(one.get("login") or one.get("name")) for one in asked]


_CHECKS: tuple[Callable[[Facts], Iterator[Check]], ...] = (
    _template,
    _plan,
    _actions,
    _token,
    _rules,
    _merging,
    _owners,
    _approval,
    _cml,
    _branches,
    _release,
    _schedules,
    _listening,
)


def _check(name: str, answer: Answer, says: Callable[[Any], tuple[bool, str]], click: str) -> Check:
    """A check of what GitHub answered; unknown when it did not, or left out what this token may not see."""
    if not answer.known:
        return Check(name, "unknown", f"GitHub does not tell this token ({answer.status})", ADMIN, _asked(answer))
    try:
        passes, sentence = says(answer.body)
    except (KeyError, TypeError):
        return Check(name, "unknown", "GitHub's answer leaves it out", ADMIN, _asked(answer))
    return Check(name, "pass" if passes else "fail", sentence, "" if passes else click, _asked(answer))


def _text(answer: Answer) -> str:
    """A file, as the API gives it."""
    return base64.b64decode(answer.body["content"]).decode(errors="replace")


def _asked(answer: Answer) -> str:
    return f"GET {answer.path} answers {answer.status}"


def _is_active(ruleset: Mapping[str, Any]) -> bool:
    return ruleset.get("enforcement") == "active" and ruleset.get("target", "branch") == "branch"


def _for(facts: Facts, branch: str) -> list[Mapping[str, Any]]:
    """The rules that hold for a branch."""

    def named(patterns: list[str]) -> bool:
        special = {"~ALL": True, "~DEFAULT_BRANCH": branch == facts.default_branch}
        return any(special.get(p, fnmatchcase(f"refs/heads/{branch}", p)) for p in patterns)

    return [
        rule
        for ruleset in facts.rules
        if named(ruleset["conditions"]["ref_name"]["include"])
        and not named(ruleset["conditions"]["ref_name"]["exclude"])
        for rule in ruleset["rules"]
    ]
