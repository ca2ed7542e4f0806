"""The pages: what a person sees of the forge, what they can press, and the copy that opens without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import httpx
import pages_example as example
import pytest
from pages_example import NAME, Story

from ratchet.report.markdown import escape
from rehearsal.forge import Event, Forge
from rehearsal.pages import diff, export, layout, markdown, run, timeline, words
from rehearsal.pages.answers import answer
from rehearsal.pages.layout import View
from rehearsal.pages.markup import Html, tag, text

PLACE = markdown.Place(NAME, "http://127.0.0.1:7000", "main")
SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return example.tell(tmp_path / "forge")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A story that its tests only read."""
    return example.tell(tmp_path_factory.mktemp("story") / "forge")


@pytest.fixture
def client(story: Story) -> Iterator[httpx.Client]:
    """A browser at the story's forge."""
    with story.forge as forge, httpx.Client(base_url=f"{forge.url}/{NAME}", follow_redirects=True) as opened:
        yield opened


def see(story: Story, path: str = "") -> str:
    """A page of the repository."""
    found = answer(story.forge, f"/{NAME}{path}")
    assert found.status == 200, path
    assert isinstance(found.body, bytes)
    return found.body.decode()


def plain(page: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page)))


def run_of(story: Story, name: str, nth: int = 0) -> str:
    """Path of a run's page."""
    return f"/actions/runs/{[run for run in story.state.runs if run.name == name][nth].id}"


def test_text_is_escaped_and_markup_is_not() -> None:
    """Only what this package made is markup."""
    made = tag("a.main", "<b>", Html("<i>x</i>"), 3, None, href='"/&', hidden=True, title=None)
    assert made == '<a class="main" href="&quot;/&amp;" hidden>&lt;b&gt;<i>x</i>3</a>'
    assert text(["<", tag("br")]) == "&lt;<br>"


def test_tables_alerts_tasks_and_folds_look_as_on_github() -> None:
    """Each is the element with the class that GitHub gives it."""
    source = (
        "> [!TIP]\n> Good.\n\n- [x] done\n\n~~old~~\n\n|a|b|\n|:--|--:|\n|1|2|\n\n"
        "<details open><summary>s</summary>\n\nt\n\n</details>"
    )
    page = markdown.render(source, PLACE)
    assert '<div class="markdown-alert markdown-alert-tip">' in page
    assert re.search(r'<input(?=[^>]* checked="")(?=[^>]* disabled="")[^>]* type="checkbox"[^>]*> done', page)
    assert "<s>old</s>" in page
    assert '<th align="left">a</th>\n<th align="right">b</th>' in page
    assert '<details open=""><summary>s</summary>' in page


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<style>body{display:none}</style>",
        "<iframe src='https://example.org'></iframe>",
        "<svg onload=alert(1)></svg>",
        "<form action='/x'><button>Merge</button></form>",
        "<p onclick=alert(1) style='color:red' class='box'>x</p>",
        "<a href='javascript:alert(1)'>x</a>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://example.org/x.png)",
        "<img src='//example.org/x.png' onerror=alert(1)>",
        "```mermaid\n</pre><script>alert(1)</script>\n```",
        "<input type=text name=method value=merge>",
        "<meta http-equiv=refresh content='0;url=https://example.org'>",
        "<base href='https://example.org'>",
    ],
)
def test_nothing_runs_loads_or_pretends(source: str) -> None:
    """What could run, load from elsewhere, or look like a part of the page is gone."""
    page = markdown.render(source, PLACE)
    assert not re.search(
        r"<(script|style|iframe|svg|form|button|meta|base)\b|<[^>]*( on\w+| style| name| class=\"box)=|src=\"(//|http)"
        r"|href=\"(javascript|data):|type=\"text\"",
        page,
    ), page


def test_relative_links_lead_to_files_of_the_repository() -> None:
    """From the file's own folder; pictures of the repository are shown."""
    place = markdown.Place(NAME, ref="main", path="docs/a.md")
    page = markdown.render("[b](b.md#c d) [c](../c.md#part) ![p](p.png)", place)
    assert 'href="/ada/flights/blob/main/c.md#user-content-part"' in page
    assert '<img src="/ada/flights/picture/main/docs/p.png" alt="p">' in page


def test_links_to_the_forge_become_paths() -> None:
    """They work from a copy too; others stay as they are, and tell nobody where they were pressed."""
    page = markdown.render("http://127.0.0.1:7000/ada/flights/pull/1#x and https://example.org/", PLACE)
    assert 'href="/ada/flights/pull/1#x"' in page
    assert '<a href="https://example.org/" rel="nofollow noopener noreferrer">' in page


