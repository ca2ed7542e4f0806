"""The doctor says of each setting whether it is right, or what to click; what it may not know, it does not guess."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forge_example import Desk, desk
from ratchet import doctor, folders
from ratchet.doctor import Facts
from ratchet.forge import Answer
from rehearsal.forge import Forge as Server
from rehearsal.forge import environments
from rehearsal.forge.environments import Protection
from rehearsal.project import PARAMS

ROOT = Path(__file__).resolve().parents[1]
RULESETS = ROOT / ".github/rulesets"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def ruleset(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RULESETS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def answer(path: str, body: Any = None, status: int = 200) -> Answer:
    return Answer(f"/repos/ada/flights{path}", status, body)


def file(text: str) -> Answer:
    return answer("/contents/a-file", {"content": base64.b64encode(text.encode()).decode()})


def production(*reviewers: Mapping[str, Any]) -> Answer:
    """What GitHub says of the environment, when these have to approve."""
    timer = {"id": 1, "type": "wait_timer", "wait_timer": 5}
    rule = {"id": 2, "type": "required_reviewers", "reviewers": [{"type": "User", "reviewer": r} for r in reviewers]}
    return answer("/environments/production", {"protection_rules": [timer, *([rule] if reviewers else [])]})


def facts(**fields: Any) -> Facts:
    """What GitHub says of a repository that is set up as it should be."""
    healthy = Facts(
        repository="ada/flights",
        settings=answer(
            "",
            {
                "default_branch": "main",
                "private": False,
                "fork": False,
                "pushed_at": "2026-11-20T12:00:00Z",
                "allow_merge_commit": True,
                "allow_squash_merge": True,
            },
        ),
        actions=answer("/actions/permissions", {"enabled": True, "allowed_actions": "all"}),
        token=answer(
            "/actions/permissions/workflow",
            {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True},
        ),
        workflows=answer("/actions/workflows", {"workflows": [{"name": "report", "state": "active"}]}),
        files={name: file((ROOT / ".github/workflows" / name).read_text("utf-8")) for name in doctor.LISTENING},
        rulesets=answer("/rulesets", []),
        rules=(ruleset("main"), ruleset("records")),
        branches={"records": "a" * 40, "deploy": None},
        release=answer("/releases/latest", {"tag_name": "model-v1"}),
        codeowners=file("# the judge\n/src/ratchet/ @ada\n"),
        production=production({"login": "ada"}),
        now=NOW,
        advisories=Answer("/repos/iterative/cml/security-advisories", 200, []),
    )
    return replace(healthy, **fields)


def checks(found: Facts) -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.examine(found)}


def settings(**changes: Any) -> Answer:
    body: Mapping[str, Any] = facts().settings.body
    return answer("", {**body, **changes})


def test_a_repository_that_is_set_up_passes_every_check() -> None:
    """The committed rulesets, imported as they are, are what the doctor asks for."""
    found = doctor.examine(facts())

    assert {check.outcome for check in found if check.name != "CML"} == {"pass"}
    assert doctor.healthy(found)
    assert doctor.told(found)[-1] == "16 pass, 0 fail, 1 unknown"


@pytest.mark.parametrize(
    ("change", "name", "sentence", "click"),
    [
        ({"settings": settings(fork=True)}, "repository", "a fork has no releases", "Use this template"),
        (
            {"actions": answer("/actions/permissions", {"enabled": False})},
            "Actions",
            "switched off",
            "Settings → Actions → General → Actions permissions",
        ),
        (
            {"actions": answer("/actions/permissions", {"enabled": True, "allowed_actions": "local_only"})},
            "Actions",
            "only actions of this repository are allowed",
            "Allow all actions",
        ),
        (
            {
                "token": answer(
                    "/actions/permissions/workflow",
                    {"default_workflow_permissions": "write", "can_approve_pull_request_reviews": True},
                )
            },
            "token",
            "a job that asks for nothing may write",
            "Workflow permissions → Read repository contents",
        ),
        (
            {
                "token": answer(
                    "/actions/permissions/workflow",
                    {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False},
                )
            },
            "pull requests by Actions",
            "Actions may not open pull requests",
            "Allow GitHub Actions to create and approve pull requests",
        ),
        (
            {"rules": (ruleset("records"),)},
            "merges",
            "no active ruleset asks for a pull request, no force push, no deletion; ci-gate is not required; "
            "model-gate is not required; branches need not be up to date",
            "Import a ruleset → .github/rulesets/main.json",
        ),
        (
            {"rules": (ruleset("main"),)},
            "history",
            "records and deploy may be rewritten or deleted",
            "Import a ruleset → .github/rulesets/records.json",
        ),
        (
            {"settings": settings(allow_merge_commit=False, allow_squash_merge=False)},
            "merge button",
            "neither merge commits nor squash merges",
            "Settings → General → Pull Requests",
        ),
        (
            {"codeowners": file("/src/ratchet/ @OWNER\n")},
            "CODEOWNERS",
            "nobody is asked when the judge changes: it still says @OWNER",
            "edit .github/CODEOWNERS",
        ),
        (
            {"codeowners": answer("/contents/.github/CODEOWNERS", None, 404)},
            "CODEOWNERS",
            "there is no such file",
            "edit .github/CODEOWNERS",
        ),
        (
            {"production": answer("/environments/production", None, 404)},
            "approval",
            "nobody is asked before a model comes to production: there is no such environment",
            "Settings → Environments → New environment → production, and there Required reviewers",
        ),
        (
            {"production": production()},
            "approval",
            "nobody is asked before a model comes to production",
            "Settings → Environments → production → Required reviewers",
        ),
        (
            {"files": {"release.yml": file("on:\n  push:\n    branches: [trunk]\n"), "ci.yml": answer("", None, 404)}},
            "default branch",
            "main: ci.yml is not there; release.yml does not hear of push",
            "in .github/workflows, let `on:` name the event, with no `branches` or with some that fit main",
        ),
        (
            {"files": {"ci.yml": file("on:\n  push:\n    branches:\n"), "report.yml": file("on: push\n")}},
            "default branch",
            "main: ci.yml cannot be read (on: push: branches: None is no list of texts); "
            "report.yml does not hear of pull_request",
            "",
        ),
        (
            {"release": answer("/releases/latest", None, 404)},
            "release",
            "none yet, so there is no champion to beat",
            "Actions → release → Run workflow",
        ),
        (
            {"workflows": answer("", {"workflows": [{"name": "drift", "state": "disabled_inactivity"}]})},
            "workflows",
            "drift switched off",
            "Enable workflow",
        ),
        (
            {"settings": settings(pushed_at="2026-10-01T12:00:00Z")},
            "schedules",
            "last push 54 days ago; GitHub stops schedules after 60",
            "push a commit",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_click(
    change: dict[str, Any], name: str, sentence: str, click: str
) -> None:
    """Exactly one check fails, in words, with the place in GitHub's settings."""
    found = checks(facts(**change))

    assert [check.name for check in found.values() if check.outcome == "fail"] == [name]
    assert sentence in found[name].sentence
    assert click in found[name].click


