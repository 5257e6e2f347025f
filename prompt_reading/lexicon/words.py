"""Small words: articles, prepositions, politeness, places, and adjectives that say nothing about looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from composition.decision import Position
from prompt_reading.lexicon.listing import phrase_list, word_set

DETERMINERS: Final = word_set(
    """
    a an the this that these those my your his her its our their some any another each every all both no said
    """
)
DEMONSTRATIVES: Final = word_set("this that these those")
INDEFINITE: Final = word_set("a an some another")
POSSESSIVES: Final = word_set("my your his her its our their")
QUANTIFIERS: Final = word_set(
    """
    all both every each two three four five six seven eight nine ten several many few multiple dozen various
    """
)
PLURAL_QUANTIFIERS: Final = word_set(
    """
    all both every each two three four five six seven eight nine ten several many multiple these those dozen various
    few
    """
)
PRONOUNS: Final = word_set(
    """
    it this that these those them one ones they something everything anything thing things stuff there
    """
)
PREPOSITIONS: Final = word_set(
    """
    in on onto at with without of from by for to into under underneath beneath below above over behind beside
    between near inside outside against around across along through within upon atop next like as among amid off
    toward towards past beyond opposite
    """
)
PLACE_PREPOSITIONS: Final = (
    "on the left side of, on the right side of, in front of, on top of, next to, to the left of, to the right "
    "of, on the left of, on the right of, in the middle of, in the center of, in the centre of, on the side "
    "of, at the side of, on the back of, at the bottom of, at the top of, close to, inside of, on the edge "
    "of, in the corner of, in, on, onto, at, into, under, underneath, beneath, below, above, over, behind, "
    "beside, between, near, inside, outside, against, around, across, along, upon, atop, among, to, by"
)
PICTURE_WORDS: Final = word_set(
    """
    photo photograph picture image pic shot scene everything screenshot snapshot
    """
)
BACKGROUND_WORDS: Final = word_set("background backdrop surroundings backgrounds bg")
POSITIONS: Final[Mapping[str, Position]] = {
    "left": Position.LEFT, "leftmost": Position.LEFT, "left-hand": Position.LEFT, "lefthand": Position.LEFT,
    "right": Position.RIGHT, "rightmost": Position.RIGHT, "right-hand": Position.RIGHT, "righthand": Position.RIGHT,
    "middle": Position.MIDDLE, "center": Position.MIDDLE, "centre": Position.MIDDLE, "central": Position.MIDDLE,
}  # fmt: skip

NOUNS_IN_LY: Final = word_set(
    "family butterfly dragonfly firefly fly lily jelly belly bully gully assembly anomaly doily holly ally "
    "supply reply italy july monopoly trolly dolly folly brolly filly hillbilly waterlily"
)
INTENSIFIERS: Final = word_set("really actually definitely also just honestly simply still always probably kinda sort")
"""What may stand between "I" and "want"."""

POLITE_OPENINGS: Final = (
    "i wish, if only, i think that, i think, i feel like, i believe, i guess, i wonder if, it would be nice "
    "if, it'd be nice if, it would be great if, it'd be great if, it would be better if, it would be cool if, "
    "it would be lovely if, it'd be cool if, it would be good if, imagine that, imagine if, imagine, suppose, "
    "what if, picture this, ensure that, ensure, see to it that, be sure to, please, pls, plz, possibly, "
    "kindly, hi, hello, hey, hey there, hi there, ok, okay, well, so, now, just, simply, maybe, perhaps, can "
    "you, could you, would you, will you, can we, could we, may we, can i, could i, may i, might you, can you "
    "please, could you please, would you please, would you kindly, would you mind, do you mind, would it be "
    "possible to, is it possible to, is there a way to, is there any way to, i want you to, i want to, i need "
    "you to, i need to, i would like you to, i would like to, i'd like you to, i'd like to, i'd love to, i "
    "would love to, i'd love you to, i wish to, i wish you would, i'm looking to, we want to, we need to, "
    "we'd like to, we would like to, let's, let us, help me, help me to, go ahead and, try to, try and, you "
    "should, you could, you can, you may, we should, we could, feel free to, make sure to, make sure that, "
    "make sure, be so kind as to, be so kind and, if you could, if possible, if you can, quickly, what if "
    "you, what if we, what if i, how about you, how about we, how about, what about, i think you should, it "
    "would be great if you could, it would be nice if you could, i was wondering if you could, i was hoping "
    "you could, i am wondering if you could, the task is to, your task is to, the goal is to, need to, want "
    "to, wanna, gonna, i wanna, would love to, like to, digitally, realistically, seamlessly, carefully, "
    "gently, completely, then, also, first, finally, next, and, instead, dear ai, why not, why don't you, why "
    "don't we, in this photo, in this picture, in this image, in the photo, in the picture, in the image, in "
    "my photo, for this photo, for this picture, for this image, from this photo, from this picture, from "
    "this image, i request you to, edit the photo to, edit the image to, edit the picture to, edit this photo "
    "to, edit this image to, edit this picture to, edit it to, change the photo to, generate a version where, "
    "i am looking to, are you able to, i'd appreciate it if you could, can you try to, could you try to, any "
    "chance you could, mind, i'd rather you, imagine, don't forget to, do not forget to, never mind, remember to"
)
REFUSALS: Final = (
    "i don't want to see, i don't want, i do not want to see, i do not want, we don't want, don't show, do "
    "not show, there should be no, there shouldn't be any, there shouldn't be a, there should not be any, "
    "there should not be a, let there be no, i don't need, we don't need, don't include, do not include, i "
    "don't like, have no, show no, no more, make there be no, i want no, i'd like no, i could do without, i "
    "can do without"
)
"""Openings that ask for something to go."""
WISHES: Final = (
    "i fancy, i'd fancy, i'd go for, i'd choose, i'd pick, i'm thinking of, thinking of, i want, i need, i'd "
    "like, i would like, i'd love, i would love, i'd prefer, i would prefer, i prefer, i wish for, we want, "
    "we need, we'd like, we would like, give me, get me, show me, show us, let me see, let me have, may i "
    "have, can i have, could i have, can i get, could i get, could we have, can we have, can i see, could i "
    "see, i want to see, i'd like to see, i would like to see, i'd love to see, i'd like to have, i would "
    "like to have, it should be, it should have, bring me, could you show me, can you show me, would you show "
    "me, what would it look like with, how would it look with, let us see, imagine, picture, visualize, "
    "visualise, i'd want, want, need, we prefer, let's have, let's see, let's try, let's go with, let's go "
    "for, go for, go with, should be, i'd rather have, i'd rather see, i am after, i'm after, looking for, "
    "i'm looking for, let's do"
)
"""Openings that ask for a state ("I'd like the sofa in leather") instead of an action."""

POLITE_ENDINGS: Final = (
    "please, pls, plz, thanks, thank you, thanks a lot, thank you very much, many thanks, thx, cheers, for me, "
    "for us, if possible, if you can, if you could, if that's possible, if that is possible, ok, okay, "
    "in the photo, in the picture, in the image, in this photo, in this picture, in this image, in the scene, "
    "in my photo, in this scene, in this shot, in the shot, in the frame, from the photo, from the picture, "
    "from the image, from this photo, from this picture, from this image, from the scene, from the shot, from "
    "the frame, from this scene, from my photo, of the photo, of the picture, of the image, to the photo, to "
    "the picture, to the image, to the scene, to this photo, to this picture, to this image, into the photo, "
    "into the picture, into the scene, into the image, in the base image, instead, completely, entirely, "
    "altogether, like in the reference, like the reference, as in the reference, from the reference, in the "
    "reference, from the reference image, from the reference picture, from the reference photo, like in the "
    "reference image, shown in the reference, shown in the reference image, of the reference, in the reference "
    "image, now, for a change, will you, would you, can you, could you, perhaps, maybe, somehow, this time, "
    "overall, all over, too, as well, again, using the reference, using the reference image, using this "
    "reference, realistically, seamlessly, naturally, without a trace, ok?, asap, quickly, if you don't mind, "
    "if you would, if you wouldn't mind"
)
KEEPING: Final = (
    "without changing, without altering, without touching, without affecting, while keeping, while leaving, "
    "while preserving, but keep, but leave, but don't, but do not, and keep, and leave the rest, and don't "
    "change, and do not change, keeping, leaving, preserving, keep the rest, keep everything else, leave the "
    "rest, leave everything else, do not change, don't change, nothing else, everything else, "
    "because, since, as if it, with everything else, matching the, to match the, that matches the, but "
    "only, but make sure, but with the same, with the same shape, in the same position, in the same place, with "
    "the same, and nothing else, only"
)
"""Where a remark about the rest begins; what follows is no instruction."""

QUALITY_TAGS: Final = frozenset(
    phrase_list(
        "highly detailed, ultra detailed, detailed, very detailed, intricate details, 4k, 8k, hd, uhd, hdr, "
        "full hd, photorealistic, photorealism, hyperrealistic, ultra realistic, realistic, high quality, "
        "best quality, top quality, masterpiece, professional, professional photo, professional photography, "
        "sharp focus, in focus, natural light, natural lighting, soft light, soft lighting, studio lighting, "
        "studio light, cinematic lighting, cinematic, dramatic lighting, volumetric lighting, golden hour, "
        "warm light, warm lighting, trending on artstation, high resolution, high res, bokeh, depth of field, "
        "shallow depth of field, dslr, 35mm, 50mm, 85mm, octane render, unreal engine, award winning, "
        "award-winning, stunning, beautiful, seamless, seamless blend, same lighting, same perspective, "
        "matching lighting, matching perspective, realistic lighting, realistic shadows, photo"
    )
)
"""What people append to prompts: kept for the diffusion model, no part of the instruction."""
CLASSIFIERS: Final = word_set(
    """
    bowl vase pair set glass cup bottle bunch bouquet piece slice plate pile stack group row box basket jar bag can
    stand pot kind sort type bucket tray handful lot couple mug loaf bar block sheet roll flock herd swarm number
    """
)
"""Nouns that keep their "of": a bowl of fruit."""

NEUTRAL_COMPOUNDS: Final = (
    "hot air balloon, hot dog, hot tub, hot plate, cool box, light house, dark room, orange juice, orange "
    "tree, red wine, white wine, black coffee, green tea, chocolate cake, lemon tree, cherry tree, rose bush, "
    "olive oil, olive tree, chocolate bar, hot chocolate, cherry tomato, brown bear, polar bear, red panda, "
    "blue jay, ice cream, ice cube, iceberg, paper bag, cotton candy, christmas tree, golden retriever, gold "
    "fish, stone age, glass of water, glass of wine, glass of milk, glass of juice, wine glass, magnifying "
    "glass, paper towel, iron man, ironing board, green house, greenhouse, blackboard, white board, "
    "whiteboard, black hole, tin can, copper pot, brick oven, paper plane, paper clip, grass field, sand "
    "castle, sandcastle, sand dune, lime juice, salmon fillet, cream cheese, cream cake, peach tree, plum "
    "tree, mint leaf, mint tea, rose garden, pine tree, oak tree, maple tree, maple leaf, maple syrup, birch "
    "tree, pine cone, pine forest, bamboo forest, redwood tree, redwood forest, cedar tree, palm tree, stone "
    "bridge, blue whale, black swan, white house, red carpet, yellow pages, red cross, golden gate bridge, "
    "rose petal, light bulb, light switch, light fixture, street light, traffic light, christmas lights, "
    "fairy lights, string lights, pencil case, pencil holder, comic book store, art gallery, art piece, "
    "painting kit, crystal ball, carrot cake, honey jar, lemon slice, chalk board"
)
"""Names of things that contain a colour, a material or a style without being a change of looks."""

PLAIN_ADJECTIVES: Final = word_set(
    """
    new old young big small large little tiny huge tall short long wide narrow thin thick fat round square
    rectangular oval circular curved straight flat different similar same other better nicer nice beautiful pretty
    lovely cute cool fancy simple plain clean fresh cozy cosy comfortable comfy stylish trendy fashionable designer
    sport sports sporty custom original whole entire sleeping sitting standing running smiling happy sad scary funny
    spooky magical delicious ripe tasty hot cold empty full half broken damaged ugly expensive cheap luxury premium
    bigger smaller larger taller longer shorter wider newer older brighter darker lighter matching favorite
    favourite real fake artificial single double triple massive giant gigantic miniature mini oversized sleek slim
    slimmer bold aggressive chunky heavy lightweight romantic dramatic natural unique exotic tropical personal
    personalised personalized handmade homemade lush blooming flowering burning lit glowing steaming blank open
    closed folded hanging existing current proper normal regular typical ordinary standard stock aftermarket wild
    domestic stray fierce friendly persian oriental turkish italian french english german american chinese indian
    mexican african european asian spanish greek egyptian swedish danish russian korean
    """
)
"""Adjectives that are stripped from a described thing to get at its name, without being a change of looks."""

ADJECTIVE_ENDINGS: Final = ("ed", "ish", "ous", "ful", "less", "able", "ible", "ive", "est", "esque", "y-looking")
NOT_ADJECTIVES: Final = word_set(
    """
    bed red shed seed weed reed sled feed bread olive table cable vegetable dish fish radish brush rest nest chest
    vest forest harvest priest beast guest crest roundtable stable marble bible native archive hive dive
    """
)

ENGLISH_WORDS: Final = word_set(
    """
    i me my we you your he she it they them the a an this that these those is are be was were been do does did has
    have had will would can could should may might must not no yes and or but if then than so as of in on at to from
    with without by for into onto over under up down out off here there what which who how when where why all some
    any every each more less very just please like look make change put
    """
)
FOREIGN_WORDS: Final = word_set(
    """
    der die das den dem des ein eine einen einem einer und ist nicht mit auf für von zu im ich bitte mach mache das
    ersetze durch rot blau grün schwarz weiß le la les un une des du et est pas avec sur pour dans par remplace
    remplacez rends rouge bleu vert noir blanc change-le moi s'il vous plaît el los las una del y es por con para en
    sin cambia haz reemplaza pon rojo azul verde negro blanco coche casa il lo gli della di per sostituisci cambia
    rosso nero bianco een het van met op maak vervang door rood blauw groen zwart wit og er en på med av och att är
    det som för w na z do zmień jest proszę para uma um com não do da substitua troque vermelho preto branco voiture
    maison haus auto bil colore couleur farbe color de su al au aux ce cette ces mon ma mes que qui
    """
)
"""Frequent words of the languages that are most often met; words that English shares are weighed against English."""
PORTIONS: Final = word_set("one most none half each part")
"""What opens a partitive: "one of the chairs"."""
WHOLES: Final = word_set("all both every each")
"""Quantifiers that mean the things in place, not new ones."""
VERTICAL_POSITIONS: Final = word_set("top bottom upper lower far near front back")
POSITION_FILLERS: Final = word_set("the far side very my hand")
"""What may stand around a position: "on the far left side", "on my right hand"."""
VAGUE_ADJECTIVES: Final = word_set("new whole entire current existing same very")
"""They find nothing and are no part of a thing's name."""
SAID: Final = word_set("said")
