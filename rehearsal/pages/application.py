"""The pages over HTTP: what is looked at, and what is pressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from rehearsal.forge.refusal import Refusal
from rehearsal.pages import presses
from rehearsal.pages.answers import ALONE, Answer, answer, shown
from rehearsal.pages.layout import View

if TYPE_CHECKING:
    from rehearsal.forge import Forge

_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_LONGEST = 100_000  # bytes of a form


def application(forge: Forge) -> Starlette:
    """The pages of a forge."""

    def look(request: Request) -> Response:
        return _response(answer(forge, quote(f"/{request.path_params['path']}")))

    async def press(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin and urlsplit(origin).netloc != request.headers.get("host"):
            return PlainTextResponse("A page elsewhere may not press this.", 403)
        body = await request.body()
        if len(body) > _LONGEST:
            return PlainTextResponse("That is too much.", 413)
        fields = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        return await run_in_threadpool(_pressed, forge, request.path_params["path"], fields)

    return Starlette(
        routes=[Route("/{path:path}", look, methods=["GET"]), Route("/{path:path}", press, methods=["POST"])]
    )


def _pressed(forge: Forge, path: str, fields: dict[str, str]) -> Response:
    owner, _, rest = path.partition("/")
    name, _, below = rest.partition("/")
    repository = forge.state.repository(f"{owner}/{name}")
    press, page = presses.find(unquote(below)) if repository else (None, "")
    if repository is None or press is None:
        return PlainTextResponse("There is nothing to press here.", 404)
    view = View(forge, repository)
    try:
        press(view, fields)
    except Refusal as refusal:
        again = shown(View(forge, repository, notice=refusal.message.strip()), page)
        return _response(Answer(again.body, status=refusal.status))
    return RedirectResponse(view.path(page), 303)


def _response(found: Answer) -> Response:
    if found.location:
        return RedirectResponse(found.location, found.status)
    headers = {
        "Content-Security-Policy": ALONE if found.is_foreign else _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    if isinstance(found.body, Path):
        return FileResponse(found.body, found.status, headers, found.media, filename=found.name or None)
    return Response(found.body, found.status, headers, found.media)