def test_mentions_numbers_and_commits_are_marked() -> None:
    """As on GitHub, but not in code, in links or inside words."""
    page = markdown.render(f"@bob #12 {SHA} `@bob #12` a@b.org x#12", PLACE)
    assert page.count('class="mention"') == 1
    assert page.count('href="/ada/flights/issues/12"') == 1
    assert f'<a href="/ada/flights/commit/{SHA}" rel="nofollow noopener noreferrer">0123456</a>' in page


@pytest.mark.parametrize("hostile", ["@bob", "#12", "GH-12", "https://example.org", "www.example.org", "<b>x</b>"])
def test_what_the_reports_escape_stays_text(hostile: str) -> None:
    """The escaping of the reports holds in a renderer that would link and mention."""
    page = markdown.render(f"| a |\n|---|\n| {escape(hostile)} |", PLACE)
    assert "<a" not in page
    assert "<b>" not in page


def test_a_diagram_is_text_until_it_is_drawn() -> None:
    """So it can be read without JavaScript."""
    page = markdown.render("```mermaid\ngraph LR\na-->b\n```", PLACE)
    assert page == '<pre class="mermaid">graph LR\na--&gt;b\n</pre>\n'


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0 s"), (3.25, "3.2 s"), (59.2, "59 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min")],
)
def test_a_duration_has_two_units_at_most(seconds: float, said: str) -> None:
    """The finer ones do not matter."""
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(512, "512 B"), (1_500, "1.5 kB"), (48_000, "48 kB"), (2e9, "2.0 GB")])
def test_a_size_has_its_unit(count: int, said: str) -> None:
    """In powers of ten, as browsers and GitHub count."""
    assert words.size(count) == said


def test_a_silence_is_cut_and_times_keep_their_order() -> None:
    """100 seconds of work around an hour of nothing fill the line; the cut is two percent of them."""
    line = timeline.axis([(0, 50), (40, 60), (3_660, 3_700)])
    assert line.width == 102
    assert [round(line.place(moment) * 102) for moment in (0, 60, 2_000, 3_660, 3_700)] == [0, 60, 60, 62, 102]
    assert line.labels() == [(0, 0.0), (3_660, 62 / 102)]


def test_the_grid_has_at_most_twelve_lines() -> None:
    """Its step is a round time."""
    line = timeline.axis([(0, 600)])
    assert line.step == 60
    assert len(line.lines()) == 10


def test_lines_have_the_numbers_of_both_sides() -> None:
    """A removed one has no new number, an added one no old."""
    found = list(diff.lines("@@ -3,2 +3,2 @@ x\n same\n-old\n+new\n\\ No newline at end of file"))
    assert [(line.kind, line.old, line.new, line.content) for line in found[1:]] == [
        ("", 3, 3, "same"),
        ("removed", 4, None, "old"),
        ("added", None, 4, "new"),
    ]


def test_every_link_of_every_page_leads_somewhere(told: Story) -> None:
    """From the first page on, nothing is missing."""
    seen, waiting, missing = {"/"}, ["/"], []
    while waiting:
        path = waiting.pop()
        found = answer(told.forge, path)
        if found.location:
            found = answer(told.forge, found.location)
        if found.status != 200:
            missing.append(path)
        if isinstance(found.body, bytes) and found.media.startswith("text/html") and not found.is_foreign:
            for link in re.findall(r' (?:href|src)="(/[^"#?]*)', found.body.decode()):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)
    assert not missing, "\n".join(missing)
    assert len(seen) > 60


@pytest.mark.parametrize(
    "path",
    [
        "/nobody/nothing",
        "/ada/flights/pull/99",
        "/ada/flights/blob/main/none",
        "/ada/flights/actions/runs/1",
        "/-/x",
    ],
)
def test_what_is_not_there_is_not_found(told: Story, path: str) -> None:
    """Whatever the kind of page."""
    assert answer(told.forge, path).status == 404


def test_no_page_holds_markup_that_somebody_wrote(told: Story) -> None:
    """A title, a commit's subject, a log and a record are text, wherever they stand."""
    paths = [
        "",
        "/pulls",
        "/pull/4",
        "/pull/4/commits",
        "/pull/4/files",
        "/actions",
        "/records",
        run_of(told, "report"),
    ]
    pages = [see(told, path) for path in paths]
    assert all("<script>alert" not in page for page in pages)
    assert all("<the>" not in page for page in pages)
    assert "A better model <script>alert(1)</script>" in plain(pages[2])


