"""CLIP's zero-shot classes: the texts that a reference image and a prompt are compared with. Data only.

Where it sits: image or prompt -> CLIP embedding -> **compared with these** -> `Signals` -> rules.

How to use them: embed every text once at start-up, L2-normalise each, average them per class, normalise again (CLIP's
prompt ensembling, Radford et al. 2021, section 3.1.4). The probabilities of the classes are
`softmax(cosine similarity / TEMPERATURE)` of the normalised embedding that is to be classified. The reference's
classes sum to 1; the prompt's signal is the probability of `STRUCTURAL`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from composition.decision import ReferenceKind

TEMPERATURE: Final = 0.01
"""CLIP's own: its trained logit scale is 100 for every released checkpoint."""

STRUCTURAL: Final = "structural"
OTHER: Final = "other"

REFERENCE_PROTOTYPES: Final[Mapping[ReferenceKind, tuple[str, ...]]] = {
    ReferenceKind.GARMENT: (
        "a photo of a piece of clothing",
        "a product photo of a shirt",
        "a product photo of a jacket",
        "a product photo of a dress",
        "a product photo of trousers",
        "a garment on a plain background",
        "a person modelling clothes",
    ),
    ReferenceKind.ACCESSORY: (
        "a photo of a fashion accessory",
        "a product photo of sunglasses",
        "a product photo of a hat",
        "a product photo of shoes",
        "a product photo of a handbag",
        "a product photo of jewellery",
        "a product photo of a scarf",
    ),
    ReferenceKind.OBJECT: (
        "a photo of an object",
        "a product photo of a household item",
        "a photo of a piece of furniture",
        "a photo of a car part",
        "a photo of a vehicle",
        "a photo of a plant",
        "a photo of an animal",
        "a photo of food",
    ),
    ReferenceKind.TEXTURE: (
        "a seamless texture",
        "a close-up photo of a material",
        "a marble texture",
        "a wood grain texture",
        "a fabric swatch",
        "a repeating pattern",
        "a brick wall texture",
    ),
}

PROMPT_PROTOTYPES: Final[Mapping[str, tuple[str, ...]]] = {
    STRUCTURAL: (
        "a person's body",
        "clothes on a person",
        "someone trying on an outfit",
        "a car",
        "parts of a vehicle",
        "a motorcycle or a truck",
        "a piece of furniture",
        "a sofa, a chair or a table",
    ),
    OTHER: (
        "a colour",
        "an art style",
        "a texture or a material",
        "food on a plate",
        "an animal",
        "a plant or a flower",
        "a landscape",
        "a small household item",
        "a decoration on the wall",
        "the weather and the sky",
    ),
}