def test_what_the_token_may_not_read_is_unknown() -> None:
    """Without the rights of an administrator nothing is guessed, and it is said whose token would do."""
    denied = answer("/actions/permissions", None, 403)
    found = checks(facts(actions=denied, token=denied, rulesets=denied, rules=()))

    unknown = {name for name, check in found.items() if check.outcome == "unknown"}
    assert unknown - {"CML"} == {"Actions", "token", "pull requests by Actions", "merges", "history"}
    assert "only an administrator may read this" in found["Actions"].click
    assert found["Actions"].answer == "GET /repos/ada/flights/actions/permissions answers 403"
    assert doctor.healthy(list(found.values()))


def test_settings_left_out_of_an_answer_are_unknown() -> None:
    """GitHub tells the merge settings to maintainers alone, and leaves them out for others."""
    body = {key: value for key, value in facts().settings.body.items() if not key.startswith("allow_")}

    assert checks(facts(settings=answer("", body)))["merge button"].outcome == "unknown"


def test_a_private_repository_is_told_what_needs_a_plan() -> None:
    """No failure: the rest works without, and schedules are only stopped in public repositories."""
    found = checks(facts(settings=settings(private=True)))

    assert found["plan"].outcome == "unknown"
    assert "rulesets need Pro or Team, required reviewers and attestations Enterprise" in found["plan"].sentence
    assert "schedules" not in found


