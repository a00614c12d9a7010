"""Text from elsewhere is dead in every forge's Markdown: hostile names, and what GitLab makes live after parsing."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Sequence
from itertools import product

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from git_clearml.base.markdown import escape
from git_clearml.model import Problem, Task
from git_clearml.render import comment as view
from git_clearml.render.comment import Page
from git_clearml.render.flavour import BITBUCKET, GITEA, GITLAB, Flavour
from git_clearml.report.measures import Row
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict
from tests.unit.render.test_comment import HEAD, OTHER, measured

# What GitLab does with the text between the tags, outside of code and links, once its parser has done its work: as the
# pattern that it looks for, and where that is written (paths of https://gitlab.com/gitlab-org/gitlab).
LIVE_ON_GITLAB = {
    "user or group": (r"@[A-Za-z0-9_.]", "app/models/user.rb"),
    "issue": (r"#\d|\b[Gg][Ll]-\d", "app/models/issue.rb"),
    "merge request": (r"!\d", "app/models/merge_request.rb"),
    "label": (r"~(\d|[A-Za-z0-9_\-?.&]|\")", "app/models/label.rb"),
    "milestone": (r"%[^\s<\u200c]", "app/models/milestone.rb"),
    "snippet": (r"\$\d", "app/models/snippet.rb"),
    "epic": (r"&\d", "ee/app/models/ee/epic.rb"),
    "alert": (r"\^alert#\d", "app/models/alert_management/alert.rb"),
    "iteration": (r"\*iteration:", "ee/app/models/ee/iteration.rb"),
    "anything in brackets": (r"\[(vulnerability|feature_flag|issue|contact|wiki_page):", "doc/user/markdown.md"),
    "project": (r"[\w.-]+/[\w.-]+>", "app/models/project.rb"),
    "emoji": (r":[\w+-]+:", "lib/banzai/filter/emoji_filter.rb"),
    "inline diff": (r"\[\+.*?\+\]|\{\+.*?\+\}|\[-.*?-\]|\{-.*?-\}", "lib/banzai/filter/inline_diff_filter.rb"),
    "table of contents": (r"(?i)^\[toc\]|\[\[_?toc", "lib/banzai/filter/table_of_contents_tag_filter.rb"),
    "link of another scheme": (r"[a-z][a-z0-9+.-]+://[^\s>]+", "lib/banzai/filter/autolink_filter.rb"),
    "placeholder": (r"%\{\w+\}", "lib/banzai/filter/placeholders_post_filter.rb"),
    "task": (r"^\[[ xX~]\]\s", "lib/banzai/filter/task_list_filter.rb"),
}  # fmt: skip
NAMES = [
    *(
        "@all @group/sub #1 GL-1 gl-12 !1 !12+ ~bug ~1 %1 %v1.0 $1 &1 ^alert#1 [vulnerability:1] [issue:g/p/1] [TOC] "
        "[contact:a@b.example] [wiki_page:home] g/p#1 g/p!1 g/p@1234567 g/p> g/s/p> :tada: :+1: {+x+} "
        "{-x-} [+x+] [-x-] [[_TOC_]] [[toc]] irc://evil.example smb://x/y https://evil.example www.evil.example "
        "a@evil.example %{project_name} [ ] [x] [~] /close /merge /label $`x`$ $x$ $$x$$ <b> &lt; </details> <!-- --> "
        "![a](b) [a](b) `x` ``` *x* _x_ ~~x~~ --- === | ::: >>> --- # 1. - + \\ \\# [^1] ==x== loss!1 a~b~c me@team"
    ).split(),
    *(
        '~"a label"',
        '%"a milestone"',
        '*iteration:"x"',
        "*iteration:1",
        "[x] done",
        "[ ] todo",
        "/close",
        "/approve now",
    ),
    *("a\n/close", "a\r\n/merge", "a\u2028/close", "\t/close", "---\ntitle: x\n---", "$`a`$ and $`b`$", "@all, look"),
    *(
        "costs $1 and $2",
        "a $x$ b $y$",
        "`@all`",
        "> [!note]",
        "@a @b",
        "acc:100",
        "&#64;all",
        "&commat;all",
        "#1 #2 !3",
    ),
]


def rendered(page: str) -> str:
    """By GitHub's parser; GitLab's follows it (lib/banzai/filter/markdown_engines/glfm_markdown.rb)."""
    shown: str = cmarkgfm.github_flavored_markdown_to_html(page, options=Options.CMARK_OPT_UNSAFE)
    return shown


def texts(page: str) -> list[str]:
    """The text between the tags, but that of code and links, as GitLab's filters are given it."""
    shown = re.sub(r"<(code|a)\b.*?</\1>", "\0", rendered(page), flags=re.DOTALL)
    return [html.unescape(text) for text in re.split(r"<[^>]*>|\0", shown)]


