"""Prepare the pages of docs/ for the site: what leads out of them leads to the repository, and decisions have a list."""

import posixpath
import re
import shutil
from pathlib import Path

REPOSITORY = "https://github.com/sluice-jobs/sluice"
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_INDEXES = {"README.md": "index.md", "decisions": "decisions/index.md"}
"""Pages that have another name in the site."""


def prepare(root: Path, target: Path) -> None:
    """Write the pages below `root`/docs into `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "docs", target)
    for page in sorted(target.rglob("*.md")):
        name = page.relative_to(target).as_posix()
        page.write_text(_lead(page.read_text(), name, root))
    (target / "README.md").rename(target / "index.md")
    (target / "decisions" / "index.md").write_text(_list_decisions(target / "decisions"))


def _lead(text: str, name: str, root: Path) -> str:
    """Return the text of a page with links that hold in the site."""
    here = posixpath.dirname(name)

    def lead(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if not target or "://" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join("docs", here, target))
        inside = path.removeprefix("docs/")
        if inside != path:
            inside = _INDEXES.get(inside, inside)
            return f"]({posixpath.relpath(inside, here or '.')}{anchor})"
        return f"]({REPOSITORY}/{'tree' if (root / path).is_dir() else 'blob'}/main/{path}{anchor})"

    return _LINK.sub(lead, text)


def _list_decisions(folder: Path) -> str:
    """Return a page that links to every record by its title."""
    titles = {page.name: _TITLE.search(page.read_text()) for page in sorted(folder.glob("[0-9]*.md"))}
    lines = (f"- [{title[1]}]({name})" for name, title in titles.items() if title)
    return (
        "# Decisions\n\nWhy it is built this way: each record has its context, what else was weighed, and what checks it.\n\n"
        + ("\n".join(lines) + "\n")
    )
