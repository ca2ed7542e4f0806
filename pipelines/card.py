"""Write the model card, in Markdown and HTML, from what the stages before it made: `python pipelines/card.py`."""

from pathlib import Path

from ratchet import bundle, card, data, files, folders
from ratchet.errors import told_to_the_user
from ratchet.report import markdown, page


def main() -> None:
    """Write card/."""
    manifest = bundle.read_manifest(Path("bundle"))
    document = card.card(
        card.texts(folders.SRC / manifest["problem"] / folders.CARD),
        manifest,
        files.read_json(data.DATASET),
        files.read_json(Path("evaluation/evaluation.json")),
        files.read_json(Path("model/training.json")),
    )
    with files.directory(Path("card")) as folder:
        files.write_text(folder / "MODEL_CARD.md", markdown.render(document))
        files.write_text(folder / "card.html", page.render(document))


if __name__ == "__main__":
    with told_to_the_user():
        main()
