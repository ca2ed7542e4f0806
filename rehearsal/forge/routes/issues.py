"""Issues, comments and labels."""

from __future__ import annotations

from rehearsal.forge import access, events, pulls
from rehearsal.forge.http import Answer, Ask, newest, page
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import issues as shapes
from rehearsal.forge.state import Comment, Issue, Label, Pull, now

_LIMIT = 65536
_COLOURS = set("0123456789abcdefABCDEF")


def _subject(ask: Ask) -> Issue | Pull:
    name, number = ask.repository.full_name, ask.number("issue_number")
    found = ask.forge.state.issue(name, number) or ask.forge.state.pull(name, number)
    if found is None:
        raise not_found()
    if isinstance(found, Pull) and ask.actor.is_workflow:
        _need(ask, "pull-requests")
    if isinstance(found, Issue) and ask.actor.is_workflow:
        _need(ask, "issues")
    return found


def _need(ask: Ask, kind: str) -> None:
    """A pull request's conversation opens to either permission, an issue's to its own alone."""
    held = (ask.actor.token.permissions or {}) if ask.actor.token else {}
    kinds = ["issues", "pull-requests"] if kind == "pull-requests" else ["issues"]
    if not any(access.reaches(held.get(one), "read") for one in kinds):
        raise Refusal(403, "Resource not accessible by integration")


def _can_write(ask: Ask) -> bool:
    if ask.actor.is_workflow:
        return True
    return access.reaches(access.role(ask.forge.state, ask.repository, ask.actor), "write")


# Issues.


def _list(ask: Ask) -> Answer:
    name, query = ask.repository.full_name, ask.query
    state, wanted = query.get("state", "open"), {one for one in query.get("labels", "").split(",") if one}
    every: list[Issue | Pull] = [one for one in ask.forge.state.issues if one.repository == name]
    every += ask.forge.pulls(name)
    found = [one for one in every if state in {"all", one.state} and wanted <= set(one.labels)]
    if "creator" in query:
        found = [one for one in found if one.user == query["creator"]]
    found.sort(key=lambda one: one.number)
    return page(ask, newest(found, ask), lambda one: shapes.issue(ask.forge, one))


def _create(ask: Ask) -> Answer:
    state, repository = ask.forge.state, ask.repository
    title = ask.need("title", str, "Issue")
    if not title.strip():
        raise invalid("Issue", "title", "missing_field")
    number = repository.next_number
    repository.next_number += 1
    issue = Issue(state.new_id(), repository.full_name, number, title, ask.body.get("body") or "", ask.login)
    if _can_write(ask):
        issue.labels = _known(ask, ask.body.get("labels") or [])
    state.issues.append(issue)
    return Answer(201, shapes.issue(ask.forge, issue))


def _get(ask: Ask) -> Answer:
    return Answer(200, shapes.issue(ask.forge, _subject(ask)))


def _edit(ask: Ask) -> Answer:
    one, body = _subject(ask), ask.body
    if not _can_write(ask) and ask.login != one.user:
        raise Refusal(403, "Resource not accessible by personal access token")
    if body.get("state") not in {None, "open", "closed"}:
        raise invalid("Issue", "state")
    one.title, one.body = body.get("title") or one.title, body.get("body", one.body) or ""
    if "labels" in body:
        one.labels = _known(ask, body["labels"])
    if body.get("state", one.state) != one.state:
        _set_state(ask, one, body["state"])
    one.updated_at = now()
    return Answer(200, shapes.issue(ask.forge, one))


def _set_state(ask: Ask, one: Issue | Pull, state: str) -> None:
    if isinstance(one, Pull):
        (pulls.close if state == "closed" else pulls.reopen)(ask.forge, one, ask.actor)
        return
    one.state, one.closed_at = state, now() if state == "closed" else None
    one.state_reason = (ask.body.get("state_reason") or "completed") if state == "closed" else "reopened"


# Comments.


def _comments(ask: Ask) -> Answer:
    one = _subject(ask)
    found = ask.forge.state.comments_of(one.repository, one.number)
    return page(ask, _since(ask, found), lambda comment: shapes.comment(ask.forge, comment))


def _all_comments(ask: Ask) -> Answer:
    found = [one for one in ask.forge.state.comments if one.repository == ask.repository.full_name]
    listed = newest(_since(ask, found), ask, default="asc")
    return page(ask, listed, lambda comment: shapes.comment(ask.forge, comment))


def _since(ask: Ask, found: list[Comment]) -> list[Comment]:
    since = ask.query.get("since", "")
    return [one for one in found if one.updated_at >= since]


def _text(ask: Ask) -> str:
    body = ask.need("body", str, "IssueComment")
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body) > _LIMIT:
        message = f"Body is too long (maximum is {_LIMIT} characters)"
        raise Refusal(
            422,
            "Validation Failed",
            [{"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": message}],
        )
    return body


def _add_comment(ask: Ask) -> Answer:
    one, state = _subject(ask), ask.forge.state
    comment = Comment(state.new_id(), one.repository, one.number, ask.login, _text(ask))
    state.comments.append(comment)
    one.updated_at = now()
    ask.forge.emit(events.comment(ask.forge, comment, "created", ask.login), ask.actor)
    return Answer(201, shapes.comment(ask.forge, comment))


