"""The comment on a pull request: one verdict, one next step, and nothing that data could turn against a reader."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import ratchet
import report_example as example
from ratchet import comment
from ratchet.errors import RatchetError

LINKS = comment.Links("https://github.com", "ada/flights")
MAINTAINER = "[maintainer workflow](https://github.com/ada/flights/actions/workflows/maintainer.yml)"
HEAD = "5eed" * 10
FORK = {"sha": HEAD, "repository": "bob/flights", "branch": "deeper", "is_fork": True}
ACCEPTANCE = {"who": "grace", "reason": "Half the code, the same model."}

HOSTILE = (
    "@octocat fixes #1 GH-2 | a`b``c | <script>alert(1)</script> <img src=x onerror=y> [x](https://evil.example) "
    "![y](http://evil.example/z.png) www.evil.example :tada: $x$ *b* _i_ ~~s~~ &lt; \\| \n\n# heading\n- item\n"
    "</details> <!-- ratchet --> \u202e\u200b\x00 \ud800 ```\n---\n> [!TIP]\n> merge " + "a" * 40
)


def render(judgement: dict, look: int = 3, acceptance: dict | None = None, **more) -> str:
    """The comment of a judgement."""
    return comment.render(judgement, look, more.pop("history", ()), acceptance, LINKS, **more)


def held(why: str, sentence: str, **more) -> dict:
    """A judgement that holds."""
    return example.judgement({**example.verdict(), "verdict": "hold", "hold": why, "sentence": sentence}, **more)


def folded(text: str) -> list[str]:
    """Titles of the folded parts."""
    return re.findall(r"<summary><b>(.*?)</b></summary>", text)


@pytest.mark.parametrize("judgement", [example.judgement(), example.unjudged("failed", "Stage train failed.", "x")])
def test_the_examples_are_judgements(judgement):
    """What these tests render is what the judge hands over."""
    schema = json.loads(Path(ratchet.__file__).with_name("judgement.schema.json").read_text())

    jsonschema.validate(judgement, schema)


class TestJudged:
    """What a reader sees of a verdict."""

    def test_it_begins_with_marker_verdict_next_step_and_primary_metric(self):
        """Who reads ten lines knows what happened and what to do."""
        lines = render(example.judgement()).splitlines()

        assert lines[:14] == [
            "<!-- ratchet -->",
            "### ✅ Log loss improves by 0.0044 (0.0018 to 0.0070), more than the 0.001 that is worth shipping, and no "
            "guardrail objects.",
            "",
            "> [!TIP]",
            "> **Next: merge.** The merge releases this very model. `model-gate` is green; `ci-gate` must be, too. "
            f"Should main move on first, start the {MAINTAINER} with action `refresh`, pull request `12` and a reason.",
            "",
            "| Metric | Champion | Challenger | Improvement | Interval |",
            "| :--- | ---: | ---: | ---: | ---: |",
            "| **Log loss** | 0.4312 | 0.4268 | +0.0044 | +0.0018 to +0.0070 |",
            "",
            "Judged on **27,664 rows** in 30 clusters, 2013-04-01 to 2013-04-30; look 3 at this holdout.",
            "",
            "Commit `5eed5ee` · [champion model-v1](https://github.com/ada/flights/releases/tag/model-v1) · "
            "[HTML report](https://github.com/ada/flights/actions/runs/78/artifacts/8) · "
            "[run](https://github.com/ada/flights/actions/runs/77)",
            "",
        ]

    def test_everything_else_is_folded_but_the_parameters(self):
        """The evidence is there for who opens it."""
        text = render(example.judgement())

        assert folded(text) == [
            "Metrics",
            "Evidence",
            "Rules",
            "Data",
            "Worst slices",
            "Behaviour",
            "Calibration and curves",
            "What the model adds",
            "Models",
            "Time and size",
            "Looks at this holdout",
            "How to reproduce",
        ]
        assert re.findall(r"(?m)^### (.*)$", text)[1:] == ["Parameters that differ"]
        assert "| `model.learning_rate` | `0.05` | `0.1` |" in text

    def test_the_sentences_after_the_first_stand_under_it(self):
        """The headline is one sentence, however much the gate has to say; a decimal point ends none."""
        verdict = {**example.verdict(), "verdict": "block", "sentence": "Block: The slope is 3.8. 3 of 8 fail: a."}

        lines = render(example.judgement(verdict)).splitlines()

        assert lines[1:4] == ["### ⛔ Block: The slope is 3.8.", "", "3 of 8 fail: a."]
        assert lines[5:7] == [
            "> [!CAUTION]",
            "> **Next: push a change.** Harm is proven, so this model cannot be merged. Which rule it breaks, and by "
            "how much, stands below under Rules.",
        ]

    def test_a_safe_hold_is_a_maintainers_to_accept(self):
        """With the action and the link to start it."""
        text = render(held("safe", "Hold, safe: a loss is ruled out."))

        assert text.splitlines()[1] == "### ⏸️ Hold, safe: a loss is ruled out."
        assert (
            f"To take it anyway, start the {MAINTAINER} with action `accept`, pull request `12` and a reason: that "
            "records who and why, and turns `model-gate` green for this very model."
        ) in text

    def test_an_accepted_hold_can_be_merged(self):
        """It names who and why, and keeps the verdict."""
        text = render(held("safe", "Hold, safe: a loss is ruled out."), acceptance=ACCEPTANCE)

        assert text.splitlines()[1] == "### ✅ Accepted by grace: Half the code, the same model."
        assert "**Next: merge.** The acceptance is recorded, for this very proposal alone." in text
        assert "What was accepted: Hold, safe: a loss is ruled out." in text

    def test_a_comment_is_told_of_its_acceptance_afterwards(self):
        """The new headline and next step take the place of the old ones; the rest stays, byte for byte."""
        before = render(held("safe", "Hold, safe: a loss is ruled out. So is a gain."))

        after = comment.accepted(before, ACCEPTANCE)

        assert after.startswith(
            "<!-- ratchet -->\n### ✅ Accepted by grace: Half the code, the same model.\n\n"
            "> [!TIP]\n> **Next: merge.** The acceptance is recorded, for this very proposal alone. "
            "`model-gate` is green; `ci-gate` must be, too.\n\n"
            "What was accepted: Hold, safe: a loss is ruled out.\n\nSo is a gain.\n\n"
            "| Metric | Champion |"
        )
        assert after.endswith(before[before.index("| Metric |") :])
        assert comment.accepted(after, ACCEPTANCE) == after

    def test_a_long_comment_stays_short_enough_when_it_is_accepted(self):
        """The last parts make room."""
        judged = held("safe", "Hold, safe: " + "$" * 900)
        judged["verdicts"][0]["rules"] = [example.rule("r", "pass", 1, "b", "x" * 290) for _ in range(500)]
        before = render(judged, history=[example.record(f"{n:040x}", "$" * 190, f"{n}") for n in range(13)])

        after = comment.accepted(before, {"who": "grace", "reason": "$" * 900})

        assert len(before.encode()) > 60_000
        assert len(after.encode()) <= 65_536
        assert after.count("<details>") == after.count("</details>") > 0

    def test_an_acceptance_does_not_hide_a_block(self):
        """What was accepted was another verdict."""
        verdict = {**example.verdict(), "verdict": "block", "sentence": "Block: worse."}

        text = render(example.judgement(verdict), acceptance=ACCEPTANCE)

        assert text.splitlines()[1] == "### ⛔ Block: worse."
        assert "grace" not in text

    def test_too_little_data_is_nobodys_to_accept(self):
        """No action is offered."""
        text = render(held("cannot tell", "Hold, cannot tell: it may be either."))

        assert "**Next: push a change, or wait for data.**" in text
        assert "maintainer.yml" not in text

    def test_a_change_of_the_judge_is_listed(self):
        """Path by path, unfolded."""
        judged = held(
            "judge changed",
            "Hold, judge changed: it changes what judges it.",
            judge_changed=["src/ratchet/gate.py", "params.yaml: gate.delta"],
        )

        text = render(judged)

        assert "**Next: a maintainer reviews what judges.**" in text
        assert (
            "### What judges, and is changed here\n\n- `src/ratchet/gate.py`\n- `params.yaml`: gate.delta\n"
        ) in text

    def test_a_void_comparison_says_why(self):
        """Without a metric there is no table."""
        text = render(example.judgement(example.void()))

        assert text.splitlines()[1].startswith("### ⚪ The comparison is void")
        assert "nothing is proven either way" in text
        assert "| **Log loss** |" not in text

    def test_a_forks_promotion_is_its_own_claim(self):
        """It is not green, and says who can change that."""
        verdict = {**example.verdict(), "sentence": "Promote: log loss falls by 0.03."}

        lines = render(example.judgement(verdict, head=FORK)).splitlines()

        assert lines[1] == "### ⏸️ Promote, by the fork's own scores: log loss falls by 0.03."
        assert lines[4].startswith("> **Next: a maintainer adopts it.** The fork's own run made these scores")
        assert f"start the {MAINTAINER} with action `adopt`, pull request `12` and a reason" in lines[4]

    def test_a_forks_hold_says_that_it_must_be_adopted(self):
        """Beside what holds anyway."""
        text = render(held("cannot tell", "Hold, cannot tell: either.", head=FORK))

        assert "> [!NOTE]\n> **From a fork.** The fork's own run made these scores" in text
        assert "action `adopt`" in text

    def test_without_a_release_the_baseline_is_named(self):
        """The first pull request of a repository."""
        verdict = {**example.verdict(), "champion": {"digest": "baseline:logistic", "trained_on": []}}

        text = render(example.judgement(verdict, champion=None))

        assert "There is no released model yet: the best baseline, `logistic`, stands in for the champion." in text
        assert "gh release download" not in text

    def test_a_lock_that_was_committed_is_named(self):
        """Whoever pushes next has to pull first."""
        text = render(example.judgement(), lock_commit="ab" * 20)

        assert "The judged `dvc.lock` was committed to the branch (`abababa`): pull before you push again." in text

    @pytest.mark.parametrize(("look", "shown"), [(3, "look 3"), (5, "look 5")])
    def test_the_verdict_is_that_of_its_look(self, look, shown):
        """The judge hands over one for each look that it may turn out to be."""
        assert f"2013-04-30; {shown} at this holdout." in render(example.judgement(), look)

    @pytest.mark.parametrize("look", [2, 6])
    def test_a_look_that_was_not_judged_is_an_error(self, look):
        """More models were judged meanwhile than the judge thought of."""
        with pytest.raises(RatchetError, match=rf"has verdicts for looks 3 to 5, not for look {look}\n"):
            render(example.judgement(), look)

    def test_how_to_reproduce_can_be_pasted(self):
        """Fetch, make, compare."""
        assert (
            "```sh\n"
            "git fetch https://github.com/ada/flights.git pull/12/head\n"
            "git checkout --detach FETCH_HEAD\n"
            "make repro\n"
            "gh release download model-v1 --repo ada/flights --dir build/champion\n"
            "python -m zipfile -e build/champion/bundle.zip build/champion/bundle\n"
            "ratchet compare build/champion . --look 3\n"
            "```"
        ) in render(example.judgement())

    def test_time_and_size_are_told(self):
        """Stage by stage, and in all."""
        text = render(example.judgement())

        assert "The run took **3 min 12 s**." in text
        assert "| `evaluate` | 1 min 12 s |" in text
        assert "The bundle has 1.33 MB, the champion's 310.0 kB." in text


class TestNotJudged:
    """What is said when no models were compared."""

    def test_nothing_to_judge_can_be_merged(self):
        """A change of documentation."""
        lines = render(example.unjudged("unchanged", params=[])).splitlines()

        assert lines[1] == "### ⚪ Nothing to judge: the model stays as it is on main."
        assert lines[4].startswith("> **Next: merge.** There is nothing to prove. `model-gate` is green;")

    def test_a_change_of_the_judge_alone_is_reviewed(self):
        """The model stays, what judges the next one does not."""
        text = render(example.unjudged("unchanged", params=[], judge_changed=[".github/workflows/ci.yml"]))

        assert text.splitlines()[1].startswith("### ⏸️ Hold, judge changed:")
        assert "action `accept`" in text
        assert "- `.github/workflows/ci.yml`" in text

    def test_an_accepted_change_of_the_judge_can_be_merged(self):
        """By whom, and why."""
        judged = example.unjudged("unchanged", params=[], judge_changed=["dvc.yaml"])

        assert render(judged, acceptance=ACCEPTANCE).splitlines()[1].startswith("### ✅ Accepted by grace")

    @pytest.mark.parametrize(("lock", "adopt"), [(None, False), ("schema: '2.0'\n", True)])
    def test_a_fork_is_adopted_when_its_lock_must_change(self, lock, adopt):
        """Nothing can be committed to a fork."""
        text = render(example.unjudged("unchanged", head=FORK, lock=lock, params=[]))

        assert ("action `adopt`" in text) is adopt

    def test_the_same_model_needs_no_proof(self):
        """The pipeline ran, and its time is told."""
        text = render(example.unjudged("same model"))

        assert text.splitlines()[1] == (
            "### ⚪ Same model: the pipeline ran again and made the model of main, byte for byte."
        )
        assert folded(text) == ["Time and size"]

    def test_a_failed_stage_shows_the_end_of_its_output(self):
        """Indented as it was printed, without colours."""
        log = "Traceback:\n    main()\n\x1b[31mratchet: no such column\x1b[0m\n\n"

        text = render(example.unjudged("failed", "Stage train failed.", log))

        assert text.splitlines()[1] == "### ⛔ Failed: Stage train failed."
        assert "```text\nTraceback:\n    main()\nratchet: no such column\n```" in text
        assert "[Open the run](https://github.com/ada/flights/actions/runs/77)" in text

    def test_refused_evidence_says_what_is_wrong_with_it(self):
        """In one sentence."""
        text = render(example.unjudged("rejected", "scores/challenger.parquet: holds NaN in row 7."))

        assert text.splitlines()[1] == "### ⛔ Rejected: scores/challenger.parquet: holds NaN in row 7."
        assert "was refused, so nothing was judged" in text

    def test_an_outcome_that_is_not_known_is_an_error(self):
        """Nothing is made up."""
        with pytest.raises(RatchetError, match="the outcome 'splendid' is not known"):
            render(example.unjudged("splendid"))

    def test_a_run_that_has_begun_says_so(self):
        """And where it can be watched."""
        links = comment.Links("https://github.com", "ada/flights", run="https://github.com/ada/flights/actions/runs/7")

        assert comment.pending(comment.Facts(links, 12, HEAD)) == (
            "<!-- ratchet -->\n"
            "### ⏳ Running: the proposed model is being made, and judged after that.\n\n"
            "> [!NOTE]\n"
            "> **Nothing to do.** The verdict on commit `5eed5ee` will stand here in a few minutes. "
            "[Open the run](https://github.com/ada/flights/actions/runs/7).\n"
        )

    def test_a_run_that_ended_badly_says_why(self):
        """The reason, and that it can be run again."""
        text = comment.error(comment.Facts(LINKS, 12, HEAD), "The run was cancelled.")

        assert text.splitlines()[1] == "### ⛔ No verdict: The run was cancelled."
        assert "> **Next: run it again.** Nothing was judged for commit `5eed5ee`. Run" in text


class TestEarlier:
    """Verdicts of the commits before."""

    HISTORY = (
        example.record("1" * 40, "Block: worse. Much.", "2026-11-01T09:00:00Z", "block"),
        example.record("2" * 40, "Hold, safe: a run of its own.", "2026-11-02T09:00:00Z"),
        example.record("2" * 40, "Promote: a later run.", "2026-11-02T10:00:00Z", "promote"),
        {"kind": "acceptance", "at": "2026-11-02T11:00:00Z", "head_sha": "3" * 40, "who": "grace", "reason": "r"},
        example.record(HEAD, "Promote: this one.", "2026-11-03T09:00:00Z", "promote"),
    )

    def test_they_are_one_line_a_commit_the_newest_first(self):
        """The last verdict of each commit; that of this commit stands above."""
        text = render(example.judgement(), history=self.HISTORY)

        assert text.endswith(
            "<details><summary><b>Earlier verdicts (2)</b></summary>\n\n"
            "- ✅ `2222222` 2026-11-02 Promote: a later run.\n"
            "- ⛔ `1111111` 2026-11-01 Block: worse.\n\n"
            "</details>\n"
        )

    def test_they_stay_while_a_run_is_under_way(self):
        """Nobody has to wait to see them."""
        assert "Earlier verdicts (2)" in comment.pending(comment.Facts(LINKS, 12, HEAD, self.HISTORY))

    def test_a_long_history_is_cut(self):
        """Thirty commits, then how many more."""
        history = [example.record(f"{n:040x}", "Hold.", f"2026-11-01T09:00:{n:02}Z") for n in range(40)]

        text = render(example.judgement(), history=history)

        assert text.count("2026-11-01 Hold.") == 30
        assert "… and 10 more, on the branch records." in text


class Seen(HTMLParser):
    """Elements and targets of links of a comment as it is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: set[str] = set()
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))

    def handle_starttag(self, tag, attrs):
        """Remember both."""
        self.tags.add(tag)
        self.targets |= {value for name, value in attrs if name in {"href", "src"}}