def live(page: str) -> list[str]:
    """What GitLab would make of it, with the text."""
    return [
        f"{kind}: {text}"
        for kind, (pattern, _) in LIVE_ON_GITLAB.items()
        for text in texts(page)
        if re.search(pattern, text, re.MULTILINE)
    ]


def test_there_are_enough_of_them_and_they_would_be_live() -> None:
    assert len(NAMES) >= 100
    page = "\n\n".join(f"a {name} b\n\n{name}" for name in NAMES if not name.startswith(("`", "<", "-")))
    assert {each.partition(":")[0] for each in live(page)} == set(LIVE_ON_GITLAB)


@pytest.mark.parametrize(
    "around", ["{}", "- {}", "a {} b", "| {} | x |\n|---|---|\n| {} | {} |", "### {}", "({})", "x{}y", "* {}. {}"]
)
def test_no_name_is_live(around: str) -> None:
    """All names on one page, each in a block of its own: what is live is told with what stands around it."""
    page = GITLAB.adapted("\n\n".join(around.replace("{}", shown) for shown in map(escape, NAMES)))
    assert live(page) == []
    assert "<" not in re.sub(r"</?(p|h3|ul|li|table|thead|tbody|tr|th|td|span)\b>", "", rendered(page))
    assert not re.search(r".{0,20}(?<!\\)\$", page)  # GitLab's parser makes mathematics of $...$ (math_dollars)


def test_no_two_names_together_are_live() -> None:
    few = ["@a", "#1", "!1", "%", "~", "$1", "&1", ":", "+", "-", "[", "]", "{", "}", "/", "*", ">", "x", "1"]
    for first, second in product(few, few):
        page = GITLAB.adapted(f"a {escape(first + second)} b")
        assert live(page) == [], (first, second)


def page_of(names: Sequence[str], flavour: Flavour) -> str:
    """A comment with the names wherever text of a server may stand, and one before it with one in the history."""
    given = itertools.cycle(names)
    task = Task("x", "server", next(given), next(given), url="https://x/")
    near = Finding(task, None, (Reason("dirty", next(given)), Reason("failed", f"ran {next(given)}")))
    told = VerifyReport(
        Outcome.REJECTED,
        1,
        "flags",
        (
            Verdict(HEAD, Outcome.REJECTED, near_misses=(near,), notes=(next(given),)),
            Verdict(next(given), Outcome.UNDECIDED),
        ),
        "git clearml doctor",
        (Problem("x", next(given), next(given)),),
        (next(given),),
    )
    rows = [Row(name, name, 1.0, 1.0, 1.0, 0.5, 0.5, note=name) for name in names]
    rows += [Row(f"a {name}", f"{name} b", 0.5, 0.1, 0.9) for name in names]
    before = told._replace(verdicts=(Verdict(OTHER, Outcome.VERIFIED, task=task),))
    section, home = measured(*rows), "https://gitlab.com/group/project/-"
    old = view.comment(Page(before, sections=(section,), repository_url=home, flavour=flavour))
    return view.comment(Page(told, sections=(section,), repository_url=home, flavour=flavour), old)


