"""The site has every page, and no page links to what is not there; `make docs` checks that again, as it builds."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("deploy/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#([^)]*))?\)")


def contents() -> list[str]:
    """Every page in the site's table of contents, as the site's hook completes it."""
    spec = importlib.util.spec_from_file_location("site_hook", DOCS / "site.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return list(pages_of(hook.expanded(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])))


def pages_of(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from pages_of(item)


def test_the_site_s_contents_have_every_page_once():
    listed = contents()
    made = {page for page in listed if page.startswith(("project/", "reference/"))}
    assert sorted(set(listed) - made) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert len(listed) == len(set(listed))


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve()
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors_of(linked), f"{target}#{anchor}"


def test_what_the_site_makes_itself_is_named_where_it_is_made():
    hook = (DOCS / "site.py").read_text(encoding="utf-8")
    made = [page for page in contents() if page.startswith(("project/", "reference/"))]
    assert made
    assert all(f'"{page}"' in hook for page in made)