def attacked(text: str) -> list[str]:
    """A comment of every kind, each of whose texts is `text`."""
    judged = example.judgement(example.hostile(example.verdict(), text))
    judged["sides"] = example.hostile(judged["sides"], text)
    judged["sides"]["challenger"]["dataset"] = {
        "train": {text: {**example.period("2013-01"), "sha256": text, "nulls": {text: 0.2}}},
        "test": {},
    }
    more = {
        "params": [[text, text, [text] * 9], [text, {text: text}, None]],
        "stages": [{"name": text, "seconds": 1.0}],
        "judge_changed": [text] * 50,
        "links": {"report": text, "card": f"https://github.com/ada/flights/{text}"},
        "run": {"id": 1, "attempt": 1, "url": text},
        "champion": {"tag": text, "digest": text},
    }
    history = [example.record(text, text, text), example.record("1" * 40, text, "2026-11-01T09:00:00Z", "block")]
    acceptance = {"who": text, "reason": text}
    head = {"sha": HEAD, "repository": text, "branch": text, "is_fork": True}
    hold = {**judged, **more, "verdicts": [{**one, "verdict": "hold", "hold": "safe"} for one in judged["verdicts"]]}
    links = comment.Links("https://github.com", "ada/flights", run=text, report=text, card=text)
    facts = comment.Facts(comment.Links("https://github.com", "ada/flights", run=text), 12, HEAD, history)
    return [
        comment.render({**judged, **more}, 3, history, None, LINKS),
        comment.render({**judged, **more, "head": head}, 3, history, None, links, text),
        comment.render(hold, 3, history, acceptance, links, text),
        *(
            comment.render(example.unjudged(outcome, text, text, **more), 1, history, None, links, text)
            for outcome in ("unchanged", "same model", "failed", "rejected")
        ),
        comment.pending(facts),
        comment.error(facts, text),
    ]