@pytest.mark.parametrize(
    ("given", "outcome", "sentence"),
    [
        (production({"login": "ada"}, {"name": "On call"}), "pass", "ada or On call lets a model into production"),
        (production(), "unknown", "nobody is asked before a model comes to production; in a private repository that "),
        (
            answer("/environments/production", None, 404),
            "unknown",
            "nobody is asked before a model comes to production",
        ),
        (
            answer("/environments/production", None, 403),
            "unknown",
            "nobody is asked before a model comes to production",
        ),
    ],
)
def test_approval_in_a_private_repository_is_a_question_of_the_plan(given: Answer, outcome: str, sentence: str) -> None:
    """What GitHub does not offer there is no failure, and yet it is said."""
    found = checks(facts(settings=settings(private=True), production=given))["approval"]

    assert (found.outcome, found.sentence.startswith(sentence)) == (outcome, True)


def test_a_ruleset_that_is_not_strict_is_not_enough() -> None:
    """A branch that is behind could be merged on yesterday's verdict."""
    loose = ruleset("main")
    loose["rules"][3]["parameters"]["strict_required_status_checks_policy"] = False

    found = checks(facts(rules=(loose, ruleset("records"))))["merges"]

    assert (found.outcome, found.sentence) == (
        "fail",
        "branches need not be up to date, so yesterday's verdict would merge today",
    )


def test_a_ruleset_for_other_branches_does_not_count() -> None:
    """Only what holds for the default branch guards it."""
    elsewhere = ruleset("main")
    elsewhere["conditions"]["ref_name"] = {"include": ["~ALL"], "exclude": ["refs/heads/main"]}

    assert checks(facts(rules=(elsewhere, ruleset("records"))))["merges"].outcome == "fail"


@pytest.mark.parametrize(
    ("now", "advisories", "told"),
    [
        (datetime(2026, 10, 1, tzinfo=UTC), [], [("pass", "its pinned commit is of 2024-10-24")]),
        (NOW, [], [("unknown", "its pinned commit is of 2024-10-24, more than two years old")]),
        (
            datetime(2026, 10, 1, tzinfo=UTC),
            [{"ghsa_id": "GHSA-1"}],
            [("fail", "its repository has published GHSA-1")],
        ),
    ],
)
def test_a_commit_of_cml_that_is_old_or_has_an_advisory_is_told(
    now: datetime, advisories: list[dict[str, str]], told: list[tuple[str, str]]
) -> None:
    """Whoever does not want it any more switches it off by a variable."""
    answer = Answer("/repos/iterative/cml/security-advisories", 200, advisories)

    found = [check for check in doctor.examine(facts(now=now, advisories=answer)) if check.name == "CML"]

    assert [(check.outcome, check.sentence) for check in found] == told


def test_a_failure_is_printed_with_its_remedy_and_the_answer_behind_it() -> None:
    """Three lines for what fails, one for what passes."""
    found = doctor.told(doctor.examine(facts(release=answer("/releases/latest", None, 404))))

    at = found.index("FAIL  release: none yet, so there is no champion to beat")
    assert found[at + 1 : at + 3] == [
        "      Actions → release → Run workflow",
        "      GET /repos/ada/flights/releases/latest answers 404",
    ]
    assert found[-1] == "15 pass, 1 fail, 1 unknown"


