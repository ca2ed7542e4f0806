"""Problems that a test writes for itself."""

from __future__ import annotations

from pathlib import Path

from ratchet import folders
from ratchet.problem import Problem


def written(src: Path, name: str, **modules: str) -> Problem:
    """A problem of the given modules in `src`; two underscores stand for a folder: `data__schema`."""
    for folder in folders.FOLDERS:
        (src / name / folder).mkdir(parents=True)
    (src / name / folders.CARD).touch()
    for module, text in modules.items():
        (src / name / f"{module.replace('__', '/')}.py").write_text(text, encoding="utf-8")
    return Problem(name, src)
