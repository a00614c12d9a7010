"""Draws README's pictures from real output: the demo in a terminal, and a comment as its forge shows it.

    make pictures

`session.svg` is what demo/demo.sh prints on a terminal 80 columns wide, line after line; `comment.png` is
docs/examples/comment.md (a test holds that to the program) made HTML by cmark-gfm, GitHub's own renderer, and shown by
Chromium. What is drawn is committed: CI makes no pictures.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COLUMNS = 80
TYPING, LINE = 0.9, 0.12  # seconds that a command takes to appear, and each line of its output


def main() -> None:
    """Draws both, and says where they are."""
    (HERE / "session.svg").write_text(session(recorded(["sh", str(ROOT / "demo" / "demo.sh")])), encoding="utf-8")
    print(HERE / "session.svg")
    comment = (ROOT / "docs" / "examples" / "comment.md").read_text(encoding="utf-8")
    photograph(page(comment), HERE / "comment.png")
    print(HERE / "comment.png")


def recorded(command: list[str]) -> str:
    """What the command prints on a terminal of 80 columns, its scratch folder shown as the home directory."""
    output = io.BytesIO()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        output.write(data)
        return data

    os.environ.update(
        TERM="xterm-256color", COLUMNS=str(COLUMNS), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    status = pty.spawn(["sh", "-c", f'stty cols {COLUMNS}; exec "$@"', "sh", *command], read)
    if status:
        sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    text = output.getvalue().decode("utf-8").replace("\r\n", "\n")
    text = re.sub(r"[^\n]*\r", "", text)  # progress that was written over
    return re.sub(r"/\S*?/tmp\.\w+", "~", text)


def session(text: str) -> str:
    """An SVG in which the lines appear one after another; whoever asked for less motion sees them all at once."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    starts, at = [], 0.0
    for line in text.strip("\n").split("\n"):
        at += TYPING if line.startswith("$ ") else LINE
        style = "bold cyan" if line.startswith("### ") else "bold" if line.startswith("$ ") else ""
        shown = Text.from_ansi(line, style=style)
        console.print(shown, overflow="fold", soft_wrap=False)
        starts += [at] * max(1, -(-shown.cell_len // COLUMNS))
    drawn = console.export_svg(title="git clearml", unique_id="session")
    motion = "@keyframes appear { from { opacity: 0 } to { opacity: 1 } }\n"
    motion += "@media (prefers-reduced-motion: no-preference) {\n"
    motion += (
        "".join(f".at{n} {{ animation: appear 0.01s {start:.2f}s both }}\n" for n, start in enumerate(starts)) + "}\n"
    )
    drawn = re.sub(
        r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL
    )  # fetched from elsewhere: the reader's own will do
    drawn = drawn.replace("<style>", f"<style>\n{motion}", 1)
    return re.sub(
        r'<text class="([^"]+)"([^>]* clip-path="url\(#session-line-(\d+)\)")', r'<text class="\1 at\3"\2', drawn
    )


STYLE = """
body { margin: 0; padding: 24px; width: 912px; background: #fff; color: #1f2328;
    font: 14px/1.5 "DejaVu Sans", sans-serif }
.comment { border: 1px solid #d1d9e0; border-radius: 6px }
.comment > header { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e }
.comment > div { padding: 16px } h3 { margin: 0 0 12px; font-size: 17px } a { color: #0969da }
table { border-collapse: collapse; margin: 12px 0; font-size: 13px }
th, td { border: 1px solid #d1d9e0; padding: 5px 12px }
tr:nth-child(2n) td { background: #f6f8fa } summary { cursor: pointer }
code { background: #eff1f3; border-radius: 6px; padding: 2px 5px; font: 12px "DejaVu Sans Mono", monospace }
"""


def page(markdown: str) -> str:
    """A comment on a pull request as a page: the HTML that GitHub's renderer makes of it, in a frame like GitHub's."""
    import cmarkgfm
    from cmarkgfm.cmark import Options

    body = cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)
    header = "<header><b>github-actions</b> bot commented</header>"
    frame = f"<div class=comment>{header}<div>{body}</div></div>"
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{frame}'


def photograph(html: str, target: Path) -> None:
    """A PNG of the page, as high as the page is."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("make pictures needs Chromium: apt-get install chromium fonts-dejavu fonts-noto-color-emoji")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "comment.html")
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={scratch}/profile",
        ]
        measure = "<script>document.title = document.documentElement.scrollHeight</script>"
        file.write_text(html + measure, encoding="utf-8")
        dom = subprocess.run(
            [chromium, *flags, "--window-size=960,100", "--dump-dom", file.as_uri()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        height = int(re.findall(r"<title>(\d+)</title>", dom)[0])
        file.write_text(html, encoding="utf-8")
        shot = [f"--window-size=960,{height}", "--force-device-scale-factor=2", f"--screenshot={target}"]
        subprocess.run([chromium, *flags, *shot, file.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
