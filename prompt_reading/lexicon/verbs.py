"""Verbs of editing, by what they do to the picture; inflections are derived, irregular ones listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prompt_reading.lexicon.listing import phrase_list, word_set

REPLACE: Final = "replace"
SUBSTITUTE: Final = "substitute"
CHANGE: Final = "change"
MAKE: Final = "make"
PAINT: Final = "paint"
COVER: Final = "cover"
GIVE: Final = "give"
ADD: Final = "add"
APPLY: Final = "apply"
REMOVE: Final = "remove"
DRESS: Final = "dress"
SHOW: Final = "show"
KEEP: Final = "keep"
ADJUST: Final = "adjust"

VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    REPLACE: phrase_list(
        "replace, swap, swap out, exchange, switch, switch out, trade, trade in, trade out, change out, "
        "replace out, interchange, sub out, exchange out, upgrade, update"
    ),
    SUBSTITUTE: phrase_list("substitute, sub, sub in, swap in"),
    CHANGE: phrase_list(
        "change, do, turn, transform, convert, alter, modify, adjust, morph, redo, restyle, redesign, transition, "
        "adapt, edit, shift, vary, remake, reimagine, revamp, rework, refresh, customize, customise, "
        "renovate, transmute, remodel"
    ),
    MAKE: phrase_list("make, render, have, let, get, keep looking, leave looking"),
    PAINT: phrase_list(
        "paint, repaint, colour, color, recolour, recolor, re-color, re-colour, dye, redye, tint, retint, "
        "stain, spray, spray-paint, spray paint, colorize, colourize, colorise, colourise, shade, bleach, "
        "whitewash, gild, respray, re-paint, lacquer, varnish"
    ),
    COVER: phrase_list(
        "cover, wrap, rewrap, coat, upholster, reupholster, re-upholster, clad, reclad, tile, retile, plate, "
        "wallpaper, texture, retexture, re-texture, finish, refinish, pave, panel, carpet, face, line, "
        "plaster, resurface, laminate, veneer, drape, sheathe, encase, overlay, coat over, re-cover, recover, "
        "re-skin, reskin, pattern, print, repave, floor, decorate, redecorate, fill, top, garnish, stuff, "
        "load, surround, adorn, populate, frost"
    ),
    GIVE: phrase_list("give, fit out, equip, outfit, furnish, provide, kit out, grant"),
    ADD: phrase_list(
        "add, insert, place, put, include, draw, sketch, hang, attach, mount, install, fit, set, drop, introduce, "
        "bring in, throw in, stick, position, lay, plant, park, build, create, generate, put in, add in, "
        "append, affix, arrange, leave, stand, scatter, sprinkle, pop, compose, superimpose, incorporate, "
        "situate, seat, toss in, paint in, draw in, photoshop in, slip, pour, fill in, perch, rest, lean, "
        "tuck, embed, fasten, bolt on, put up, hang up, set up"
    ),
    APPLY: phrase_list("apply, transfer, map, project, copy, use, paste, put over, spread, extend"),
    REMOVE: phrase_list(
        "remove, erase, delete, eliminate, take away, take out, take off, take down, get rid of, clear, clear "
        "away, clear out, clean up, wipe out, wipe away, wipe off, edit out, cut out, cut, crop out, "
        "photoshop out, paint out, clone out, drop out, lose, hide, strip, strip away, strip off, rub out, "
        "brush out, discard, ditch, exclude, omit, subtract, extract, airbrush out, blot out, throw out, "
        "throw away, do away with, rid, clean off, clean away, pull out, dispose of, scrub, scrub out, dump, "
        "move out, retouch out, scrap, banish, detach, cut off, tear down, rip out, vanish, heal out, mask "
        "out, leave out, get out, get off, kill, purge, weed out, pick up, chop down, cut down, knock down, "
        "demolish"
    ),
    DRESS: phrase_list("dress, clothe, style"),
    SHOW: phrase_list(
        "take, select, choose, pick, grab, look at, consider, show, see, visualize, visualise, imagine, "
        "picture, preview, display, find, view"
    ),
    ADJUST: phrase_list(
        "improve, enhance, blur, sharpen, brighten, darken, lighten, soften, smooth, fix, repair, restore, "
        "clean, polish, open, close, rotate, move, flip, tilt, enlarge, shrink, resize, widen, lower, raise, "
        "stretch, straighten, shorten, lengthen, fold, light, light up, illuminate, melt, break, crack, age, "
        "modernize, modernise, stylize, stylise, cartoonify, cartoonize, desaturate, rust, weather, destroy, "
        "damage, trim, crop, zoom, upscale, retouch, correct, tidy, tidy up, bend, twist, inflate, peel, "
        "slice, wash, freeze, ripen, beautify, narrow, empty, unfold, tighten, loosen, distress, center, "
        "centre, align, mirror, expand"
    ),
    KEEP: phrase_list("keep, preserve, retain, maintain"),
}
"""Base forms; a verb of two words must be adjacent ("take out the bin") or, where its particle may follow the object
("take the bin out"), see `SEPARABLE_PARTICLES`."""

LOOK_VERBS: Final[Mapping[str, str]] = {
    "darken": "darker", "lighten": "lighter", "brighten": "brighter", "polish": "polished", "modernize": "modern",
    "modernise": "modern", "stylize": "stylized", "stylise": "stylised", "cartoonify": "cartoon",
    "cartoonize": "cartoon", "desaturate": "muted", "age": "aged", "rust": "rusty", "weather": "weathered",
    "distress": "distressed",
}  # fmt: skip
"""Verbs of adjusting that change nothing but looks, and the look that they give."""


IRREGULAR_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "make": ("made", "making"), "give": ("gave", "given", "giving"), "take": ("took", "taken", "taking"),
    "get": ("got", "gotten", "getting"), "put": ("put", "putting"), "set": ("set", "setting"),
    "cut": ("cut", "cutting"), "draw": ("drew", "drawn", "drawing"), "hang": ("hung", "hanging"),
    "lay": ("laid", "laying"), "stick": ("stuck", "sticking"), "build": ("built", "building"),
    "see": ("saw", "seen", "seeing"), "hide": ("hid", "hidden", "hiding"), "lose": ("lost", "losing"),
    "leave": ("left", "leaving"), "bring": ("brought", "bringing"), "throw": ("threw", "thrown", "throwing"),
    "spread": ("spread", "spreading"), "keep": ("kept", "keeping"), "have": ("had", "having"),
    "let": ("let", "letting"), "find": ("found", "finding"), "rid": ("rid", "ridding"), "tear": ("torn", "tearing"),
    "rip": ("ripped", "ripping"), "do": ("did", "done", "doing"), "show": ("showed", "shown", "showing"),
    "dye": ("dyed", "dyeing", "dying"), "redo": ("redid", "redone", "redoing"), "remake": ("remade", "remaking"),
    "stand": ("stood", "standing"), "fit": ("fit", "fitted", "fitting"),
    "panel": ("panelled", "paneled", "panelling", "paneling"), "break": ("broken", "breaking"),
    "freeze": ("frozen", "freezing"), "bend": ("bent", "bending"), "light": ("lit", "lighting"),
    "swap": ("swapped", "swapping", "swop"), "clad": ("clad", "cladding"),
}  # fmt: skip

DOUBLING: Final = word_set(
    """
    blur flip trim swap map wrap rewrap drop rub strip cut put set scrap pop slip fit outfit scrub sub get let equip
    crop
    """
)

AMBIGUOUS_VERBS: Final = word_set(
    """
    do dress place plant set fit line face clear leave cut park build stand plate panel tile floor print pattern
    texture coat cover finish paint stain tint shade colour color spray style carpet wallpaper hide wrap stick lay
    sub slip rest seat lean drop pop outfit picture display view map project copy strip plaster light update shift
    edit trade exchange change switch swap draw hang sketch laminate veneer overlay use rid find show drape put open
    close light lower raise move age crack clean smooth blur trim fold mirror empty narrow weather polish rust
    correct slice peel flip bend twist center centre break repair fix restore crop zoom freeze wash
    """
)
"""Verbs that may also be nouns or adjectives: verbs only where an object can follow."""

SEPARABLE_PARTICLES: Final = word_set("out away off down in up over")

TRANSITIVE_VERBS: Final = word_set(
    "paint dye tint stain color colour spray cover wrap coat tile use hang draw put place stick lay hide clear"
)
"""Ambiguous verbs that are verbs before a bare noun too ("paint walls", "hang lanterns"), unlike "park bench"."""
NOT_PASSIVE: Final = word_set(
    """
    left set put cut fit stood lost hidden fitted printed patterned textured tiled panelled paneled plated used styled
    lined decorated laminated faced extended carpeted got modified shaded rested leaned laid
    """
)
"""Participles that behind a noun are adjectives or past tenses, not an edit done to it."""
NOT_MUTUAL: Final = word_set("replace upgrade update")
"""Verbs of replacing that take no pair: "swap A and B", but not "replace A and B"."""
POSSESSING: Final = word_set("have get")
CAUSING: Final = word_set("have get see let")
"""Read "have the mug replaced"."""
PLACING_ON: Final = word_set("put set")
DRESSING_BY_PLACING: Final = frozenset(phrase_list("put, place, fit, put in, add"))
"""Verbs of adding that may put clothes on somebody."""
HANGING: Final = frozenset(phrase_list("hang, hang up"))
APPLYING: Final = word_set("use apply")
STYLING: Final = "style"
"""A verb of dressing that is done to rooms as well."""
HIDING: Final = word_set("cover line drape encase face overlay wrap")
FILLING: Final = word_set("fill top garnish stuff load surround adorn populate frost decorate")
