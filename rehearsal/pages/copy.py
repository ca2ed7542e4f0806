"""The pages as files, with relative links: what stays of a rehearsal when its forge is gone."""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from rehearsal.pages.answers import PAGE, Answer, answer

if TYPE_CHECKING:
    from rehearsal.forge import Forge

_LINK = re.compile(r' (href|src)="(/[^"]*)"')
_LARGEST = 20_000_000  # bytes of a file that is copied along
_WORKFLOW = re.compile(r"[0-9a-f]{40}/\.github/workflows/[^/]+")


@dataclass(frozen=True)
class _Kept:
    """A page or file of the copy: where it lies, and what it is."""

    file: PurePosixPath
    answer: Answer


def write(forge: Forge, folder: Path) -> Path:
    """Write everything that can be reached from the first page.

    Args:
        forge: Whose pages.
        folder: Where to.

    Returns:
        The first page.
    """
    kept = _reached(forge)
    for one in {found.file: found for found in kept.values()}.values():
        target = folder / one.file
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(one.answer.body, Path):
            shutil.copyfile(one.answer.body, target)
        elif _is_page(one.answer):
            target.write_text(_relative(one.answer.body.decode(), one.file, kept), encoding="utf-8")
        else:
            target.write_bytes(one.answer.body)
    return folder / "index.html"


def _reached(forge: Forge) -> dict[str, _Kept]:
    """Path of a URL to what is kept for it; pages that lead to the same share a file."""
    kept: dict[str, _Kept] = {}
    seen, waiting = {"/"}, deque(["/"])
    while waiting:
        path = waiting.popleft()
        found = answer(forge, path, is_copy=True)
        if found.location:
            found = answer(forge, found.location, is_copy=True)
        if found.status != 200 or _is_too_large(found):
            continue
        kept[path] = _Kept(_file(path, found), found)
        for link in _links(found):
            if link not in seen and _belongs(forge, link):
                seen.add(link)
                waiting.append(link)
    return kept


def _is_page(found: Answer) -> bool:
    """It is one of ours, whose links are to be followed; not a page that others wrote."""
    return found.media == PAGE and not found.is_foreign and isinstance(found.body, bytes)


def _is_too_large(found: Answer) -> bool:
    return isinstance(found.body, Path) and found.body.stat().st_size > _LARGEST


def _file(path: str, found: Answer) -> PurePosixPath:
    inside = PurePosixPath(*(part for part in unquote(path).split("/") if part not in {"", ".", ".."}))
    if found.name:
        return inside if inside.name == found.name else inside / found.name
    is_named = PurePosixPath(path).suffix in {".html", ".htm"} and found.is_foreign
    return inside / "index.html" if found.media == PAGE and not is_named else inside


def _links(found: Answer) -> list[str]:
    if not _is_page(found) or isinstance(found.body, Path):
        return []
    return [_split(unescape(link))[0] for _, link in _LINK.findall(found.body.decode())]


def _split(link: str) -> tuple[str, str]:
    """A link's path, and its query and fragment."""
    end = min((at for at in (link.find("?"), link.find("#")) if at >= 0), default=len(link))
    return link[:end], link[end:]


def _belongs(forge: Forge, path: str) -> bool:
    """A copy holds the files of main, records and deploy, once; of all history it would hold far too much."""
    parts = unquote(path).strip("/").split("/", 3)
    if len(parts) < 4 or parts[2] not in {"tree", "blob", "raw", "picture", "commits"}:
        return True
    repository = forge.state.repository("/".join(parts[:2]))
    if repository is None or repository.fork_of or parts[2] in {"raw", "commits"}:
        return False
    branches = (repository.default_branch, "records", "deploy")
    is_read = any(parts[3] == name or parts[3].startswith(f"{name}/") for name in branches)
    return is_read or (parts[2] == "blob" and _WORKFLOW.fullmatch(parts[3]) is not None)


def _relative(content: str, file: PurePosixPath, kept: dict[str, _Kept]) -> str:
    def rewritten(found: re.Match[str]) -> str:
        path, rest = _split(unescape(found[2]))
        target = kept.get(path)
        if target is None:
            return ""
        relative = os.path.relpath(target.file, file.parent)
        return f' {found[1]}="{escape(quote(relative) + rest)}"'

    return _LINK.sub(rewritten, content)
