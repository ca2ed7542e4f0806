"""The report: what a reviewer reads, in Markdown and in HTML, whatever the data are called."""

# ruff: noqa: RUF001  # figures have real minus signs and dashes

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ratchet
import report_example as example
from ratchet.report import SECTIONS, Inputs, Section, Side, document, markdown, page, report
from ratchet.report.document import (
    Banner,
    Callout,
    Code,
    Column,
    Commands,
    Forest,
    Headline,
    Interval,
    Items,
    Link,
    Log,
    Mark,
    Paragraph,
    Strong,
    Table,
    between,
    count,
    duration,
    is_address,
    number,
    percent,
    plain,
    size,
    tail,
)

HOSTILE = (
    "@octocat fixes #1 GH-2 | a`b``c | <script>alert(1)</script> <img src=x onerror=y> [x](https://evil.example) "
    "![y](http://evil.example/z.png) www.evil.example :tada: $x$ *b* _i_ ~~s~~ &lt; \\| \n\n# heading\n- item\n"
    "</details> <!-- \u202e\u200b\x00 \ud800 ```\n---"
)


def inputs(verdict: dict | None = None, task: str = "binary") -> Inputs:
    """Everything a report can show."""
    return Inputs(
        verdict=verdict or example.verdict(),
        champion=Side(
            example.evaluation(-0.02, task),
            example.dataset("2013-01", "2013-02"),
            {"rows": 48123, "threshold": 0.31},
            310_000,
        ),
        challenger=Side(
            example.evaluation(0.0, task),
            example.dataset("2013-01", "2013-02", "2013-03"),
            {"rows": 75123, "threshold": 0.29},
            1_332_000,
        ),
        params=(("model.learning_rate", 0.05, 0.1), ("model.depth", None, 3)),
        commands=("make install", "ratchet compare CHAMPION CHALLENGER"),
    )


def section(title: str, given: Inputs | None = None) -> str:
    """One section of a report as Markdown."""
    sections = [one for one in report(given or inputs()).sections if one.title == title]
    return markdown.render(document("", sections))


@pytest.mark.parametrize("verdict", [example.verdict(), example.void()])
def test_the_examples_are_verdicts(verdict):
    """What these tests render is what the judge writes."""
    schema = json.loads(Path(ratchet.__file__).with_name("verdict.schema.json").read_text())

    jsonschema.validate(verdict, schema)