@pytest.mark.parametrize("turn", range(10))
def test_no_name_is_live_in_a_whole_comment(turn: int) -> None:
    """Nor does a line begin with a quick action: /close does something in a line of its own alone.

    lib/gitlab/quick_actions/extractor.rb and lib/banzai/filter/quick_action_filter.rb of gitlab-org/gitlab
    """
    page = page_of(NAMES[turn::10], GITLAB)
    assert live(page) == []
    assert not re.search(r"(?m)^\s*/", page)
    assert not re.search(r".{0,20}(?<!\\)\$", without_code(page))
    assert "Earlier commits" in page


def without_code(page: str) -> str:
    return re.sub(r"(?<!\\)(`+)[^`].*?\1", "", page)


def test_gitea_makes_no_mathematics_of_a_name() -> None:
    r"""Of $...$, \(...\) and \[...\]: modules/markup/markdown/math of go-gitea/gitea."""
    names = [*NAMES, "loss (train)", "a [b] (c)", "\\(x\\) \\[y\\]", "`$x$` (y)"]
    for turn in range(10):
        assert not re.search(r"\\[()\[\]]|(?<!\\)\$", without_code(page_of(names[turn::10], GITEA)))
    assert "loss &#40;train&#41;" in page_of(names[-4:], GITEA)


def test_code_is_left_as_it_is() -> None:
    """A command that has been copied has to work."""
    for flavour in (GITLAB, GITEA):
        command = r"Next: `run -- sh -c 'echo \(<span>$</span> https\://x'`" + "\n\n```mermaid\n\\(x\\)\n```\n"
        assert flavour.adapted(command) == command
        assert flavour.adapted(command + r"\`<span>$</span>" + command) == command + r"\`\$" + command


# What Bitbucket makes of text in a comment, beside Markdown itself: https://bitbucket.org/tutorials/markdowndemo and
# https://support.atlassian.com/bitbucket-cloud/docs/ (mention people, link to issues and pull requests, Jira keys).
LIVE_ON_BITBUCKET = {
    "mention": r"@[A-Za-z0-9_{]",
    "issue or pull request": r"#\d",
    "emoji": r":[\w+-]+:",
    "address": r"[a-z][a-z0-9+.-]+:/?/?/[^\s>]+",
    "Jira issue": r"\b[A-Z][A-Z0-9_]+-\d",
}
BITBUCKET_NAMES = [*NAMES, "ABC-123", "@{11111111-2222} x", "pull request #7", "x https://evil.example/a?b=c", "[TOC]"]


def bitbucket_texts(page: str) -> list[str]:
    """The text of a page, but that of code and of our own links."""
    shown = re.sub(r"<(code|a)\b.*?</\1>", "\0", rendered(page), flags=re.DOTALL)
    return [html.unescape(text) for text in re.split(r"<[^>]*>|\0", shown)]


def test_what_is_live_on_bitbucket_would_be_found() -> None:
    page = "\n\n".join(BITBUCKET_NAMES)
    assert {
        kind
        for kind, pattern in LIVE_ON_BITBUCKET.items()
        for text in bitbucket_texts(page)
        if re.search(pattern, text)
    } >= {*LIVE_ON_BITBUCKET} - {"address"}  # GitHub's parser makes a link of that one


@pytest.mark.parametrize("turn", range(5))
def test_no_name_is_live_on_bitbucket(turn: int) -> None:
    """Where HTML is text: none of ours is left, and the two lines that nobody is to see are definitions."""
    page = page_of(BITBUCKET_NAMES[turn::5], BITBUCKET)
    for kind, pattern in LIVE_ON_BITBUCKET.items():
        assert [text for text in bitbucket_texts(page) if re.search(pattern, text)] == [], kind
    assert not re.search(r"<(?!https?://[^\s<>]+>)", page)
    marker, history, rest = page.split("\n", 2)
    assert marker == "[git-clearml]: #verify"
    assert re.fullmatch(r"\[git-clearml history\]: #[A-Za-z0-9+/=]+", history)
    assert "git-clearml history" not in rest
    assert len(rendered(f"{marker}\n{history}\n").strip()) == 0


def test_a_page_for_bitbucket_is_never_longer() -> None:
    for names in (["ABC-1 " * 40] * 200, ["a:/b " * 40] * 200, ["$x$:" * 40] * 200):
        assert len(page_of(names, BITBUCKET)) <= BITBUCKET.limit
