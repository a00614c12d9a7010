"""One name for one repository, however its URL is written; and no password of it is ever shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.secrets import without_credentials
from git_clearml.git.url import normalise, with_host

SAME = [
    "https://github.com/acme/detector",
    "https://github.com/acme/detector.git",
    "https://github.com/acme/detector/",
    "https://github.com/acme/detector.git/",
    "https://GitHub.com/acme/detector.git",
    "HTTPS://github.com/acme/detector.git",
    "http://github.com/acme/detector",
    "https://user@github.com/acme/detector",
    "https://user:token@github.com/acme/detector.git",
    "https://us%40er:to%2Fken@github.com:443/acme/detector.git",
    "https://github.com:8443/acme/detector",
    "https://github.com//acme//detector.git",
    "https://github.com/acme/%64etector.git",
    "ssh://git@github.com/acme/detector.git",
    "ssh://github.com/acme/detector",
    "ssh://git@github.com:22/acme/detector.git",
    "git+ssh://git@github.com/acme/detector.git",
    "git://github.com/acme/detector.git",
    "git@github.com:acme/detector.git",
    "git@github.com:acme/detector",
    "git@github.com:/acme/detector.git",
    "github.com:acme/detector.git",
    "GITHUB.COM:acme/detector.git",
    "me@github.com:acme/detector/",
    "  https://github.com/acme/detector.git\n",
    "https://github.com/Acme/Detector.git",
    "https://www.github.com/acme/detector",
    "https://github.com./acme/detector",
    "ssh://git@ssh.github.com:443/acme/detector.git",
    "git@ssh.github.com:acme/detector.git",
]
DIFFERENT = [
    "https://github.com/acme/detector2",
    "https://github.com/acme/detecto",
    "https://github.com/acme/detector/sub",
    "https://github.com/acme",
    "https://github.com/other/detector",
    "https://github.com.evil.example/acme/detector",
    "https://evil.example/github.com/acme/detector",
    "https://github.com@evil.example/acme/detector",
    "https://evil.example/?github.com/acme/detector",
    "https://gitlab.com/acme/detector",
    "https://github.com/acme/detector?repo=other",
    "https://github.com/acme/x/../../other/detector",
    "file:///github.com/acme/detector",
    "/github.com/acme/detector",
    "github.com/acme/detector",
    "../acme/detector",
    "https://",
    "",
]


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_repository_have_one_name(url: str) -> None:
    assert normalise(url) == normalise(SAME[0]) != ""


@pytest.mark.parametrize("url", DIFFERENT)
def test_another_repository_has_another_name(url: str) -> None:
    assert normalise(url) != normalise(SAME[0])
    assert normalise(url + ".git" if url else url) != normalise(SAME[0])


@pytest.mark.parametrize(
    "spellings",
    [
        ["git@[2001:DB8::1]:acme/x.git", "ssh://git@[2001:db8::1]:22/acme/x", "https://[2001:db8::1]/acme/x.git"],
        ["/srv/git/x.git", "/srv/git/x", "/srv/git/x/", "/srv//git/./x", "file:///srv/git/x.git", "FILE:///srv/git/x"],
        ["/srv/x/.git", "/srv/x", "file:///srv/x/.git/", "file://localhost/srv/x"],
        # ClearML passes what it records through furl, which escapes:
        ["/srv/a b/x.git", "/srv/a%20b/x.git", "file:///srv/a b/x", "file:///srv/a%20b/x"],
        ["https://host/ä/x", "https://host/%C3%A4/x", "git@host:ä/x.git", "git@host:%C3%A4/x.git"],
        ["host:~me/x.git", "ssh://host/~me/x"],
        # Azure DevOps: ssh, https, the old host, each with and without a project of the repository's name
        [
            "https://dev.azure.com/acme/Vision/_git/detector",
            "https://acme@dev.azure.com/acme/Vision/_git/detector",
            "git@ssh.dev.azure.com:v3/acme/Vision/detector",
            "ssh://git@ssh.dev.azure.com/v3/acme/Vision/detector",
            "ssh://git@ssh.dev.azure.com:22/v3/acme/vision/Detector",
            "https://acme.visualstudio.com/Vision/_git/detector",
            "https://acme.visualstudio.com/DefaultCollection/Vision/_git/detector",
            "acme@vs-ssh.visualstudio.com:v3/acme/Vision/detector",
            "ssh://acme@vs-ssh.visualstudio.com:22/Vision/_ssh/detector",
            "ssh://acme@vs-ssh.visualstudio.com/DefaultCollection/Vision/_ssh/detector",
            "https://dev.azure.com/acme/Vision/_git/_optimized/detector",
        ],
        [
            "https://dev.azure.com/acme/my%20project/_git/my%20project",
            "https://dev.azure.com/acme/_git/my%20project",
            "https://acme.visualstudio.com/_git/my%20project",
            "git@ssh.dev.azure.com:v3/acme/my%20project/my%20project",
            "git@ssh.dev.azure.com:v3/acme/my project/my project",
        ],
        # Bitbucket Data Center, with and without a context path
        [
            "https://git.example.com/scm/VIS/detector.git",
            "https://git.example.com/scm/vis/detector",
            "https://git.example.com/bitbucket/scm/VIS/detector.git",
            "ssh://git@git.example.com:7999/vis/detector.git",
            "ssh://git@git.example.com:7999/VIS/detector.git",
            "git@git.example.com:vis/detector.git",
        ],
        ["https://git.example.com/scm/~me/detector.git", "ssh://git@git.example.com:7999/~me/detector.git"],
        [
            "git@altssh.bitbucket.org:acme/x.git",
            "ssh://git@altssh.bitbucket.org:443/acme/x",
            "https://bitbucket.org/Acme/x",
        ],
        [
            "ssh://git@altssh.gitlab.com:443/acme/sub/x.git",
            "https://gitlab.com/acme/Sub/x",
            "git@gitlab.com:acme/sub/x",
        ],
        ["https://gitlab.example.com/Acme/x", "git@gitlab.example.com:acme/x.git"],
        ["git@hf.co:acme/x", "https://huggingface.co/acme/x"],
        # a page of Bitbucket Data Center
        [
            "https://git.example.com/projects/VIS/repos/detector/browse",
            "https://git.example.com/projects/vis/repos/detector",
            "https://git.example.com/bitbucket/projects/VIS/repos/detector/browse?at=refs%2Fheads%2Fmain",
            "https://git.example.com/projects/VIS/repos/detector/browse/src/train.py",
            "https://git.example.com/scm/vis/detector.git",
            "ssh://git@git.example.com:7999/vis/detector.git",
        ],
        ["https://git.example.com/users/Me/repos/x/browse", "https://git.example.com/scm/~me/x.git"],
        # AWS CodeCommit
        [
            "codecommit::eu-west-1://Detector",
            "codecommit::eu-west-1://profile@Detector",
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/Detector",
            "ssh://git-codecommit.eu-west-1.amazonaws.com/v1/repos/Detector",
            "ssh://APKAEIBAERJR2EXAMPLE@git-codecommit.eu-west-1.amazonaws.com/v1/repos/Detector",
            "https://git-codecommit-fips.eu-west-1.amazonaws.com/v1/repos/Detector",
        ],
        ["codecommit::cn-north-1://x", "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/x"],
        # GitLab below a path of a host
        [
            "https://code.example.com/gitlab/team/sub/x.git",
            "git@code.example.com:team/sub/x.git",
            "ssh://git@code.example.com:2222/team/sub/x",
        ],
    ],
)
def test_other_spellings(spellings: list[str]) -> None:
    assert {normalise(spelling) for spelling in spellings} == {normalise(spellings[0])} != {""}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://git.example.com/Acme/x", "https://git.example.com/acme/x"),  # any server: a path's case counts
        ("https://mygithub/Acme/x", "https://mygithub/acme/x"),
        ("https://dev.azure.com/acme/a/_git/x", "https://dev.azure.com/acme/b/_git/x"),
        ("https://dev.azure.com/acme/a/_git/x", "https://dev.azure.com/other/a/_git/x"),
        ("https://acme.visualstudio.com/a/_git/x", "https://other.visualstudio.com/a/_git/x"),
        ("ssh://acme@vs-ssh.visualstudio.com/a/_ssh/x", "ssh://other@vs-ssh.visualstudio.com/a/_ssh/x"),
        ("https://dev.azure.com/acme/_git/x", "https://dev.azure.com/acme/other/_git/x"),
        ("https://git.example.com/scm/a/x", "https://git.example.com/scm/b/x"),
        ("https://git.example.com/scm/x", "https://git.example.com/x"),
        ("https://ssh.github.com.evil.example/a/x", "https://github.com/a/x"),
        ("https://evilvisualstudio.com/a/_git/x", "https://dev.azure.com/evil/a/_git/x"),
        ("https://git.example.com/projects/VIS/repos/a/browse", "https://git.example.com/scm/vis/b.git"),
        ("https://git.example.com/projects/A/repos/x/browse", "https://git.example.com/scm/b/x.git"),
        ("https://git.example.com/users/me/repos/x/browse", "https://git.example.com/scm/me/x.git"),
        ("https://git.example.com/projects/VIS/repos/x/browse", "https://git.example.org/scm/vis/x.git"),
        ("https://git.example.com/projects/VIS/x", "https://git.example.com/scm/vis/x"),
        ("codecommit::eu-west-1://x", "codecommit::eu-west-2://x"),
        ("codecommit::eu-west-1://x", "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/y"),
        ("codecommit://x", "codecommit::eu-west-1://x"),  # the region is in somebody's configuration
        ("codecommit::eu-west-1://x", "https://git-codecommit.eu-west-1.amazonaws.com.evil.example/v1/repos/x"),
        ("https://code.example.com/gitlab/x", "git@code.example.com:x"),
        ("https://code.example.com/gitlab/team/x", "git@code.example.com:other/x"),
        ("https://code.example.com/other/team/x", "git@code.example.com:team/x"),
        ("https://gitlab.com/gitlab/team/x", "https://gitlab.com/team/x"),  # a group of that name
        ("https:///srv/x", "/srv/x"),
        ("https://[bad/srv/x", "/[bad/srv/x"),
    ],
)
def test_what_only_looks_alike(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(
    st.sampled_from(["dev.azure.com", "x.visualstudio.com", "vs-ssh.visualstudio.com", "github.com"]),
    st.text("ab/_git"),
)
def test_any_path_on_a_forge_has_a_name(host: str, path: str) -> None:
    assert normalise(f"https://{host}/{path}").startswith(("dev.azure.com/", "github.com/"))


@pytest.mark.parametrize(
    ("url", "base", "absolute"),
    [
        ("../other.git", "/code/clone", "/code/other"),
        ("./x", "/code/clone", "/code/clone/x"),
        (".", "/code/clone", "/code/clone"),
        ("sub/a:b", "/code", "/code/sub/a:b"),
        ("/srv/x", "/code", "/srv/x"),
    ],
)
def test_a_path_is_seen_from_the_base(url: str, base: str, absolute: str) -> None:
    assert normalise(url, base) == normalise(absolute)


def test_a_path_of_windows_is_nobody_elses_repository() -> None:
    names = [normalise(item) for item in ("C:\\code\\x", "C:/code/x", "\\\\server\\share\\x", "/code/x", "c:code/x")]
    assert len(set(names)) == len(names)
    assert all(name.startswith("file:") for name in names)  # never host "c"


@given(st.text(), st.text())
def test_any_text_has_a_name(url: str, base: str) -> None:
    assert normalise(url, base) == normalise(f" {url}\n", base)
    assert (normalise(url, base) == "") == (not url.strip())


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_remote_and_local_never_meet(anything: str) -> None:
    assert normalise("https://host/" + anything.strip()).startswith("host/")
    assert normalise("file:///" + anything.strip()).startswith("file:/")


words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=8).filter(
    lambda word: word.strip(".") and not word.endswith((".git", "."))
)


@given(st.lists(words, min_size=1, max_size=3), words, st.integers(1, 65535), words, words)
def test_user_port_scheme_and_ending_do_not_matter(
    parts: list[str], host: str, port: int, user: str, password: str
) -> None:
    host, path = host.strip("-._") + ".example", "/".join(parts)
    spellings = [
        f"{scheme}{who}{name}{at}/{path}{end}"
        for scheme, who, name, at, end in itertools.product(
            ("https://", "ssh://", "git://"),
            ("", f"{user}@", f"{user}:{password}@"),
            (host, host.upper()),
            ("", f":{port}"),
            ("", "/", ".git", ".git/"),
        )
    ]
    spellings += [f"{who}{host}:{path}{end}" for who in ("", f"{user}@") for end in ("", "/", ".git")]
    assert {normalise(spelling) for spelling in spellings} == {normalise(f"https://{host}/{path}")}
    assert normalise(f"https://{host}/{path}x") != normalise(spellings[0])


@given(st.lists(words, min_size=1, max_size=4))
def test_a_name_once_made_is_stable(parts: list[str]) -> None:
    name = normalise("https://host.example/" + "/".join(parts))
    assert normalise("https://" + name) == name
    local = normalise("/" + "/".join(parts))
    assert normalise(local.replace("file:", "file://")) == local


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s3cret@host/x.git", "https://host/x.git"),
        ("https://s3cret@host/x.git", "https://host/x.git"),
        ("https://user:s3@cret@host:8443/x", "https://host:8443/x"),
        ("ssh://git@host:22/x", "ssh://git@host:22/x"),
        ("ssh://git:s3cret@host/x", "ssh://git@host/x"),
        ("git@host:acme/x.git", "git@host:acme/x.git"),
        ("/srv/a@b/x", "/srv/a@b/x"),
        (" https://host/x ", "https://host/x"),
        ("https://user:s3@cret@[bad/x", "https://[bad/x"),
        ("ext::https://user:s3cret@host/x", "ext::https://host/x"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
    assert normalise(without_credentials(url)) == normalise(url) or "[bad" in url or "::" in url


@given(st.text("abc:@/[]?#%.", max_size=10), st.text("abc:@[]?#%/.", max_size=12))
def test_a_password_stays_hidden_whatever_stands_around_it(user: str, rest: str) -> None:
    shown = without_credentials(f"https://{user.replace('/', '')}:S3CRET@{rest}")
    assert "S3CRET" not in shown or "?" in user or "#" in user  # there the user is no user, but a query


@given(st.text())
def test_showing_never_fails(url: str) -> None:
    assert isinstance(without_credentials(url), str)


@pytest.mark.parametrize(
    ("url", "changed"),
    [
        ("git@work:acme/x.git", "git@github.com:acme/x.git"),
        ("work:acme/x.git", "github.com:acme/x.git"),
        ("git@[::1]:acme/x.git", "git@github.com:acme/x.git"),
        ("ssh://git@work/acme/x.git", "ssh://git@github.com/acme/x.git"),
        ("ssh://work:2222/acme/x@y:z", "ssh://github.com:2222/acme/x@y:z"),
        ("ssh://git@[::1]/x", "ssh://git@github.com/x"),
        ("git+ssh://a@work", "git+ssh://a@github.com"),
        ("https://work/acme/x", "https://work/acme/x"),
        ("/srv/work:x", "/srv/work:x"),
        ("", ""),
    ],
)
def test_another_host(url: str, changed: str) -> None:
    assert with_host(url, "github.com") == changed
