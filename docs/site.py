"""Pages of the site that are no files under docs/: the routes from the OpenAPI document, and the project's own pages.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PROJECT_PAGES = {
    "SECURITY.md": "project/security.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "examples/README.md": "project/examples.md",
}
"""Pages beside docs/, and where the site has them."""
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Fill in the pages of whole folders."""
    config.nav = expanded(config.nav)
    return config


def expanded(nav: list[Any]) -> list[Any]:
    """A table of contents in which `folder/*` is every page of the folder that it does not name itself."""
    named = set(_named_in(nav))

    def expand(item: Any) -> list[Any]:
        if isinstance(item, dict):
            return [{title: expanded_list(inner) for title, inner in item.items()}]
        if not item.endswith("/*"):
            return [item]
        pages = sorted(str(page.relative_to(DOCS)) for page in (DOCS / item[:-2]).glob("*.md"))
        return [page for page in pages if page not in named]

    def expanded_list(inner: Any) -> Any:
        return inner if isinstance(inner, str) else [one for item in inner for one in expand(item)]

    found: list[Any] = expanded_list(nav)
    return found


def _named_in(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _named_in(item)


def on_files(files: Any, config: Any) -> Any:
    """Add them."""
    from mkdocs.structure.files import File

    for source, target in PROJECT_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=relinked(text, source, target)))
    files.append(File.generated(config, "reference/routes.md", content=routes_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ go to where the site has the page, or become plain text."""
    source = page.file.src_uri
    if source in PROJECT_PAGES.values() or source.startswith("reference/"):
        return markdown
    return relinked(markdown, f"docs/{source}", source)


def relinked(text: str, source: str, target: str) -> str:
    """A page's links, which are relative to `source` in the repository, made relative to `target` in the site."""

    def relink(match: re.Match[str]) -> str:
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        if linked.startswith("docs/"):
            place = linked.removeprefix("docs/")
        elif linked in PROJECT_PAGES:
            place = PROJECT_PAGES[linked]
        else:
            return f"] (`{linked}`)"
        return f"]({posixpath.relpath(place, posixpath.dirname(target) or '.')}{match[2] or ''})"

    return re.sub(r"\[([^\]]*)\] \((`[^`]*`)\)", r"\1 (\2)", _LINK.sub(relink, text))


def routes_page() -> str:
    """Every route with its parameters, body and answers."""
    from api.app import create_app

    document = create_app().openapi()
    lines = [
        "# Every route",
        "",
        "From the OpenAPI document that the service shows at `/openapi.json`; what the fields mean and",
    ]
    lines += ["do is said in [the REST API](../api.md).", ""]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            lines += _operation(method.upper(), path, operation)
    return "\n".join(lines) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {method} {path}"
    yield ""
    yield f"**{operation.get('summary', '')}.** {operation.get('description', '')}"
    yield ""
    parameters = operation.get("parameters", ())
    if parameters:
        yield "| parameter | in | needed | what |"
        yield "| --- | --- | --- | --- |"
        for one in parameters:
            what = one.get("description") or _type_of(one.get("schema", {}))
            yield f"| `{one['name']}` | {one['in']} | {'yes' if one.get('required') else 'no'} | {_cell(what)} |"
        yield ""
    body = operation.get("requestBody", {}).get("content", {})
    for media_type, content in body.items():
        yield f"Takes `{media_type}`: {_type_of(content.get('schema', {}))}."
        yield ""
    yield "| answer | what |"
    yield "| --- | --- |"
    for status, answer in sorted(operation["responses"].items()):
        yield f"| {status} | {_cell(answer['description'])} |"
    yield ""


def _type_of(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(_type_of(option) for option in options)
    return f"`{schema.get('title') or schema.get('type', 'object')}`"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
