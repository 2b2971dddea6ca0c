"""What every page of the documentation must hold, without running its commands."""

import importlib.util
from types import ModuleType

import pytest
from doc_pages import ROOT, SHELL_LANGUAGES, Block, blocks, links, pages

MODES = ("test", "background", "skip")


def mode_of(block: Block) -> list[str]:
    """Return the modes that a shell block names; exactly one is right."""
    return [mode for mode in MODES if mode in block.words or block.values.get(mode)]


def builder() -> ModuleType:
    """Load docs/build.py, which is a script and no package's module."""
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", pages())
def test_every_shell_block_is_tested_or_says_why_not(page: str) -> None:
    """A command that nobody runs goes stale, so each block is run by a test or names its reason."""
    shells = [block for block in blocks(page) if block.language in SHELL_LANGUAGES]
    assert [str(block) for block in shells if len(mode_of(block)) != 1] == []
    assert [str(block) for block in shells if block.language != "sh"] == []


@pytest.mark.parametrize("page", pages())
def test_a_block_that_names_a_file_equals_it(page: str) -> None:
    """A manifest shown in a page is the file that the reader applies."""
    for block in blocks(page):
        if "file" in block.values:
            assert block.text == (ROOT / block.values["file"]).read_text(encoding="utf-8"), str(block)


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page: str) -> None:
    """A link to a file of the repository finds that file."""
    folder = (ROOT / page).parent
    assert [target for target in links(page) if not (folder / target).exists()] == []


def test_every_page_can_be_found() -> None:
    """Each page under docs/ is linked from the table of contents."""
    contents = {"docs/README.md", *(f"docs/{target}" for target in links("docs/README.md"))}
    assert [page for page in pages() if page.startswith("docs/") and page not in contents] == []


def test_reference_pages_are_fresh() -> None:
    """The committed reference is what the code says now."""
    assert builder().stale_pages() == []


def test_the_readme_shows_a_short_model_serving() -> None:
    """A ModelServing takes fewer than 20 lines, and the README shows the one in manifests/examples."""
    shown = [block for block in blocks("README.md") if block.values.get("file", "").endswith("modelserving.yaml")]
    assert len(shown) == 1
    assert len(shown[0].text.splitlines()) < 20