def _comment(ask: Ask) -> Comment:
    wanted = (ask.repository.full_name, ask.number("comment_id"))
    found = next((one for one in ask.forge.state.comments if (one.repository, one.id) == wanted), None)
    if found is None:
        raise not_found()
    return found


def _get_comment(ask: Ask) -> Answer:
    return Answer(200, shapes.comment(ask.forge, _comment(ask)))


def _own_comment(ask: Ask) -> Comment:
    comment = _comment(ask)
    if not _can_write(ask) and comment.user != ask.login:
        raise Refusal(403, "Resource not accessible by personal access token")
    return comment


def _edit_comment(ask: Ask) -> Answer:
    comment = _own_comment(ask)
    old, comment.body, comment.updated_at = comment.body, _text(ask), now()
    ask.forge.emit(events.comment(ask.forge, comment, "edited", ask.login, old), ask.actor)
    return Answer(200, shapes.comment(ask.forge, comment))


def _delete_comment(ask: Ask) -> Answer:
    comment = _own_comment(ask)
    ask.forge.state.comments.remove(comment)
    ask.forge.emit(events.comment(ask.forge, comment, "deleted", ask.login), ask.actor)
    return Answer(204)


# Labels.


def _known(ask: Ask, names: list[object]) -> list[str]:
    """Names of labels; those that are new are made, as GitHub does."""
    repository, found = ask.repository, []
    for item in names:
        name = str(item["name"] if isinstance(item, dict) else item)
        if all(one.name != name for one in repository.labels):
            repository.labels.append(Label(ask.forge.state.new_id(), name))
        found.append(name)
    return list(dict.fromkeys(found))


def _shown(ask: Ask, names: list[str]) -> Answer:
    return Answer(200, shapes.labels(ask.forge, ask.repository.full_name, names))


def _issue_labels(ask: Ask) -> Answer:
    return _shown(ask, _subject(ask).labels)


def _given_labels(ask: Ask) -> list[str]:
    return _known(ask, ask.body.get("labels") or [])


def _add_labels(ask: Ask) -> Answer:
    one = _subject(ask)
    one.labels = list(dict.fromkeys([*one.labels, *_given_labels(ask)]))
    return _shown(ask, one.labels)


def _set_labels(ask: Ask) -> Answer:
    one = _subject(ask)
    one.labels = _given_labels(ask)
    return _shown(ask, one.labels)


def _remove_label(ask: Ask) -> Answer:
    one, name = _subject(ask), ask.params["name"]
    if name not in one.labels:
        raise Refusal(404, "Label does not exist")
    one.labels.remove(name)
    return _shown(ask, one.labels)


def _labels(ask: Ask) -> Answer:
    name = ask.repository.full_name
    return page(ask, ask.repository.labels, lambda one: shapes.label(ask.forge, name, one))


def _label(ask: Ask) -> Label:
    found = next((one for one in ask.repository.labels if one.name == ask.params["name"]), None)
    if found is None:
        raise not_found()
    return found


def _get_label(ask: Ask) -> Answer:
    return Answer(200, shapes.label(ask.forge, ask.repository.full_name, _label(ask)))


def _create_label(ask: Ask) -> Answer:
    name, colour = ask.need("name", str, "Label"), ask.body.get("color", "ededed")
    if any(one.name.lower() == name.lower() for one in ask.repository.labels):
        raise invalid("Label", "name", "already_exists")
    if len(colour) != 6 or not set(colour) <= _COLOURS:
        raise invalid("Label", "color")
    label = Label(ask.forge.state.new_id(), name, colour, ask.body.get("description") or "")
    ask.repository.labels.append(label)
    return Answer(201, shapes.label(ask.forge, ask.repository.full_name, label))


_READ, _WRITE = "issues:read|pull-requests:read", "issues:write|pull-requests:write"
_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}"
_COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/issues", _list, _READ),
    Route("POST", "/repos/{owner}/{repo}/issues", _create, "issues:write", "read"),
    Route("GET", "/repos/{owner}/{repo}/issues/comments", _all_comments, _READ),
    Route("GET", _COMMENT, _get_comment, _READ),
    Route("PATCH", _COMMENT, _edit_comment, _WRITE, "read"),
    Route("DELETE", _COMMENT, _delete_comment, _WRITE, "read"),
    Route("GET", _ISSUE, _get, _READ),
    Route("PATCH", _ISSUE, _edit, _WRITE, "read"),
    Route("GET", f"{_ISSUE}/comments", _comments, _READ),
    Route("POST", f"{_ISSUE}/comments", _add_comment, _WRITE, "read"),
    Route("GET", f"{_ISSUE}/labels", _issue_labels, _READ),
    Route("POST", f"{_ISSUE}/labels", _add_labels, _WRITE),
    Route("PUT", f"{_ISSUE}/labels", _set_labels, _WRITE),
    Route("DELETE", f"{_ISSUE}/labels/{{name}}", _remove_label, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/labels", _labels, _READ),
    Route("POST", "/repos/{owner}/{repo}/labels", _create_label, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/labels/{name}", _get_label, _READ),
)
