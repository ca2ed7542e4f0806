"""Pull requests."""

from __future__ import annotations

from rehearsal.forge import access, events, pulls
from rehearsal.forge.git import Changed, Commit
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import commits
from rehearsal.forge.shapes import pulls as shapes
from rehearsal.forge.state import Pull, Review, now

_DIFF = ("application/vnd.github.diff", "application/vnd.github.v3.diff")


def _pull(ask: Ask) -> Pull:
    return ask.forge.pull(ask.repository, ask.number("pull_number"))


def _list(ask: Ask) -> Answer:
    state, query = ask.query.get("state", "open"), ask.query
    if state not in {"open", "closed", "all"}:
        raise invalid("PullRequest", "state")
    found = [one for one in ask.forge.pulls(ask.repository) if state in {"all", one.state}]
    if "head" in query:
        found = [one for one in found if f"{one.head_repository.split('/')[0]}:{one.head_ref}" == query["head"]]
    if "base" in query:
        found = [one for one in found if one.base_ref == query["base"]]
    key = {"updated": "updated_at"}.get(query.get("sort", ""), "number")
    down = query.get("direction", "asc" if query.get("sort", "created") != "created" else "desc") == "desc"
    found.sort(key=lambda one: getattr(one, key), reverse=down)
    return page(ask, found, lambda one: shapes.simple(ask.forge, one))


def _get(ask: Ask) -> Answer:
    pull = _pull(ask)
    if ask.headers.get("accept", "").startswith(_DIFF):
        base = ask.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        return Answer(200, ask.git.run("diff", base, pull.head_sha), {"Content-Type": _DIFF[0]})
    return Answer(200, shapes.full(ask.forge, pull))


def _create(ask: Ask) -> Answer:
    body = ask.body
    head, base = ask.need("head", str, "PullRequest"), ask.need("base", str, "PullRequest")
    title = ask.need("title", str, "PullRequest")
    _may_propose(ask, head)
    proposal = pulls.Proposal(title, head, base, body.get("body") or "", bool(body.get("draft")))
    return Answer(201, shapes.full(ask.forge, pulls.open_pull(ask.forge, ask.repository, proposal, ask.actor)))


def _may_propose(ask: Ask, head: str) -> None:
    """From this repository only those who can write propose; from a fork whoever can write there."""
    owner, colon, _ = head.rpartition(":")
    is_own = not colon or owner == ask.repository.owner
    held = "write" if ask.actor.is_workflow else access.role(ask.forge.state, ask.repository, ask.actor)
    if is_own and not access.reaches(held, "write"):
        raise Refusal(403, "Resource not accessible by personal access token")


def _edit(ask: Ask) -> Answer:
    pull, body = _pull(ask), ask.body
    held = "write" if ask.actor.is_workflow else access.role(ask.forge.state, ask.repository, ask.actor)
    if not access.reaches(held, "write") and ask.login != pull.user:
        raise Refusal(403, "Resource not accessible by personal access token")
    if body.get("state") not in {None, "open", "closed"}:
        raise invalid("PullRequest", "state")
    before = {"title": pull.title, "body": pull.body}
    pull.title, pull.body = body.get("title") or pull.title, body.get("body", pull.body) or ""
    if "base" in body:
        if ask.git.branch(body["base"]) is None:
            raise invalid("PullRequest", "base")
        pull.base_ref, pull.base_sha = body["base"], ask.git.branch(body["base"]) or pull.base_sha
    pull.updated_at = now()
    if before != {"title": pull.title, "body": pull.body} or "base" in body:
        ask.forge.emit(events.pull_request(ask.forge, pull, "edited", ask.login, {"changes": {}}), ask.actor)
    if body.get("state", pull.state) != pull.state:
        change = pulls.close if body["state"] == "closed" else pulls.reopen
        change(ask.forge, pull, ask.actor)
    return Answer(200, shapes.full(ask.forge, pull))


def _commits(ask: Ask) -> Answer:
    pull = _pull(ask)
    base = ask.git.merge_base(pull.base_sha, pull.head_sha)
    found = list(reversed(ask.git.log(pull.head_sha, base)))

    def shape(one: Commit) -> dict[str, object]:
        return commits.commit_of(ask.forge, ask.repository, one)

    return page(ask, found, shape)


def _files(ask: Ask) -> Answer:
    pull = _pull(ask)
    base = ask.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha

    def shape(one: Changed) -> dict[str, object]:
        return commits.diff_entry(ask.forge, ask.repository, one, pull.head_sha)

    return page(ask, ask.git.diff(base, pull.head_sha), shape)


