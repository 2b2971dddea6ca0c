"""The documentation as data: its pages, their fenced blocks and what each block asks of the tests."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
SHELL_LANGUAGES = frozenset({"sh", "bash", "shell", "console"})
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the words after it, the values of `key="value"` words, its text and its line."""

    page: str
    line: int
    language: str
    words: frozenset[str]
    values: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return every page of the documentation, as a path relative to the repository's root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "manifests").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def text_of(page: str) -> str:
    """Return a page's Markdown."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order; those of generated pages too."""
    for token in MarkdownIt().parse(text_of(page)):
        if token.type == "fence":
            language, *rest = shlex.split(token.info) or [""]
            values = dict(word.split("=", 1) for word in rest if "=" in word)
            words = frozenset(word for word in rest if "=" not in word)
            line = (token.map or [0])[0] + 1
            yield Block(page, line, language, words, values, token.content)


def links(page: str) -> list[str]:
    """Return the targets of a page's links and pictures that are files of the repository, without their anchors."""
    targets = [target.split("#", 1)[0] for target in _LINK.findall(text_of(page)) if "://" not in target]
    return [target for target in targets if target]
