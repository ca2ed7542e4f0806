"""The model card: made from the outputs of the pipeline and the texts of the problem."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import report_example as example
from ratchet import card
from ratchet.errors import RatchetError
from ratchet.report import markdown, page
from ratchet.report.document import Items, Paragraph

ROOT = Path(__file__).parents[1]
TEXTS = card.Texts(
    intended_use="For planning.\n\n- Not for @safety.", limits="One city | one year.", data="Of 2013.", licence="CC0."
)


def made(task: str = "binary", texts: card.Texts = TEXTS) -> str:
    """A card as Markdown."""
    return markdown.render(card.card(texts, manifest(task), dataset(), example.evaluation(task=task), training()))


def manifest(task: str = "binary") -> dict:
    """What a bundle says of itself."""
    return {
        "format": 1,
        "problem": "flights",
        "task": task,
        "kind": "treelite",
        "target": "late",
        "threshold": 0.29 if task == "binary" else None,
        "trained_on": {"2013-02": "22" * 32, "2013-01": "11" * 32},
        "made_from": {"code": "cc" * 32, "params": {"model": {"rate": 0.1, "depth": None}, "train": {"seed": 0}}},
        "python": "3.11",
    }


def dataset() -> dict:
    """Two periods of training, one of test."""
    return example.dataset("2013-01", "2013-02")


def training() -> dict:
    """What training wrote down."""
    return {"threshold": 0.29, "cost_ratio": 2.0, "rows": 51221, "folds": []}


def test_headings_are_those_of_model_cards():
    """Mitchell et al. 2019, by the names of Hugging Face."""
    headings = re.findall(r"^### (.*)|<summary><b>(.*)</b>", made(), re.MULTILINE)

    assert ["".join(pair) for pair in headings] == [
        "Model details",
        "Uses",
        "Bias, risks and limitations",
        "Data",
        "Evaluation",
        "Evaluation by slice",
        "Behaviour",
        "Calibration and curves",
        "Lineage",
        "Licence",
    ]


def test_details_say_what_is_predicted_and_from_how_many_rows():
    """The threshold comes with the costs behind it."""
    text = made()

    assert "| Predicts | probability that late |" in text
    assert "| Trained on | 51,221 labelled rows of 2013-01, 2013-02 |" in text
    assert "| Operating threshold | 0.2900, where a miss costs 2 false alarms |" in text
    assert f"| Model digest | `{example.CHALLENGER}` |" in text


def test_metrics_have_intervals_and_stand_beside_the_baselines():
    """A reader sees what the model adds."""
    text = made()

    assert "| Metric | Model | 95 % interval | logistic | rate |" in text
    assert "| Log loss | 0.4268 | 0.4148 to 0.4388 | 0.4398 | 0.4508 |" in text


def test_data_have_digests():
    """The start of the SHA-256 of each period's rows; the whole ones are in the lineage."""
    text = made()

    assert "| 2013-04 | test | 26,028 | 25,628 | 23.0 % | 3 | `323031332d303432` |" in text
    assert f"| Rows of 2013-01 | `{'11' * 32}` |" in text


def test_lineage_lists_every_parameter():
    """Dotted keys, sorted, values as JSON."""
    text = made()

    assert re.findall(r"Parameter (\S+) \| `(\S+)`", text) == [
        ("model.depth", "null"),
        ("model.rate", "0.1"),
        ("train.seed", "0"),
    ]
    assert f"| Code | `{'cc' * 32}` |" in text


def test_slices_and_behaviour_are_shown():
    """With their row counts."""
    text = made()

    assert "| carrier = UA | 4,893 | 0.2100 | 0.3953 | – | – |" in text  # noqa: RUF001  # a dash for no figure
    assert "| ✓ holds | The tail number does not matter. | 27,664 | 0.0000 | moves by at most 0 |" in text


def test_a_regression_has_no_threshold_and_no_probability():
    """The same card without two classes."""
    text = made("regression")

    assert "| Predicts | value of late |" in text
    assert "threshold" not in text
    assert "probability" not in text
    assert "| Mean absolute error | 17.30 |" in text


def test_texts_of_the_problem_are_paragraphs_and_lists_and_nothing_else():
    """Markup in them is shown as it is."""
    text = made()

    assert "For planning.\n\n- Not for @&#8203;safety." in text
    assert r"One city \| one year." in text


def test_prose_joins_lines_and_splits_items():
    """Wrapped lines belong together; a dash inside an item is no new item."""
    found = card.prose("\nOne\ntwo.\n\n- a - b\n  c\n- d\n")

    assert found == (Paragraph("One two."), Items(("a - b c", "d")))


def test_a_problem_without_texts_says_so(tmp_path: Path):
    """The texts are optional, and their absence is visible."""
    (tmp_path / "card.yaml").write_text("# nothing yet\n")

    assert card.texts(tmp_path / "nowhere.yaml") == card.texts(tmp_path / "card.yaml") == card.Texts()
    assert made(texts=card.Texts()).count("Not stated: the problem's card.yaml does not say.") == 4


def test_texts_are_read_from_the_problem(tmp_path: Path):
    """Each on its own; what is missing is named as missing."""
    (tmp_path / "card.yaml").write_text("limits: Few rows.\n")

    assert card.texts(tmp_path / "card.yaml") == card.Texts(limits="Few rows.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"licence: 7", "licence: Input should be a valid string"),
        (b"limits: [none]", "limits: Input should be a valid string"),
        (b"limits: ''", "limits: String should have at least 1 character"),
        (b"license: mine", "license: Extra inputs are not permitted"),
        (b"- limits", "the file: Input should be a valid dictionary or instance of Texts"),
        (b"false", "the file: Input should be a valid dictionary or instance of Texts"),
    ],
)
def test_what_is_no_text_of_a_card_is_refused(content: bytes, said: str):
    """Says which key, what is wrong with it, and which there are."""
    with pytest.raises(RatchetError) as caught:
        card.parse(content, "src/coins/card.yaml")

    assert str(caught.value) == (
        f"src/coins/card.yaml: {said}\nits keys are intended_use, limits, data, licence, and each is text"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"limits: [", "is not valid YAML: "),
        (b"\xff", "is not valid YAML: "),
        (b"limits: !!python/object/apply:os.abort []", "has a tag of YAML"),
        (b"[" * 10_000, "is nested too deeply"),
    ],
    ids=["open", "bytes", "tag", "deep"],
)
def test_what_is_no_plain_yaml_is_refused(content: bytes, said: str):
    """A card is data: nothing in it is run, whatever it asks for."""
    with pytest.raises(RatchetError, match=rf"^src/coins/card\.yaml: {said}"):
        card.parse(content, "src/coins/card.yaml")


def test_the_flights_say_everything():
    """The example problem leaves no text out, and none is clipped."""
    found = card.texts(ROOT / "tests/problems/toy_departures/card.yaml")

    assert card.UNSAID not in found.model_dump().values()
    text = made(texts=found)
    assert "Cancelled and diverted flights have no label." in text
    assert "…" not in text


def test_same_outputs_same_bytes():
    """No clock, no commit: made twice, nothing differs."""
    first, second = (card.card(TEXTS, manifest(), dataset(), example.evaluation(), training()) for _ in range(2))

    assert markdown.render(first) == markdown.render(second)
    assert page.render(first) == page.render(second)
    assert page.render(first).startswith("<!DOCTYPE html>")