def _is_merged(ask: Ask) -> Answer:
    if not _pull(ask).merged:
        raise not_found()
    return Answer(204)


def _reviews(ask: Ask) -> Answer:
    pull = _pull(ask)
    found = ask.forge.state.reviews_of(pull.repository, pull.number)
    return page(ask, found, lambda one: shapes.review(ask.forge, pull, one))


def _review(ask: Ask) -> Answer:
    pull, body, state = _pull(ask), ask.body, ask.forge.state
    said = _REVIEWS.get(body.get("event", ""))
    text = body.get("body") or ""
    if said is None or (said != "APPROVED" and not text):
        raise Refusal(422, "Unprocessable Entity")
    if said != "COMMENTED":
        _refuse_judging(ask, pull, said)
    sha = body.get("commit_id") or pull.head_sha
    review = Review(state.new_id(), pull.repository, pull.number, ask.login, said, text, sha)
    state.reviews.append(review)
    return Answer(200, shapes.review(ask.forge, pull, review))


def _refuse_judging(ask: Ask, pull: Pull, said: str) -> None:
    """Nobody judges their own, and workflows only where they are let."""
    if ask.login == pull.user:
        word = "approve" if said == "APPROVED" else "request changes on"
        raise Refusal(422, f"Unprocessable Entity: Can not {word} your own pull request")
    if ask.actor.is_workflow and not ask.repository.settings.actions_may_open_pulls:
        raise Refusal(422, "Unprocessable Entity: GitHub Actions is not permitted to approve pull requests.")


def _request_reviews(ask: Ask) -> Answer:
    pull, wanted = _pull(ask), ask.body.get("reviewers") or []
    if ask.body.get("team_reviewers") or any(not _may_review(ask, login) for login in wanted):
        raise Refusal(
            422,
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not "
            f"a collaborator of the {ask.repository.full_name} repository.",
        )
    if pull.user in wanted:
        raise Refusal(422, "Review cannot be requested from pull request author.")
    pull.reviewers = sorted({*pull.reviewers, *wanted})
    return Answer(201, shapes.simple(ask.forge, pull))


def _may_review(ask: Ask, login: str) -> bool:
    """Whoever was given a role here, be it to read; that anybody may read what is public is none."""
    given = {ask.repository.owner, *ask.repository.collaborators}
    return login in given | {token.user for token in ask.forge.state.tokens if token.permissions is None}


def _merge(ask: Ask) -> Answer:
    pull, body = _pull(ask), ask.body
    how = pulls.Merge(
        body.get("merge_method") or "merge", body.get("sha"), body.get("commit_title"), body.get("commit_message")
    )
    sha = pulls.merge(ask.forge, pull, how, ask.actor)
    return Answer(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _update_branch(ask: Ask) -> Answer:
    pull = _pull(ask)
    pulls.update_branch(ask.forge, pull, ask.body.get("expected_head_sha"), ask.actor)
    message = "Updating pull request branch."
    return Answer(202, {"message": message, "url": f"{ask.forge.url}/{pull.repository}/pull/{pull.number}"})


def _of_commit(ask: Ask) -> Answer:
    sha = ask.git.resolve(ask.params["commit_sha"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {ask.params['commit_sha']}")
    found = [one for one in ask.forge.pulls(ask.repository) if _holds(ask, one, sha)]
    return page(ask, found, lambda one: shapes.simple(ask.forge, one))


def _holds(ask: Ask, pull: Pull, sha: str) -> bool:
    if sha in {pull.head_sha, pull.merge_commit_sha}:
        return True
    base = ask.git.merge_base(pull.base_sha, pull.head_sha)
    return any(one.sha == sha for one in ask.git.log(pull.head_sha, base))


_REVIEWS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_READ, _WRITE = "pull-requests:read", "pull-requests:write"
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/pulls", _list, _READ),
    Route("POST", "/repos/{owner}/{repo}/pulls", _create, _WRITE, "read"),
    Route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", _get, _READ),
    Route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", _edit, _WRITE, "read"),
    Route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", _commits, _READ),
    Route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", _files, _READ),
    Route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", _is_merged, _READ),
    Route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", _reviews, _READ),
    Route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", _review, _WRITE, "read"),
    Route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", _request_reviews, _WRITE),
    Route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", _merge, "contents:write"),
    Route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/update-branch", _update_branch, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", _of_commit, _READ),
)
