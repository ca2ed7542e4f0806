"""What a button does: the repository's owner does it, through the same rules as everybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from rehearsal.forge import environments, events, pulls, runs, workflows
from rehearsal.forge.access import Actor
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.pages import timeline
from rehearsal.pages.layout import View

Fields = Mapping[str, str]
Press = Callable[[View, Fields], None]


def find(path: str) -> tuple[Press | None, str]:
    """What is pressed at a path below a repository's, and the path of the page to see then."""
    for pattern, made in _PRESSES:
        found = pattern.fullmatch(path)
        if found:
            return made(found), found["page"]
    return None, ""


def _actor(view: View) -> Actor:
    return view.forge.owner(view.repository)


def _merge(found: re.Match[str]) -> Press:
    def press(view: View, fields: Fields) -> None:
        how = pulls.Merge(fields.get("method", "merge"), fields.get("sha") or None)
        with view.forge.changing():
            pulls.merge(view.forge, view.forge.pull(view.repository, int(found["number"])), how, _actor(view))

    return press


def _update(found: re.Match[str]) -> Press:
    def press(view: View, fields: Fields) -> None:
        with view.forge.changing():
            pull = view.forge.pull(view.repository, int(found["number"]))
            pulls.update_branch(view.forge, pull, fields.get("sha") or None, _actor(view))

    return press


def _control(found: re.Match[str]) -> Press:
    def press(view: View, fields: Fields) -> None:
        with view.forge.changing():
            run = view.forge.run(int(found["run"]))
            if run.repository != view.name:
                raise not_found()
            what = found["what"]
            if run.pending and what in _VERDICTS:
                comment = fields.get("comment", "")
                environments.review(view.forge, run, list(run.pending), _VERDICTS[what], comment, _actor(view))
            elif what in _CONTROLS:
                _CONTROLS[what](view.forge, run, _actor(view))
            else:
                raise Refusal(403, "This run is not waiting for approval.")

    return press


def _dispatch(found: re.Match[str]) -> Press:
    def press(view: View, fields: Fields) -> None:
        workflow = next((one for one in timeline.known(view) if one.path == f"{workflows.FOLDER}{found['file']}"), None)
        ref = f"refs/heads/{fields.get('ref', '')}"
        if workflow is None or view.git.ref(ref) is None:
            raise Refusal(422, f"No ref found for: {fields.get('ref', '')}") if workflow else not_found()
        given = {name.removeprefix(_INPUT): value for name, value in fields.items() if name.startswith(_INPUT)}
        inputs = workflows.check_inputs(workflow, given)
        who = _actor(view)
        with view.forge.changing():
            event = events.workflow_dispatch(view.forge, view.repository, workflow.path, ref, inputs, who.login)
            view.forge.emit(event, who)

    return press


_INPUT = "inputs."
_CONTROLS = {"rerun": runs.rerun, "cancel": runs.cancel, "approve": runs.approve}
_VERDICTS = {"approve": environments.APPROVED, "reject": environments.REJECTED}
_PULL = r"(?P<page>pull/(?P<number>\d{1,9}))"
_PRESSES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Press]]] = [
    (re.compile(rf"{_PULL}/merge"), _merge),
    (re.compile(rf"{_PULL}/update"), _update),
    (re.compile(r"(?P<page>actions/runs/(?P<run>\d{1,18}))/(?P<what>rerun|cancel|approve|reject)"), _control),
    (re.compile(r"(?P<page>actions/workflows/(?P<file>[^/]+))/dispatches"), _dispatch),
]
