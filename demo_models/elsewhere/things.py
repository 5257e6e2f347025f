"""What things may be called: any noun will do, as nothing of its shape is learnt here."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from demo_models.world.palette import LEATHER, PATTERNS, PLAIN, SURFACES
from demo_models.world.textures import Appearance

_WORN: Final = """
suit coat shirt skirt trousers jeans hat cap scarf tie gloves shoes boots socks hoodie sweater vest uniform jersey
shorts helmet backpack blouse cardigan apron robe cloak jumpsuit t-shirt jacket dress bag
"""
_OTHERS: Final = """
cup mug saucer plate bowl bottle vase teapot spoon lamp candle book box basket bucket clock phone laptop keyboard
screen guitar violin drum ball balloon kite umbrella tent flag banner sign poster curtain carpet rug pillow blanket
towel bed bench stool cupboard shelf door gate fence wall roof tower house bridge boat ship train tram bus truck van
motorcycle bicycle scooter tank wheel plane rocket cat dog horse bird fish frog butterfly flower rose leaf tree
grass apple pear lemon cake bread cheese stone rock hill sky sea cloud car sofa chair table body thing object frame
tube pipe rope ring button ribbon mask glove toy robot statue pen brush hammer
"""
WORN: Final = tuple(_WORN.split())
"""Prompts put these on people, too."""
NOUNS: Final = (*WORN, *_OTHERS.split())
_LOOKS: Final[dict[tuple[str, ...], float]] = {(PLAIN,): 0.74, (LEATHER,): 0.04, PATTERNS: 0.06, SURFACES: 0.16}
"""How many are of one colour, of leather, of a pattern, of a material."""
_LOOSE: Final = {"oak wood": "wooden", "walnut wood": "dark wood", "white marble": "marble", "metal": "steel"}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """What a picture is about.

    Attributes:
        noun: Its name, one of ``NOUNS``.
        look: The surface that prompts name.
    """

    noun: str
    look: Appearance

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Thing":
        """Draws one."""
        drawn = int(rng.choice(len(_LOOKS), p=[*_LOOKS.values()]))
        return cls(noun=str(rng.choice(NOUNS)), look=Appearance.sample(rng, [*_LOOKS][drawn]))

    def prompt(self, rng: np.random.Generator) -> str:
        """Says what it is and looks like, in one of the wordings that painters are prompted with."""
        look, noun = self.look.phrase, self.noun
        if rng.random() < 0.3:
            look = _LOOSE.get(look, look)
        wordings = [f"{look} {noun}", f"a {look} {noun}", f"a photo of a {look} {noun}", f"the {noun} is {look}"]
        if noun in WORN:
            wordings += [f"person wearing a {look} {noun}", f"a man wearing a {look} {noun}"]
        if self.look.material in SURFACES:
            wordings += [f"{noun} with {look} texture", f"a {noun} of {look}"]
        return str(rng.choice(wordings)).replace("a orange", "an orange").replace("a oak", "an oak")

    def bare_prompt(self, rng: np.random.Generator) -> str:
        """Names it and not its look: that comes from a reference image."""
        return str(rng.choice([self.noun, f"a {self.noun}", f"this {self.noun}"]))
