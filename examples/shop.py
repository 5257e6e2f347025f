"""A shop dresses its catalogue: every person in every garment, as images, a CSV file and a page to look at.

    pip install ./clients/python
    python examples/shop.py people/ garments/ out/

A garment's file name is what it is called: `garments/red jacket.png` makes "person wearing this red jacket".
What is in out/ is not made again, so it can be stopped and started. The service is at COMPOSE_URL.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import html
import itertools
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from composition_client import AsyncClient, ServiceError

AT_ONCE = 4
PHOTOS = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, kw_only=True)
class Look:
    """One person in one garment: a row of the CSV file."""

    person: str
    garment: str
    image: str
    seed: int | None = None
    error: str = ""
    warnings: str = ""


async def dress(client: AsyncClient, person: Path, garment: Path, out: Path) -> Look:
    """Raises what concerns all (no connection, no key); what concerns this look is its `error`."""
    look = Look(person=person.name, garment=garment.name, image=f"{person.stem} in {garment.stem}.png")
    if (out / look.image).exists():
        return look
    prompt = f"person wearing this {garment.stem}"
    try:
        edit = await client.edit(person, prompt, reference=garment, seed=7, idempotency_key=key_of(person, garment))
    except ServiceError as error:
        if error.code in ("UNAUTHORIZED", "INVALID_INPUT"):
            raise
        return replace(look, error=str(error))
    edit.save(out / look.image)
    return replace(look, seed=edit.seed, warnings="; ".join(edit.warnings))


def key_of(person: Path, garment: Path) -> str:
    """The look itself: a shop that was killed and started again gets the job that it had begun."""
    parts = (person.read_bytes(), garment.read_bytes(), garment.stem.encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


async def dress_all(people: list[Path], garments: list[Path], out: Path) -> list[Look]:
    """Of every pair, some at once; the service queues what is more than it can do."""
    slots = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient() as client, asyncio.TaskGroup() as group:

        async def one(person: Path, garment: Path) -> Look:
            async with slots:
                look = await dress(client, person, garment, out)
            print(f"{look.image}: {look.error or 'done'}", file=sys.stderr)
            return look

        tasks = [group.create_task(one(*pair)) for pair in itertools.product(people, garments)]
    return [task.result() for task in tasks]


def write_table(looks: list[Look], path: Path) -> None:
    """For a spreadsheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(Look.__annotations__))
        writer.writeheader()
        writer.writerows(asdict(look) for look in looks)


def write_page(looks: list[Look], path: Path) -> None:
    """For a browser: a row for each person."""
    rows = []
    for person, of_person in itertools.groupby(looks, key=lambda look: look.person):
        cells = [
            f'<figure><img src="{html.escape(look.image)}" alt=""><figcaption>{html.escape(look.garment)}</figure>'
            if not look.error
            else f"<figure>{html.escape(look.error)}<figcaption>{html.escape(look.garment)}</figure>"
            for look in of_person
        ]
        rows.append(f"<h2>{html.escape(person)}</h2>{''.join(cells)}")
    style = "<style>body{font:15px sans-serif}figure{display:inline-block;margin:8px}img{width:240px}</style>"
    head = f"<!doctype html><meta charset=utf-8><title>Looks</title>{style}"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")


def photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOS)


def main(people: Path, garments: Path, out: Path) -> int:
    """The process's exit status: 1 when a look is missing."""
    out.mkdir(parents=True, exist_ok=True)
    looks = asyncio.run(dress_all(photos_in(people), photos_in(garments), out))
    write_table(looks, out / "looks.csv")
    write_page(looks, out / "looks.html")
    return 1 if any(look.error for look in looks) else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*map(Path, sys.argv[1:])))
