"""Worn things, by the part of the body that they cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from composition.decision import BodyRegion

GARMENTS: Final[Mapping[BodyRegion, str]] = {
    BodyRegion.UPPER: (
        "shirt, t-shirt, tshirt, t shirt, tee, tee shirt, top, tank top, crop top, halter top, polo, polo shirt, "
        "blouse, tunic, jacket, denim jacket, leather jacket, bomber jacket, biker jacket, suit jacket, puffer "
        "jacket, puffer, windbreaker, anorak, parka, blazer, coat, trench coat, trenchcoat, raincoat, overcoat, "
        "peacoat, lab coat, fur coat, sweater, jumper, pullover, turtleneck, cardigan, hoodie, hoody, sweatshirt, "
        "jersey, vest, waistcoat, gilet, poncho, cape, cloak, shawl, bra, corset, camisole, apron, dress shirt, "
        "hawaiian shirt, flannel, button-up, button-down, life jacket, dinner jacket, tuxedo jacket, fleece, kurta, "
        "bolero, bodice"
    ),
    BodyRegion.LOWER: (
        "jeans, trousers, pants, slacks, chinos, shorts, skirt, miniskirt, mini skirt, leggings, tights, stockings, "
        "sweatpants, joggers, cargo pants, cargos, cargo shorts, corduroys, khakis, kilt, culottes, capris, "
        "breeches, underpants, boxers, briefs, belt, swim trunks, trunks, palazzos, jeggings, tracksuit bottoms, "
        "pantyhose"
    ),
    BodyRegion.FULL: (
        "dress, gown, evening gown, ball gown, wedding dress, summer dress, sundress, cocktail dress, maxi dress, "
        "frock, suit, business suit, three-piece suit, tuxedo, tux, jumpsuit, playsuit, romper, overalls, "
        "dungarees, coveralls, boiler suit, wetsuit, spacesuit, space suit, swimsuit, bathing suit, swimwear, "
        "bikini, pyjamas, pajamas, pjs, nightgown, robe, bathrobe, dressing gown, kimono, yukata, hanbok, qipao, "
        "cheongsam, sari, saree, lehenga, kaftan, caftan, abaya, toga, tracksuit, onesie, leotard, bodysuit, "
        "catsuit, uniform, costume, outfit, clothes, clothing, attire, armor, armour, scrubs, ensemble, suit and "
        "tie, garment, garments, apparel, streetwear, sportswear, menswear, womenswear, pantsuit, trouser suit, ski "
        "suit, racing suit, snowsuit, habit"
    ),
    BodyRegion.FEET: (
        "shoe, sneaker, trainers, boot, ankle boot, cowboy boot, rain boot, sandal, heels, high heels, stilettos, "
        "high heel, loafer, moccasin, slipper, flip-flops, flip flops, clog, espadrille, pump, brogue, oxfords, "
        "sock, wellies, wellingtons, running shoe, tennis shoe, basketball shoe, ballet flat, ballet shoe, "
        "footwear, crocs, roller skate, ice skate, dress shoe, hiking boot, mules, stiletto, wedges"
    ),
    BodyRegion.HEAD: (
        "hat, cap, baseball cap, beanie, beret, fedora, helmet, bike helmet, bicycle helmet, motorcycle helmet, "
        "hard hat, crown, tiara, headband, hairband, bandana, headscarf, hijab, turban, veil, cowboy hat, top hat, "
        "straw hat, sun hat, sunhat, bucket hat, santa hat, party hat, bonnet, headphones, earmuffs, wig, earring, "
        "sombrero, bowler hat, panama hat, flower crown, balaclava, visor, snapback, head wrap, headpiece, hair "
        "clip, hairpin"
    ),
    BodyRegion.EYES: (
        "sunglasses, glasses, eyeglasses, spectacles, specs, shades, goggles, ski goggles, aviators, eyewear, "
        "reading glasses, monocle, aviator sunglasses, eye patch, eyepatch, safety glasses, vr headset"
    ),
    BodyRegion.NECK: (
        "scarf, necklace, tie, necktie, bow tie, bowtie, choker, pendant, neckerchief, cravat, collar, pearls, "
        "pearl necklace, lanyard, neck warmer, chain necklace, ascot"
    ),
}  # fmt: skip
"""Comma-separated, in the singular or as they are always said; plurals are derived."""

UNPLACED_ACCESSORIES: Final = (
    "handbag, bag, purse, backpack, rucksack, tote, tote bag, clutch, satchel, watch, wristwatch, bracelet, "
    "ring, glove, mitten, brooch, cufflink, bangle, smartwatch, messenger bag, shoulder bag, crossbody bag, "
    "fanny pack, anklet"
)
"""Worn or carried, but covering none of the regions: found by their own name."""

CARRIER_OF_ACCESSORY: Final[Mapping[str, str]] = {
    "watch": "wrist", "wristwatch": "wrist", "smartwatch": "wrist", "bracelet": "wrist", "bangle": "wrist",
    "ring": "finger",
    "glove": "hand", "mitten": "hand",
    "anklet": "ankle",
}  # fmt: skip
"""Where an accessory without a region goes when it is tried on."""
