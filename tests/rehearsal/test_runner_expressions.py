"""GitHub's expressions, as the runner reads them before a job starts."""

import pytest

from ratchet.errors import RatchetError
from rehearsal.runner import expressions

CONTEXTS = {
    "github": {
        "event_name": "push",
        "ref": "refs/heads/main",
        "event": {"pull_request": {"number": 12}, "labels": [{"name": "data"}]},
    },
    "inputs": {"pull-request": "7", "is-dry": False},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.event.pull_request.number || github.ref", 12),
        ("github.event.issue.number || github.ref", "refs/heads/main"),
        ("github.event_name != 'push'", False),
        ("github.event_name == 'PUSH'", True),
        ("!inputs.is-dry && 'go'", "go"),
        ("inputs['pull-request']", "7"),
        ("github.event.labels[0].name", "data"),
        ("github.event.labels[4].name", None),
        ("inputs.pull-request == 7", True),
        ("null == 0", True),
        ("1 < 2 && 'b' > 'a'", True),
        ("(false || 'it''s') == 'it''s'", True),
        ("startsWith(github.ref, 'refs/heads/')", True),
        ("contains('Hello', 'ell')", True),
        ("format('{0}-{1}-{{}}', 'a', 3)", "a-3-{}"),
        ("fromJSON('[1, 2]')[1]", 2),
        ("false || null", None),
    ],
)
def test_expressions_mean_what_they_mean_on_github(expression: str, value: object) -> None:
    """Operators bind, compare and fall back as GitHub's documentation says."""
    assert expressions.evaluate(expression, CONTEXTS) == value


def test_text_keeps_what_stands_around_an_expression() -> None:
    """Each `${{ }}` is replaced, also one whose text holds braces."""
    text = "report-${{ github.event.pull_request.number }}-${{ '}}' }}-end"

    assert expressions.interpolate(text, CONTEXTS) == "report-12-}}-end"


def test_a_single_expression_keeps_its_type() -> None:
    """`cancel-in-progress: ${{ … }}` is a boolean, not the word."""
    assert expressions.value_of("${{ github.event_name != 'push' }}", CONTEXTS) is False
    assert expressions.value_of(True, CONTEXTS) is True
    assert expressions.value_of("a-${{ true }}", CONTEXTS) == "a-true"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("needs.judge.result", "`needs` is not known before a job starts: needs.judge.result"),
        ("hashFiles('a')", "`hashFiles()` is not known before a job starts: hashFiles('a')"),
        ("github.ref ||", "cannot read the expression: github.ref ||"),
        ("github.ref github.ref", "cannot read the expression: github.ref github.ref"),
        ("a $ b", "cannot read the expression: a $ b"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(expression: str, message: str) -> None:
    """An expression is evaluated wholly or not at all."""
    with pytest.raises(RatchetError) as caught:
        expressions.evaluate(expression, CONTEXTS)

    assert str(caught.value) == message