class TestHostile:
    """Nothing in a proposal's data becomes markup, a link, an image or a mention."""

    def test_no_text_becomes_anything_but_text(self):
        """Only our own elements, only addresses of this repository."""
        for text in attacked(HOSTILE):
            seen = Seen(text)

            assert not {"script", "img", "iframe"} & seen.tags
            assert all(target.startswith("https://github.com/ada/flights/") for target in seen.targets)
            assert all("evil" not in target for target in seen.targets)

    def test_nobody_is_called_and_nothing_referred_to(self):
        """No mention, issue, address, emoji or commit outside of code."""
        for text in attacked(HOSTILE):
            without_code = re.sub(r"(?ms)^(`{3,})\w+\n.*?^\1$", "", text)
            outside = re.sub(r"`[^`\n]*`", "", without_code.replace(r"\`", "")).replace("&#8203;", "\u200b")
            outside = re.sub(r"(?<=\])\(https://github\.com/ada/flights/[^)]*\)", "", outside)

            assert not re.search(r"@\w|#\d|https?://|www\.|:tada:|GH-\d|\b[0-9a-f]{7,40}\b", outside)

    def test_there_is_one_marker(self):
        """A second one could be mistaken for the first line of another comment."""
        for text in attacked(HOSTILE):
            assert text.startswith("<!-- ratchet -->\n### ")
            assert text.count("<!--") == text.replace("```", "").count("<!--")
            outside = re.sub(r"(?ms)^(`{3,})\w+\n.*?^\1$", "", text)
            assert outside.count("<!--") == 1

    @pytest.mark.parametrize(
        "address",
        [
            "https://github.com/eve/flights/actions/runs/1",
            "https://github.com/ada/flights.evil/x",
            "https://github.com/ada/flights/../../eve/x",
            "https://github.com/ada/flights/%2e%2e/%2E%2e/eve",
            "https://github.com/ada/flights/x) ![y](http://evil.example",
            "javascript:alert(1)",
        ],
    )
    def test_an_address_outside_of_the_repository_is_not_linked(self, address):
        """Wherever it came from."""
        judged = example.judgement(links={"report": address, "card": address})

        assert "evil" not in "".join(Seen(render(judged)).targets)
        assert "eve" not in "".join(Seen(render(judged)).targets)
        assert "%2" not in "".join(Seen(render(judged)).targets)

    @settings(max_examples=15, deadline=None)
    @given(st.text(min_size=1, max_size=40), st.integers(1, 40_000))
    def test_no_text_makes_it_too_long(self, text, times):
        """65,536 characters is what GitHub takes."""
        for found in attacked(text * (1 + times // len(text))):
            assert len(found) <= len(found.encode()) <= 65_536
            assert found.startswith("<!-- ratchet -->\n### ")

    @pytest.mark.parametrize("text", ["$", "@a", "😀", "`", "\n", "[", "&", "a" * 9])
    def test_what_grows_most_when_escaped_still_fits(self, text):
        """The headline stays, the last sections go by name."""
        for found in attacked(text * 50_000):
            assert len(found.encode()) <= 65_536
            assert "**" in found.splitlines()[4] + found.splitlines()[6]

    def test_figures_of_the_wrong_kind_are_left_out(self):
        """A proposal's own files may hold anything that is JSON."""
        odd = [None, True, 3, "x", [1], {"a": 1}, [{"a": 1}], [[1]]]
        for value in odd:
            judged = example.judgement()
            challenger = judged["sides"]["challenger"]
            challenger["dataset"] = {"train": value, "test": {"2013-04": value}}
            challenger["training"] = {"rows": value, "threshold": value}
            challenger["evaluation"].update(behaviour=value, baselines=value, calibration=value, metrics=value)

            assert render(judged).startswith("<!-- ratchet -->\n### ✅")
