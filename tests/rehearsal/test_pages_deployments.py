"""The page of deployments, the buttons of an approval, and what the page of releases says of an image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pages_example as example
import pytest
from pages_example import NAME, Story, at

from ratchet.deploy.state import Arm, State, render
from rehearsal.forge import Run, environments
from rehearsal.forge.environments import Protection
from rehearsal.forge.git import Entry, Person
from rehearsal.pages import export
from rehearsal.pages.answers import answer

ONE, TWO = (Arm(f"model-v{digit}", digit * 64, f"ghcr.io/ada/flights@sha256:{digit * 64}") for digit in ("1", "2"))
ALONE = State("production", "all-at-once", {"blue": ONE, "green": None}, "blue")
CANARY = State("production", "canary", {"blue": ONE, "green": TWO}, "blue", "green", share=10)
BACK = State("production", "all-at-once", {"blue": ONE, "green": None}, "blue", withdrawn={"model-v2": "<i>rises</i>"})


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return example.tell(tmp_path / "forge")


def deploy(story: Story, content: str, seconds: float, environment: str = "production") -> str:
    """A commit on the branch `deploy`."""
    git = story.forge.git(NAME)
    parent = git.branch("deploy")
    entry = Entry(f"{environment}/state.json", "100644", "blob", git.write_blob(content.encode()))
    by = Person("github-actions[bot]", "bot@example.org", at(seconds))
    sha = git.write_commit(git.write_tree(parent, [entry]), [parent] if parent else [], "Move", by)
    git.update_ref("refs/heads/deploy", sha)
    return sha


def move(story: Story, state: State, seconds: float, run: int, **more: Any) -> None:
    """A state of production, and the record of who brought it."""
    sha = deploy(story, render(state), seconds)
    kind = "rollback" if "withdrawn" in more else "promotion"
    record: Mapping[str, Any] = {
        "kind": kind,
        "at": at(seconds),
        "environment": "production",
        "run": run,
        "who": "ada",
        "reason": "A tenth, to begin with",
        "strategy": state.strategy,
        "deploy_sha": sha,
        "tag": state.newcomer.release,
        **more,
    }
    story.record(f"{kind}s/production-{run}.json", record, seconds)


def see(story: Story, path: str = "/deployments") -> str:
    """A page of the repository."""
    found = answer(story.forge, f"/{NAME}{path}")
    assert found.status == 200
    assert isinstance(found.body, bytes)
    return found.body.decode()


def plain(page: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def held(story: Story, *reviewers: str) -> Run:
    """A run that waits for the reviewers of production."""
    environments.make(story.forge, story.repository, "production", Protection(reviewers))
    run = story.run("promote", "workflow_dispatch", None, 3000, 1, None)
    with story.forge.changing():
        run.status, run.jobs = "queued", []
    assert story.forge.hold_run(run, ["production"])
    return run


def test_nothing_was_deployed_yet(story: Story) -> None:
    """Both environments say so, and no move is listed."""
    page = plain(see(story))

    assert page.count("Nothing was deployed yet.") == 2
    assert "None yet." in page


def test_each_slot_says_what_it_has_to_do_and_who_brought_it(story: Story) -> None:
    """Role, share, image, and the reason; below, every move there was."""
    move(story, ALONE, 3000, 1, reason="The first one")
    move(story, CANARY, 3060, 2)

    page = plain(see(story))

    assert re.search(r"blue champion model-v1 90 % 1{12} ada : A tenth, to begin with , 24 Nov 2026, 09:51:00", page)
    assert re.search(r"green challenger model-v2 10 % 2{12} ada : A tenth, to begin with", page)
    assert page.index("promotion canary model-v2") < page.index("promotion all-at-once model-v1")
    assert 'style="width:10%"' in see(story)


def test_what_was_withdrawn_is_shown_with_its_reason_as_text(story: Story) -> None:
    """What people write is no markup."""
    move(story, CANARY, 3000, 1)
    move(story, BACK, 3060, 2, withdrawn="model-v2", restored_sha="0" * 40, reason="<i>rises</i>")

    page = see(story)

    assert "withdrawn model-v2 <i>rises</i>" in plain(page)
    assert "<i>rises</i>" not in page
    assert re.search(r"rollback all-at-once model-v1 model-v2 withdrawn", plain(page))


def test_a_state_that_is_none_is_told(story: Story) -> None:
    """The page says what is wrong with it, and shows the rest."""
    deploy(story, "{}", 3000)

    page = plain(see(story))

    assert "production/state.json: $" in page
    assert page.count("Nothing was deployed yet.") == 1


def test_the_copy_has_the_page(story: Story, tmp_path: Path) -> None:
    """With links to its commits, and nothing to press."""
    move(story, CANARY, 3000, 1)
    held(story, "ada")

    export(story.forge, tmp_path / "copy")

    page = (tmp_path / f"copy/{NAME}/deployments/index.html").read_text()
    assert "promote #1 waits for an approval before it deploys to production." in plain(page)
    assert "<form" not in page


@pytest.mark.parametrize(
    ("press", "state", "status"), [("approve", "approved", "queued"), ("reject", "rejected", "completed")]
)
def test_the_buttons_of_an_approval_do_what_they_say(story: Story, press: str, state: str, status: str) -> None:
    """The owner presses; the page then says who did, with which words."""
    run = held(story, "ada", "bob")
    path = f"/actions/runs/{run.id}"
    page = see(story, path)
    assert "It waits for approval before it deploys to production : ada or bob may give it." in plain(page)
    assert f'formaction="/{NAME}{path}/reject"' in page

    with story.forge as forge, httpx.Client(base_url=f"{forge.url}/{NAME}", follow_redirects=True) as browser:
        after = browser.post(f"{path}/{press}", data={"comment": "As <b>agreed</b>"})

    assert after.status_code == 200
    assert f"ada {state} production As <b>agreed</b>" in plain(after.text)
    assert (run.status, run.approvals[0].comment) == (status, "As <b>agreed</b>")


def test_an_owner_who_is_no_reviewer_is_told(story: Story) -> None:
    """On the page itself; the run still waits."""
    run = held(story, "bob")

    with story.forge as forge, httpx.Client(base_url=f"{forge.url}/{NAME}") as browser:
        refused = browser.post(f"/actions/runs/{run.id}/approve")

    assert (refused.status_code, run.status) == (403, "waiting")
    assert "ada is not a required reviewer of production." in plain(refused.text)


def test_what_does_not_wait_cannot_be_rejected(story: Story) -> None:
    """A run of a fork that waits for a maintainer is approved, or stays."""
    run = next(one for one in story.state.runs if one.status == "waiting")

    with story.forge as forge, httpx.Client(base_url=f"{forge.url}/{NAME}") as browser:
        assert browser.post(f"/actions/runs/{run.id}/reject").status_code == 403

    assert run.status == "waiting"


def test_a_release_shows_its_image_and_what_its_files_are(story: Story) -> None:
    """As the ledger names it; a release without a record has none."""
    image = f"ghcr.io/ada/flights@sha256:{'a' * 64}"
    assert "Image" not in plain(see(story, "/releases"))

    record = {"kind": "release", "at": at(70), "tag": "model-v1", "image": image, "model_digest": "b" * 64}
    story.record("releases/model-v1.json", {**record, "bento": "flights:b" + "b" * 15, "pull_request": 1}, 70)
    (made,) = story.state.releases
    made.assets[0].name = "sbom.spdx.json"
    page = see(story, "/releases")

    assert f'<code title="{image}">{"a" * 16}</code>' in page
    assert f"Bento flights:{'b' * 16} Judged in #1" in plain(page)
    assert "sbom.spdx.json what is in the image" in plain(page)