def test_home_shows_files_readme_and_what_happens(told: Story) -> None:
    """All that a newcomer needs to find the rest."""
    page = see(told)
    assert 'href="/ada/flights/blob/main/params.yaml"' in page
    assert '<h1 id="user-content-flights">Flights</h1>' in page
    assert 'href="/ada/flights/pull/2"' in page
    assert 'href="/ada/flights/releases/tag/model-v1"' in page


def test_an_empty_repository_has_a_home(tmp_path: Path) -> None:
    """Before the first push."""
    forge = Forge(tmp_path)
    forge.create_repository("ada/new")
    found = answer(forge, "/ada/new")
    assert isinstance(found.body, bytes)
    assert "nothing was pushed yet" in found.body.decode()
    assert [
        answer(forge, f"/ada/new/{part}").status for part in ("actions", "records", "pulls", "issues", "releases")
    ] == [200] * 5


def test_mermaid_is_loaded_from_the_installed_package_alone(
    told: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only by a page that has a diagram."""
    installed = tmp_path / "mermaid.min.js"
    monkeypatch.setattr(layout, "MERMAID", installed)
    assert "<script" not in see(told)
    installed.write_text("")
    assert '<script src="/-/mermaid.js" defer></script>' in see(told)
    assert "<script" not in see(told, "/pulls")


def test_a_blocked_one_says_each_reason(told: Story) -> None:
    """The failed check with its sentence, the branch that is behind, and what the API answers."""
    page = see(told, "/pull/2")
    assert "It lacks 1 commit of main: a branch must be up to date to be merged." in plain(page)
    assert "model-gate is required, and has failed: Block: the calibration slope is 3.8." in plain(page)
    assert "The API answers 405: 2 of 2 required status checks are expected." in plain(page)
    assert re.findall(r"<button[^>]*disabled[^>]*>([^<]+)", page) == [
        "Create a merge commit",
        "Squash and merge",
        "Rebase and merge",
    ]


def test_a_required_check_that_nobody_reported_is_expected(told: Story) -> None:
    """A fork's pull request, whose run waits for approval, has none."""
    page = plain(see(told, "/pull/4"))
    assert "ci-gate is required, and nobody has reported it for this commit." in page
    assert "bob wants to merge 1 commit into main from bob:main" in page


def test_a_conflict_names_the_files(story: Story) -> None:
    """Those that both sides changed."""
    story.commit("main", {"params.yaml": "x: 1\n"}, "Other", 3000)
    assert "It conflicts with main: both changed params.yaml." in plain(see(story, "/pull/2"))


def test_a_merged_one_says_who_and_as_what(told: Story) -> None:
    """There is nothing left to press."""
    page = see(told, "/pull/1")
    assert "ada merged 1 commit into main from more-data" in plain(page)
    assert "<button" not in page


def test_comments_stand_in_their_order_and_are_rendered(told: Story) -> None:
    """The bot's was edited."""
    page = plain(see(told, "/pull/1"))
    assert page.index("Spring and summer") < page.index("✅ Promote") < page.index("Looks right to me")
    assert "github-actions bot wrote 24 Nov 2026, 09:01:48 · edited 24 Nov 2026, 09:02:29" in page


def test_checks_and_files_have_their_tabs(told: Story) -> None:
    """Runs of a fork's pull request are found too."""
    assert "report #1 pull request" in plain(see(told, "/pull/1/checks"))
    assert "report #3 pull request" in plain(see(told, "/pull/4/checks"))
    assert '<tr class="added"><td class="line"></td><td class="line">6</td>' in see(told, "/pull/2/files")


def test_jobs_show_permissions_steps_and_durations(told: Story) -> None:
    """A permission to write stands out."""
    page = see(told, run_of(told, "verdict"))
    assert '<span class="tag write">statuses: write</span>' in page
    assert '<span class="tag">contents: read</span>' in page
    assert re.search(r"dvc repro</td><td class=\"seconds\">9.6 s", page)
    assert "<h3" in page  # the summary is rendered


def test_the_log_is_text_without_commands_to_a_terminal(told: Story) -> None:
    """A step that failed is open, with the numbers that its lines have in the whole log."""
    path = run_of(told, "report", 1)
    page = see(told, path)
    assert '<p class="part">evidence</p><details class="fold"><summary> Set up<' in page
    assert re.search(r'<details class="fold" open><summary><span class="mark bad.*?</span> dvc repro<', page)
    assert '<pre class="log" style="counter-reset:line 4"><span>    Running stage' in page
    assert '<span class="bad">    error: failed to reproduce &#x27;train&#x27;</span>' in page
    assert see(told, f"{path}/attempts/1/log.txt").startswith("job: evidence\n  step: Set up\n    ready\n")


def test_a_log_without_steps_is_one_section() -> None:
    """Whatever made it."""
    assert run.sections("one\ntwo\n") == [run.Section("", 0, ("one", "two"))]
    assert run.sections("job: a\n") == [run.Section("a", 1, ())]


def test_a_page_among_the_artifacts_opens_by_itself(story: Story, client: httpx.Client) -> None:
    """Under a policy that lets it show itself and nothing else; an archive is saved."""
    page, archive = [one for one in story.state.artifacts if one.name in {"report.html", "evidence"}][::-1]
    shown = client.get(f"/actions/runs/{page.run_id}/artifacts/{page.id}")
    assert shown.text == "<!DOCTYPE html><h1>Report</h1>"
    assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    saved = client.get(f"/actions/runs/{archive.run_id}/artifacts/{archive.id}")
    assert saved.headers["content-disposition"] == 'attachment; filename="evidence.zip"'


def test_an_earlier_attempt_stays_to_be_seen(story: Story, client: httpx.Client) -> None:
    """With its own result, jobs and log."""
    path = run_of(story, "report", 1)
    pressed = client.post(f"{path}/rerun")
    assert pressed.status_code == 200
    assert "queued" in plain(see(story, path))
    assert "failure" in plain(see(story, f"{path}/attempts/1"))


def test_all_runs_stand_there_newest_first(told: Story) -> None:
    """With their event, pull request and duration."""
    page = plain(see(told, "/actions"))
    names = re.findall(r"(report|verdict|ci|release) #\d", page)
    assert names == ["report", "ci", "verdict", "report", "verdict", "report", "release"]
    assert "release #1 push · main" in page
    assert "1 min 02 s" in page


def test_a_workflow_that_can_be_started_offers_its_inputs(told: Story) -> None:
    """Choices as choices, in the order of the file."""
    page = see(told, "/actions/workflows/maintainer.yml")
    assert re.findall(r'name="(inputs\.\w+|ref)"', page) == [
        "ref",
        "inputs.action",
        "inputs.pull_request",
        "inputs.reason",
    ]
    assert re.findall(r"<option[^>]*>(\w+)", page) == ["accept", "adopt", "refresh"]
    assert "Run workflow" not in see(told, "/actions/workflows/report.yml")


def test_each_record_is_a_line_newest_first(told: Story) -> None:
    """With its verdict, its sentence and the file it is."""
    page = see(told, "/records")
    assert re.findall(r'class="tag (\w+)">(\w+)', page) == [("bad", "block"), ("good", "promote")]
    assert 'href="/ada/flights/blob/records/verdicts/aa/bb/pr1-1.1.json"' in page


def test_what_is_no_record_does_not_break_the_page(story: Story) -> None:
    """Somebody pushed something else to the branch."""
    story.record("verdicts/aa/bb/list.json", [1], 300)  # type: ignore[arg-type]
    assert "not a record" in plain(see(story, "/records"))


def test_a_mergeable_one_is_merged_by_the_button(story: Story, client: httpx.Client) -> None:
    """By the repository's owner, in the way that was chosen."""
    pull = story.state.pulls[2]
    for name in example.GATES:
        story.status(pull.head_sha, name, "success", "fine")
    assert "It can be merged" in plain(see(story, "/pull/3"))
    done = client.post("/pull/3/merge", data={"method": "squash", "sha": pull.head_sha}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/ada/flights/pull/3")
    assert (pull.merged, pull.merged_by) == (True, "ada")


def test_a_blocked_one_is_refused_in_the_words_of_the_rules(story: Story, client: httpx.Client) -> None:
    """A button that is not offered can still be pressed, and the same code says no."""
    done = client.post("/pull/2/merge", data={"method": "merge"})
    assert done.status_code == 405
    assert "2 of 2 required status checks are expected." in plain(done.text)
    assert not story.state.pulls[1].merged


def test_a_head_that_moved_is_not_merged(story: Story, client: httpx.Client) -> None:
    """The page showed another commit than the one that is there now."""
    done = client.post("/pull/3/merge", data={"method": "merge", "sha": SHA})
    assert done.status_code == 409


def test_a_branch_that_is_behind_can_be_updated(story: Story, client: httpx.Client) -> None:
    """The button merges the base into it."""
    before = story.state.pulls[1].head_sha
    done = client.post("/pull/2/update", data={"sha": before})
    assert done.status_code == 200
    assert "lacks" not in plain(done.text)
    assert story.state.pulls[1].head_sha != before


def test_a_run_that_waits_is_approved(story: Story, client: httpx.Client) -> None:
    """It is queued then."""
    path = run_of(story, "report", 2)
    assert "Approve and run" in see(story, path)
    client.post(f"{path}/approve")
    assert story.state.runs[-1].status == "queued"


def test_a_workflow_is_started_by_hand(story: Story, client: httpx.Client) -> None:
    """Whoever listens hears it, with defaults filled in; what does not fit is refused in GitHub's words."""
    heard: list[Event] = []
    story.forge.listen(heard.append)
    path, fields = "/actions/workflows/maintainer.yml/dispatches", {"ref": "main", "inputs.action": "accept"}
    refused = client.post(path, data=fields)
    assert refused.status_code == 422
    assert "Required input &#x27;pull_request&#x27; not provided" in refused.text
    assert client.post(path, data={**fields, "inputs.pull_request": "2"}).status_code == 200
    assert [(event.name, event.actor) for event in heard] == [("workflow_dispatch", "ada")]
    assert heard[0].payload["inputs"] == {"action": "accept", "pull_request": "2", "reason": ""}


def test_a_page_elsewhere_cannot_press(story: Story, client: httpx.Client) -> None:
    """A browser says where a form came from."""
    done = client.post("/pull/2/merge", headers={"origin": "https://example.org"})
    assert done.status_code == 403


def test_pages_may_run_only_their_own_scripts(story: Story, client: httpx.Client) -> None:
    """Whatever slipped in could neither run nor load anything."""
    policy = client.get("/pulls").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy


@pytest.fixture(scope="module")
def copy(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(told.forge, tmp_path_factory.mktemp("copy"))


def test_every_link_is_relative_and_has_its_file(copy: Path) -> None:
    """It opens from a folder, without a server."""
    pages = [
        page
        for page in copy.parent.rglob("*.html")
        if b"/-/" in page.read_bytes() or b"-/pages.css" in page.read_bytes()
    ]
    assert len(pages) > 40
    for page in pages:
        for link in re.findall(r' (?:href|src)="([^"]*)"', page.read_text()):
            target = unescape(link).split("#")[0].split("?")[0]
            if target and not re.match(r"https?:|mailto:|data:", target):
                assert not target.startswith("/"), (page, link)
                assert (page.parent / unquote(target)).is_file(), (page, link)


def test_nothing_can_be_pressed(copy: Path) -> None:
    """A copy has no forge behind it, and nothing that loads itself again."""
    pages = [page.read_text() for page in copy.parent.rglob("*.html")]
    assert not any("<form" in page or 'http-equiv="refresh"' in page for page in pages)


def test_artifacts_logs_and_assets_are_in_it(copy: Path, told: Story) -> None:
    """Pages that others wrote are kept as they are."""
    page = next(one for one in told.state.artifacts if one.name == "report.html")
    folder = copy.parent / NAME
    assert (folder / f"actions/runs/{page.run_id}/artifacts/{page.id}/index.html").read_text().endswith("Report</h1>")
    assert (folder / "releases/download/model-v1/card.html").read_text() == "<h1>Model card</h1>"
    assert "step: Set up" in (folder / f"{run_of(told, 'report')}/attempts/1/log.txt".lstrip("/")).read_text()


def test_the_server_serves_the_pages_beside_its_api(story: Story, client: httpx.Client) -> None:
    """One address for both, as on a GitHub server."""
    assert client.get("/pull/1").text.startswith("<!DOCTYPE html>")
    assert httpx.get(f"{story.forge.url}/-/pages.css").headers["content-type"] == "text/css; charset=utf-8"
    assert httpx.get(f"{story.forge.api}/repos/{NAME}/pulls/1").json()["title"] == "Train to June, test on July"


def test_links_of_earlier_addresses_stay_links(story: Story, client: httpx.Client) -> None:
    """The forge was opened again, at another port; another server of this machine is not taken for it."""
    view = View(story.forge, story.repository)
    assert view.target(f"{story.forge.url}/{NAME}/pull/1") == "/ada/flights/pull/1"
    assert view.target("http://127.0.0.1:1/ada/flights/pull/1#x") == "/ada/flights/pull/1#x"
    assert view.target("http://127.0.0.1:3000/grafana") == "http://127.0.0.1:3000/grafana"
    assert view.target("javascript:alert(1)") is None
    assert client.get("/pull/1").status_code == 200