class TestNumbers:
    """Figures as people read them."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.43216, "0.4322"), (-0.5, "−0.5000"), (12.345, "12.35"), (27664, "27,664"), (0, "0.0000"), (None, "–")],
    )
    def test_a_number_has_fewer_decimals_the_larger_it_is(self, value, text):
        """Four below 10, two below 1000, then none; no number is a dash."""
        assert number(value) == text

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "7", [1], None])
    def test_what_is_no_finite_number_is_a_dash(self, value):
        """Null, NaN, text and truth values are not figures."""
        assert (number(value), count(value), percent(value), size(value)) == ("–", "–", "–", "–")
        assert between(value, 1.0) == "–"

    def test_other_figures(self):
        """Counts, shares, sizes and signed intervals."""
        assert (count(27664), percent(0.2231), size(310_000), size(1_332_000)) == (
            "27,664",
            "22.3 %",
            "310.0 kB",
            "1.33 MB",
        )
        assert between(-0.001, 0.002, signed=True) == "−0.0010 to +0.0020"
        assert number(1e300) == "1e+300"

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(4.13, "4.1 s"), (59.97, "1 min 0 s"), (192.3, "3 min 12 s"), (3840, "1 h 4 min"), (None, "–")],
    )
    def test_times_are_told_as_people_do(self, seconds, text):
        """Tenths of a second, then minutes, then hours."""
        assert duration(seconds) == text


class TestPlain:
    """Text of the world as one visible line."""

    def test_invisible_characters_go_and_line_breaks_become_spaces(self):
        """Control, zero-width, text direction and lone surrogates would hide or break what follows."""
        assert plain("a\r\n\tb\u202e\u200b\x00\ud800c") == "a bc"

    def test_long_text_is_clipped(self):
        """The end is replaced by an ellipsis."""
        assert plain("x" * 10, 5) == "xxxx…"

    def test_the_end_of_a_log_keeps_its_indentation(self):
        """Colours, bells, what a progress bar wrote over, and empty lines at the end go."""
        assert tail("one\n\x1b[1;31m  two\x1b[0m\x07\n10 %\r20 %\r\n\tthree\n\n") == [
            "one",
            "  two",
            "20 %",
            "    three",
        ]

    def test_only_the_last_lines_of_a_log_are_kept(self):
        """Sixty, each of at most two hundred characters."""
        lines = tail("\n".join(f"{number} {'x' * 300}" for number in range(100)))

        assert len(lines) <= 60
        assert lines[-1] == "99 " + "x" * 196 + "…"


class TestAddress:
    """What may be linked at all."""

    @pytest.mark.parametrize(
        ("address", "is_plain"),
        [
            ("https://github.com/ada/flights/actions/runs/7", True),
            ("http://127.0.0.1:8000/ada/flights/releases/tag/model-v1", True),
            ("https://github.com/a?b=c&d=%20#e_f~g", True),
            ("javascript:alert(1)", False),
            ("//github.com/ada", False),
            ("https://ada@github.com/", False),
            ("https://github.com/a b", False),
            ("https://github.com/a)b", False),
            ("https://github.com/a\nb", False),
            ("https://github.com/a/../b", False),
            ("https://github.com/a/%2E%2e/b", False),
            ("https://github.com/" + "a" * 500, False),
        ],
    )
    def test_an_address_is_absolute_harmless_and_goes_down(self, address, is_plain):
        """Nothing in it could end the link, or leave the folder it names."""
        assert is_address(address) is is_plain


class TestSections:
    """What each section says."""

    def test_the_headline_comes_first_with_verdict_sentence_and_holdout(self):
        """A reader who reads three lines knows the decision and what it rests on."""
        lines = markdown.render(report(inputs())).splitlines()

        assert lines[0] == "## ✅ Promote"
        assert lines[2] == "> [!TIP]"
        assert lines[3].startswith("> Log loss improves by 0.0044 (0.0018 to 0.0070)")
        assert lines[5] == "Judged on **27,664 rows** in 30 clusters, 2013-04-01 to 2013-04-30; look 1 at this holdout."

    @pytest.mark.parametrize(
        ("verdict", "hold", "heading", "alert"),
        [
            ("block", None, "## ⛔ Block", "> [!CAUTION]"),
            ("hold", "safe", "## ⏸️ Hold: safe", "> [!WARNING]"),
            ("hold", "cannot tell", "## ⏸️ Hold: cannot tell", "> [!WARNING]"),
            ("void", None, "## ⚪ Void", "> [!NOTE]"),
        ],
    )
    def test_each_verdict_has_a_symbol_and_a_word_beside_its_colour(self, verdict, hold, heading, alert):
        """Who cannot tell red from green reads the same."""
        given = Inputs({**example.verdict(), "verdict": verdict, "hold": hold})

        text = markdown.render(report(given))

        assert text.startswith(f"{heading}\n\n{alert}\n")
        assert heading.split(" ", 2)[2] in page.render(report(given))

    def test_metrics_stand_side_by_side_with_improvement_and_interval(self):
        """The primary metric is in bold."""
        text = section("Metrics")

        assert "| **Log loss** | 0.4312 | 0.4268 | +0.0044 | +0.0018 to +0.0070 |" in text
        assert "| Calibration intercept | −0.1210 | −0.1630 | −0.0420 | −0.0810 to −0.0030 |" in text

    def test_evidence_draws_zero_margin_and_gain(self):
        """The interval lies to the right of both zero and the smallest gain."""
        text = section("Evidence")

        assert re.search(r"−margin +0 +gain", text)
        assert re.search(r"^all rows +┊ +┊ +┊ *├─+●─+┤ +\+0\.0044$", text, re.MULTILINE)
        assert "A gain worth shipping is 0.0010." in text

    def test_a_very_uncertain_slice_does_not_squeeze_the_picture(self):
        """Its interval leaves the picture through an arrow, its dot when that lies outside, too."""
        verdict = example.verdict()
        verdict["slices"][2].update(low=-0.052, improvement=-0.019, high=0.014)
        verdict["slices"][3].update(low=-9.0, improvement=-5.0, high=9.0)

        text = section("Evidence", inputs(verdict))

        assert re.search(r"^origin = LGA +◂─*●─*┤ *−0\.0190$", text, re.MULTILINE)
        assert re.search(r"^carrier = UA +◂─+▸ *−5\.0000$", text, re.MULTILINE)

    def test_a_slice_too_small_to_judge_is_listed_and_not_drawn(self):
        """Thirty-one rows prove nothing."""
        assert "carrier = HA" not in section("Evidence")
        assert re.search(r"^\| carrier = HA \| 31 \|.*\| too small to judge \|$", section("Worst slices"), re.MULTILINE)

    def test_every_rule_has_its_number_bound_and_sentence(self):
        """One row each."""
        expected = "| ✓ pass | `same_rows` | 27,664 | equal | Both models scored the same 27,664 rows. |"
        assert expected in section("Rules")

    def test_parameters_that_differ_show_both_values(self):
        """A parameter only one of them has is a dash for the other."""
        text = section("Parameters that differ")

        assert "| `model.learning_rate` | `0.05` | `0.1` |" in text
        assert "| `model.depth` | – | `3` |" in text

    def test_data_tell_new_from_revised_periods(self):
        """A period with other bytes than the champion saw is called revised."""
        given = inputs()
        given.challenger.dataset["train"]["2013-02"]["sha256"] = "other"

        text = section("Data", given)

        assert "| 2013-01 | train | train | 26,007 | 23.0 % | 3 | same |" in text
        assert "| 2013-02 | train | train | 26,014 | 23.0 % | 3 | revised |" in text
        assert "| 2013-03 | – | train | 26,021 | 23.0 % | 3 | new |" in text

    def test_data_tell_how_many_rows_train_each_model(self):
        """With the mean label, weighed by labelled rows."""
        text = section("Data")

        assert (
            "The champion is trained on 52,021 rows of 2 periods, mean label 0.2304; "
            "the challenger is trained on 78,042 rows of 3 periods, mean label 0.2303."
        ) in text

    def test_a_champion_without_a_data_set_is_known_by_its_manifest(self):
        """Then nothing is called new, revised or the same."""
        whole = inputs()
        given = Inputs(whole.verdict, Side(whole.champion.evaluation), whole.challenger)

        text = section("Data", given)

        assert "| Period | Champion | Challenger | Rows | Mean label | Quarantined |\n" in text
        assert "| 2013-02 | train | train | 26,014 | 23.0 % | 3 |" in text
        assert "| 2013-03 | – | train | 26,021 | 23.0 % | 3 |" in text

    def test_a_long_list_of_periods_is_shown_by_its_ends(self):
        """A change in its middle alone shows it whole."""
        months = [f"2013-0{n}" for n in range(1, 8)]
        other = [*months[:2], "2012-12", *months[3:]]
        given = Inputs(example.verdict(), params=[("data.periods", months[:4], months), ("swapped", months, other)])

        text = section("Parameters that differ", given)

        assert "| `data.periods` | `2013-01 … 2013-04 (4 of them)` | `2013-01 … 2013-07 (7 of them)` |" in text
        assert "| `swapped` | `2013-01, 2013-02, 2013-03, " in text

    def test_time_and_size_are_told_where_they_are_known(self):
        """Stage by stage, and the whole."""
        stages = [{"name": "train", "seconds": 4.13}, {"name": "evaluate", "seconds": 71.6}]
        given = Inputs(example.verdict(), challenger=Side(bundle_bytes=310_000), stages=stages, seconds=80)

        text = section("Time and size", given)

        assert "The run took **1 min 20 s**." in text
        assert "| `train` | 4.1 s |\n| `evaluate` | 1 min 12 s |" in text
        assert "The bundle has 310.0 kB." in text
        assert section("Time and size") == ""

    def test_data_name_the_columns_whose_share_of_nulls_moved(self):
        """Only moves of half a percentage point and more."""
        given = inputs()
        for side, share in ((given.champion, 0.02), (given.challenger, 0.12)):
            for use in ("train", "test"):
                for figures in side.dataset[use].values():
                    figures["nulls"] = {"wind": share, "visib": 0.01}

        text = section("Data", given)

        assert "| `wind` | 2.0 % | 12.0 % |" in text
        assert "visib" not in text

    def test_harmed_slices_come_first_and_are_named(self):
        """Then those with the smallest improvement."""
        verdict = example.verdict()
        verdict["slices"][-1]["harmed"] = True

        rows = [line for line in section("Worst slices", inputs(verdict)).splitlines() if " = " in line]

        assert rows[0].startswith("| **carrier = EV** |")
        assert rows[0].endswith("| ✕ harmed |")
        assert rows[1].startswith("| carrier = HA |")

    def test_broken_behaviour_is_unfolded_and_first(self):
        """What holds stays folded away."""
        given = inputs()
        assert section("Behaviour", given).startswith("<details>")
        given.challenger.evaluation["behaviour"][1]["passed"] = False

        text = section("Behaviour", given)

        assert text.startswith("### Behaviour")
        assert text.splitlines()[4].startswith("| ✕ broken | The tail number does not matter. |")

    def test_baselines_stand_beside_the_model(self):
        """What the model adds is read in one row."""
        assert "| Log loss | 0.4268 | 0.4148 to 0.4388 | 0.4398 | 0.4508 |" in section("What the model adds")

    def test_models_look_and_commands(self):
        """Identity, the spent level, and how to get it again."""
        assert "| Digest | `a1a1a1a1a1a1` | `c4c4c4c4c4c4` |" in section("Models")
        assert "| Bundle | 310.0 kB | 1.33 MB |" in section("Models")
        assert "This is look 1 at this holdout." in section("Looks at this holdout")
        assert "```sh\nmake install\nratchet compare CHAMPION CHALLENGER\n```" in section("How to reproduce")

    def test_long_tables_are_cut_and_say_so(self):
        """Forty rows, then how many more."""
        given = Inputs(example.verdict(), params=[(f"p{n}", 1, 2) for n in range(50)])

        assert "… and 10 more." in section("Parameters that differ", given)

    def test_a_missing_input_gives_an_empty_section(self):
        """With nothing but a verdict, only what it says is shown."""
        given = Inputs({"verdict": "void", "sentence": "Nothing can be compared."})

        assert [one(given).blocks == () for one in SECTIONS] == [False] + [True] * (len(SECTIONS) - 1)
        assert markdown.render(report(given)) == "## ⚪ Void\n\n> [!NOTE]\n> Nothing can be compared.\n"

    def test_a_void_verdict_shows_why_and_no_figures(self):
        """Nulls where nothing could be computed."""
        text = markdown.render(report(Inputs(example.void())))

        assert text.startswith("## ⚪ Void")
        assert "The champion was trained on 2013-04." in text
        assert "### Metrics" not in text
        assert "### Evidence" not in text

    def test_nulls_in_a_verdict_are_dashes(self):
        """A metric without a figure keeps its row and leaves the picture."""
        verdict = example.verdict()
        verdict["metrics"][1].update(dict.fromkeys(("champion", "challenger", "improvement", "low", "high")))

        assert "| ROC AUC | – | – | – | – |" in section("Metrics", inputs(verdict))

    def test_a_regression_has_calibration_and_no_curve(self):
        """Nothing is called a probability."""
        text = section("Calibration and curves", inputs(task="regression"))

        assert "Bars: mean label. Line: mean prediction." in text
        assert "recall" not in text


class TestMarkdown:
    """GitHub's dialect, and nothing that data could turn into markup."""

    @pytest.mark.parametrize(
        ("text", "escaped"),
        [
            ("@octocat", "@&#8203;octocat"),
            ("fixes #12", "fixes #&#8203;12"),
            ("GH-12", "GH-&#8203;12"),
            ("https://evil.example", "https:&#8203;//evil.example"),
            ("www.evil.example", "www&#8203;.evil.example"),
            ("a@b.example", "a@&#8203;b.example"),
            (":tada:", ":&#8203;tada:"),
            ("<b> & </b>", "&lt;b&gt; &amp; &lt;/b&gt;"),
            ("a|b", r"a\|b"),
            ("`x`", r"\`x\`"),
            ("[x](y)", r"\[x\](y)"),
            ("![x](y)", r"\!\[x\](y)"),
            ("*a* _b_ ~~c~~", r"\*a\* \_b\_ \~\~c\~\~"),
            ("$x$", "<span>$</span>x<span>$</span>"),
            ("# x", r"\# x"),
            ("- x", r"\- x"),
            ("1. x", r"1\. x"),
            ("---", r"\---"),
            ("a\nb", "a b"),
            ("5eed5ee", "5eed5e&#8203;e"),
            ("a" * 40, "&#8203;".join(["aaaaaa"] * 6 + ["aaaa"])),
            ("0.0044", "0.0044"),
            ("-0.5 to +0.5", "-0.5 to +0.5"),
        ],
    )
    def test_text_is_shown_as_it_is(self, text, escaped):
        """No markup, mention, reference, link, emoji, formula, list or heading."""
        assert markdown.escape(text) == escaped

    def test_code_that_could_break_out_is_plain_text(self):
        """Backticks and pipes end a code span or a cell."""
        table = Table((Column("a"),), ((Code("a`|b"),), (Code("ok"),), (Code(""),)))

        assert markdown.render(document("", [Section("", (table,))])).splitlines()[2:] == [
            r"| a\`\|b |",
            "| `ok` |",
            "|  |",
        ]

    def test_commands_cannot_close_their_fence(self):
        """The fence is longer than any run of backticks in it."""
        text = markdown.render(document("", [Section("", (Commands(("echo ```", "x")),))]))

        assert text == "````sh\necho ```\nx\n````\n"

    def test_what_is_said_first_stands_out(self):
        """A headline with the symbol of its tone, a box, a link, and the end of a log."""
        link = Link("the [run]", "https://github.com/ada/flights/actions/runs/7")
        blocks = (Headline("busy", "Running."), Callout("bad", (Strong("Next:"), " see ", link, ".")), Log("a\n  ```"))

        assert markdown.render(document("", [Section("", blocks)])) == (
            "### ⏳ Running.\n\n"
            "> [!CAUTION]\n> **Next:** see [the \\[run\\]](https://github.com/ada/flights/actions/runs/7).\n\n"
            "````text\na\n  ```\n````\n"
        )

    def test_a_link_to_anywhere_odd_is_its_text(self):
        """In Markdown and on the page."""
        drawn = document("t", [Section("", (Paragraph(Link("words", "https://x.example/) ![y](z")),))])

        assert markdown.render(drawn) == "words\n"
        assert "<p>words</p>" in page.render(drawn)

    def test_items_and_spans(self):
        """Spaces between the parts of a sentence are kept."""
        blocks = (Items(("one", ("two ", Strong("three"), " four"))), Paragraph((Strong(""), "five")))

        assert markdown.render(document("", [Section("", blocks)])) == "- one\n- two **three** four\n\nfive\n"

    def test_hostile_names_break_no_table_and_call_nobody(self):
        """Every text of a verdict is an attack; the structure stays what it is without one."""
        text = markdown.render(report(hostile_inputs(HOSTILE)))

        without_code = re.sub(r"(?ms)^(`{3,})\w+\n.*?^\1$", "", text)
        tags = set(re.findall(r"<[^>]*>?", without_code))
        assert tags <= {"<details>", "</details>", "<summary>", "</summary>", "<b>", "</b>", "<span>", "</span>"}
        outside = re.sub(r"`[^`\n]*`", "", without_code.replace(r"\`", "")).replace("&#8203;", "\u200b")
        assert not re.search(r"@\w|#\d|https?://|www\.|(?<!\\)\]\(|:tada:|GH-\d", outside)
        for block in re.findall(r"(?m)(?:^\|.*\n)+", without_code):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1

    def test_a_report_is_never_longer_than_a_comment(self):
        """Sections go from the end, by name; the headline stays."""
        verdict = example.verdict()
        verdict["rules"] = [example.rule("r" * 80, "pass", 1, "b" * 300, "$" * 300) for _ in range(500)]

        text = markdown.render(report(inputs(verdict)))

        assert len(text.encode()) <= 65_536
        assert text.startswith("## ✅ Promote")
        assert text.endswith(
            "*Left out, for a comment holds no more: Rules, Parameters that differ, Behaviour, Worst slices, Data, "
            "Models, What the model adds, Calibration and curves, Looks at this holdout, How to reproduce. "
            "The HTML report has them.*\n"
        )

    @settings(max_examples=30, deadline=None)
    @given(st.text(min_size=1, max_size=40), st.integers(1, 40_000))
    def test_no_text_makes_it_longer(self, text, times):
        """Whatever the names are, and however long."""
        found = markdown.render(report(hostile_inputs(text * (1 + times // len(text)))))

        assert len(found) <= len(found.encode()) <= 65_536

    def test_charts_are_mermaid_in_documented_syntax(self):
        """Values at equal steps of the axis, colours named in the caption, no image."""
        text = section("Calibration and curves")

        assert text.count("xychart-beta") == 3
        assert '    x-axis "recall" 0 --> 1\n    y-axis "precision" 0 --> 1\n    line [' in text
        assert len(re.findall(r"line \[(.*)\]", text)[-1].split(", ")) == 21
        assert "Grey: champion, blue: challenger." in text
        assert "![" not in text


class Page(HTMLParser):
    """What a page holds, as a browser sees it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Remember the element; void elements do not stay open."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """An empty element of SVG."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        """Elements close in order."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Text between elements."""
        self.words.append(data)


class TestPage:
    """The self-contained HTML page."""

    def test_it_loads_and_runs_nothing(self):
        """No script, no link, no image, no address, and a policy that forbids them."""
        text = page.render(report(inputs()))
        found = Page(text)

        assert found.open == []
        assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(found.tags)
        assert not {"src", "href", "srcset", "style"} & found.attributes
        assert "default-src 'none'" in text
        assert "url(" not in text
        assert "http" not in text.replace("http-equiv", "")

    def test_it_says_what_the_comment_says(self):
        """Every cell of every table is on the page."""
        words = html.unescape(re.sub(r"<[^>]+>", "", page.render(report(inputs()))))

        for one in report(inputs()).sections:
            assert one.title in words
        assert "+0.0018 to +0.0070" in words
        assert "✕" not in Page(page.render(report(inputs()))).words

    def test_hostile_names_stay_text(self):
        """The same elements and attributes as without an attack."""
        calm, attacked = (Page(page.render(report(hostile_inputs(text)))) for text in ("calm", HOSTILE))

        assert attacked.tags == calm.tags
        assert attacked.attributes == calm.attributes
        assert attacked.open == []
        assert any("<script>alert(1)</script>" in words for words in attacked.words)

    def test_pictures_are_inline_and_named(self):
        """Two forests, a reliability diagram and a curve."""
        text = page.render(report(inputs()))

        assert re.findall(r'<svg class="(\w+)"', text) == ["wide", "wide", "panel", "panel"]
        assert 'aria-label="Calibration"' in text
        assert '<line class="zero"' in text

    def test_what_is_said_first_stands_out(self):
        """The same blocks as in a comment."""
        link = Link("a & b", "https://github.com/ada/flights?a=b&c=d")
        blocks = (Headline("wait", "Hold: <b>."), Callout("good", (Strong("Next:"), " ", link)), Log("a\n  <b>"))

        text = page.render(document("t", [Section("", blocks)]))

        assert '<div class="banner wait" role="status">' in text
        assert "<p>Hold: &lt;b&gt;.</p>" in text
        assert (
            '<p class="callout good"><strong>Next:</strong> '
            '<a href="https://github.com/ada/flights?a=b&amp;c=d">a &amp; b</a></p>'
        ) in text
        assert "<pre>a\n  &lt;b&gt;</pre>" in text

    def test_a_perfectly_flat_picture_can_be_drawn(self):
        """Two identical models differ by nothing, certainly."""
        flat = Interval("all rows", 0.0, 0.0, 0.0)
        for shared in (True, False):
            drawn = document("", [Section("", (Forest("t", (flat,), (Mark("0", 0.0),), shared=shared),))])
            assert "nan" not in page.render(drawn)
            assert "●" in markdown.render(drawn)

    def test_a_constant_model_can_be_drawn(self):
        """One bin, at zero."""
        constant = example.evaluation()
        constant["calibration"] = [{"predicted": 0.0, "observed": 0.0, "rows": 10}]
        constant["pr_curve"] = [{"recall": 1.0, "precision": 0.2, "threshold": 0.0}]
        drawn = report(Inputs(example.verdict(), challenger=Side(constant)))

        assert "nan" not in page.render(drawn)
        assert "line [0.2, 0.2," in markdown.render(drawn)


def test_the_same_input_gives_the_same_bytes():
    """In another process, with another hash seed, too."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_report as t; from ratchet.report import *;"
        "sys.stdout.buffer.write((t.markdown.render(report(t.inputs())) + t.page.render(report(t.inputs()))).encode())"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert made[0] == made[1]
    assert made[0].startswith("## ✅ Promote".encode())


def test_a_banner_alone_is_a_document():
    """The smallest report."""
    drawn = document("t", [Section("", (Banner("good", "Promote", "Better."),)), Section("empty")])

    assert markdown.render(drawn) == "## ✅ Promote\n\n> [!TIP]\n> Better.\n"
    assert markdown.render(document("t", [])) == ""


def hostile_inputs(text: str) -> Inputs:
    """Everything a report can show, all of whose texts are `text`."""
    calm = inputs(example.hostile(example.verdict(), text))
    sides = [
        Side(example.hostile(side.evaluation, text), hostile_dataset(text), side.training, side.bundle_bytes)
        for side in (calm.champion, calm.challenger)
    ]
    return Inputs(calm.verdict, *sides, params=((text, text, {text: [text]}),), commands=(text,))


def hostile_dataset(text: str) -> dict:
    """A period and a column that are called `text`."""
    return {"train": {text: {**example.period("2013-01"), "sha256": text, "nulls": {text: 0.2}}}, "test": {}}
