"""What the README tells a newcomer to type works as it stands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from PIL import Image

from demo_models.world.scenes import render, sample_spec

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def snippets(heading: str, language: str) -> list[str]:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_edit_in_the_readme_answers_with_what_it_shows(service_url, tmp_path):
    (command,) = snippets("An edit", "bash")
    (shown,) = snippets("An edit", "json")
    Image.fromarray(render(sample_spec(1)).image).resize((600, 400)).save(tmp_path / "photo.jpg")
    assert "http://127.0.0.1:8000" in command
    done = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", service_url)],
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    answer, example = json.loads(done.stdout), json.loads(shown)
    assert answer["success"] is True
    result, expected = answer["result"], example["result"]
    assert result.keys() >= expected.keys()
    assert result["metadata"].keys() >= expected["metadata"].keys()
    routing = expected["metadata"]["routing"]
    assert {key: result["metadata"]["routing"][key] for key in ("rule", "generation_prompt")} == {
        key: routing[key] for key in ("rule", "generation_prompt")
    }
    assert result["metadata"]["routing"]["target"]["phrase"] == routing["target"]["phrase"]
    assert result["metadata"]["output_resolution"] == expected["metadata"]["output_resolution"]


def test_the_readme_stays_short():
    assert len(README.splitlines()) < 110


def test_the_commands_of_the_readme_exist():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert {"demo", "test", "serve"} <= named
    assert all(f"\n{name}:" in makefile for name in named)
    linked = set(re.findall(r"\]\(((?:docs/|[a-zA-Z]+\.)[^)#]+)\)", README))
    assert all((Path(__file__).parents[2] / path).exists() for path in linked if not path.startswith("http"))
