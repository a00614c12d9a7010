"""The second spellings that a forge has for the URL of a repository. Pure.

https://learn.microsoft.com/azure/devops/repos/git/use-ssh-keys-to-authenticate, and for the old hosts
https://learn.microsoft.com/azure/devops/release-notes/2018/sep-10-azure-devops-launch;
https://confluence.atlassian.com/bitbucketserver/git-repositories-776639774.html;
https://docs.github.com/authentication/troubleshooting-ssh/using-ssh-over-the-https-port;
https://docs.gitlab.com/user/gitlab_com/#alternative-ssh-port; https://docs.gitlab.com/install/relative_url/;
https://docs.aws.amazon.com/codecommit/latest/userguide/regions.html; https://github.com/aws/git-remote-codecommit
"""

from __future__ import annotations

import re

_HOSTS = {
    "ssh.github.com": "github.com",
    "www.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
    "hf.co": "huggingface.co",
}
_CASELESS = re.compile(r"(?:.*[.-])?(?:github|gitlab|bitbucket|gitea|forgejo|codeberg)(?:[.-].*)?")
"""Hosts of forges that know a repository by its name in whatever case: the public ones, and those named after one."""
_AZURE, _OLD_AZURE = "dev.azure.com", ".visualstudio.com"
_BITBUCKET_SSH = "7999"
_BITBUCKET_PAGE = (  # below a context path perhaps; people paste it as the address
    r"(?:/[^/]+)?/(?P<kind>projects|users)/(?P<owner>[^/]+)/repos/(?P<name>[^/]+)(?:/browse(?:[/?].*)?)?"
)
_CODECOMMIT = r"/:(?P<region>[a-z0-9-]+):/(?:[^@/]*@)?(?P<name>[^/]+)"  # codecommit::REGION://[PROFILE@]NAME
_CODECOMMIT_HOST = r"git-codecommit(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
_ROOT = "gitlab"  # where GitLab's own manual puts one that shares its host


def canonical(host: str, path: str, user: str = "", port: str = "") -> tuple[str, str]:
    """Host (lower case) and path (`/` and no `.git`) as one forge spells all URLs of a repository."""
    host = _HOSTS.get(host, host)
    if host == _AZURE or host.endswith(_OLD_AZURE):
        return _AZURE, _azure(host, path.strip("/").split("/"), user)
    if match := re.fullmatch(_CODECOMMIT, path) if host == "codecommit" else None:
        return f"git-codecommit.{match['region']}.amazonaws.com", f"/v1/repos/{match['name']}"
    if match := re.fullmatch(_CODECOMMIT_HOST, host):
        return f"git-codecommit.{match['region']}.amazonaws.com", path
    if match := re.fullmatch(_BITBUCKET_PAGE, path):
        owner = match["owner"] if match["kind"] == "projects" else f"~{match['owner']}"
        return host, f"/{owner}/{match['name']}".lower()
    parts = path.strip("/").split("/")
    if parts[0] == _ROOT and len(parts) > 2 and not _CASELESS.fullmatch(host):
        return host, "/" + "/".join(parts[1:])
    if len(parts) in (3, 4) and parts[-3] == "scm":  # Bitbucket Data Center by https, below a context path perhaps
        return host, "/" + "/".join(parts[-2:]).lower()
    return host, path.lower() if _CASELESS.fullmatch(host) or port == _BITBUCKET_SSH else path


def _azure(host: str, parts: list[str], user: str) -> str:
    """/organisation/project/repository of what Azure DevOps writes in these ways.

    https://dev.azure.com/O/P/_git/R, https://O.visualstudio.com[/DefaultCollection]/P/_git/R, either without P where
    that is R; git@ssh.dev.azure.com:v3/O/P/R, O@vs-ssh.visualstudio.com:v3/O/P/R, ssh://O@vs-ssh.visualstudio.com/P/_ssh/R
    """
    if parts[0] == "v3":
        parts = parts[1:]
    elif host.endswith(_OLD_AZURE):
        organisation = host.removesuffix(_OLD_AZURE)
        parts = [user if organisation == "vs-ssh" else organisation, *parts]
    parts = [part.lower() for part in parts if part]
    if parts[1:2] == ["defaultcollection"]:
        del parts[1]
    for number, part in enumerate(parts):
        if part in ("_git", "_ssh"):
            repository = [name for name in parts[number + 1 :] if name not in ("_full", "_optimized")]
            project = parts[1:number] or repository
            return "/" + "/".join([parts[0], *project, *repository])
    return "/" + "/".join(parts)