def test_owned_paths_exist() -> None:
    """A rule of CODEOWNERS for a path that was renamed would guard nothing."""
    rules = [
        line.split()
        for line in (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]

    assert [path for path, *_ in rules if not list(ROOT.glob(path.strip("/")))] == []


def test_filling_in_the_owner_is_one_command() -> None:
    """The command that CODEOWNERS names makes the doctor content."""
    text = (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8")
    command = re.search(r"`sed -i '([^']+)'", text)
    assert command is not None

    filled = subprocess.run(["sed", command[1]], input=text, capture_output=True, text=True, check=True).stdout

    assert checks(facts(codeowners=file(filled)))["CODEOWNERS"].outcome == "pass"


@pytest.mark.parametrize("name", ["main", "records", "judge"])
def test_rulesets_have_the_form_that_github_imports(name: str) -> None:
    """The fields of an export without those that belong to the repository it was exported from."""
    assert sorted(ruleset(name)) == ["bypass_actors", "conditions", "enforcement", "name", "rules", "target"]
    assert (ruleset(name)["target"], ruleset(name)["enforcement"]) == ("branch", "active")


@pytest.fixture
def place(forge: Server) -> Desk:
    """A new repository."""
    return desk(forge)


def outcomes(found: list[doctor.Check]) -> dict[str, str]:
    return {check.name: check.outcome for check in found}


def test_a_new_repository_fails_where_its_owner_has_to_click(place: Desk) -> None:
    """The defaults of GitHub: Actions may not open pull requests, nothing is required, nothing is released."""
    found = outcomes(doctor.examine(doctor.ask(place.client())))

    assert {name for name, outcome in found.items() if outcome == "fail"} == {
        "pull requests by Actions",
        "merges",
        "history",
        "CODEOWNERS",
        "approval",
        "default branch",
        "release",
    }


def test_after_the_clicks_it_passes(place: Desk) -> None:
    """The rulesets are imported, the owner is named, production has a reviewer, the first release is out."""
    workflows = {f".github/workflows/{name}": "on: [push, pull_request]\n" for name in doctor.LISTENING}
    place.commit("main", {".github/CODEOWNERS": "/src/ratchet/ @ada\n", **workflows})
    place.client().create_release("model-v1", place.git.branch("main") or "", "model-v1", "The first.", [])
    with place.server.changing():
        place.server.repository(place.name).settings.actions_may_open_pulls = True
        environments.make(place.server, place.server.repository(place.name), "production", Protection(["ada"]))
    for name in ("main", "records"):
        made = subprocess.run(
            [
                "curl", "--silent", "--fail-with-body", "--header", f"Authorization: token {place.server.token('ada')}",
                "--data", f"@{RULESETS / name}.json", f"{place.server.api}/repos/{place.name}/rulesets",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout

    found = doctor.examine(doctor.ask(place.client()))

    assert {check.name: check.sentence for check in found if check.outcome != "pass" and check.name != "CML"} == {}


def test_without_the_rights_of_an_administrator_much_is_unknown(place: Desk) -> None:
    """A reader's token is told apart from a setting that is wrong."""
    client = place.client(place.server.token("eve", role="read"))

    found = outcomes(doctor.examine(doctor.ask(client)))

    assert "?     Actions: GitHub does not tell this token (403)" in doctor.told(doctor.examine(doctor.ask(client)))
    assert found["Actions"] == found["token"] == found["pull requests by Actions"] == "unknown"
    assert found["release"] == "fail"


class TestProblem:
    """What of a clone is looked at: the problem, and what dvc.yaml depends on."""

    def clone(self, root: Path, folder: str) -> doctor.Check:
        """Of a clone with the template's files, in which the problem stands in that folder."""
        for name in ("data", "model", "expectations"):
            (root / "src" / folder / name).mkdir(parents=True)
        (root / "src" / folder / "card.yaml").touch()
        (root / "params.yaml").write_text(PARAMS.read_text().replace("problem: flights", "problem: mine"))
        (root / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
        return doctor.problem(root)

    def test_that_is_whole_passes(self, tmp_path: Path) -> None:
        """Under any name: dvc.yaml takes it from params.yaml."""
        assert self.clone(tmp_path, "mine") == doctor.Check(
            "problem", "pass", "src/mine/ is whole, and what dvc.yaml depends on", "", ""
        )

    def test_that_is_not_there_fails(self, tmp_path: Path) -> None:
        """The name in params.yaml is no folder's."""
        found = self.clone(tmp_path, "theirs")

        assert (found.name, found.outcome) == ("problem", "fail")
        assert found.sentence.startswith("params.yaml: problem: there is no folder src/mine/; it holds ")

    def test_on_which_nothing_depends_fails(self, tmp_path: Path) -> None:
        """A dvc.yaml that names another: what to write instead stands below."""
        (tmp_path / "again").mkdir()
        self.clone(tmp_path / "again", "mine")
        pipeline = tmp_path / "again" / "dvc.yaml"
        pipeline.write_text(pipeline.read_text().replace("${problem}/model", "flights/model"))
        folders.check.cache_clear()

        found = doctor.problem(tmp_path / "again")

        assert found.outcome == "fail"
        assert found.sentence.startswith(
            "dvc.yaml: train: depends on src/flights/model, but the problem of params.yaml"
        )
        assert found.click == "write src/${problem}/ instead of src/flights/"

    def test_without_a_clone_is_unknown(self, tmp_path: Path) -> None:
        """The verb may be called from anywhere."""
        assert doctor.problem(tmp_path).outcome == "unknown"
