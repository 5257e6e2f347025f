"""People: words that name a human, and words that put clothes on one."""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon.listing import phrase_list, word_set

PERSON_WORDS: Final = word_set(
    """
    person persons people human humans man men woman women lady ladies gentleman gentlemen girl girls boy boys guy
    guys gal gals dude chap bloke kid kids child children baby babies infant toddler toddlers teenager teenagers
    teen teens adult adults grandma grandmother grandpa grandfather granny mother mothers mom mum dad daddy father
    fathers daughter daughters son sons brother brothers sister sisters husband wife bride brides groom bridegroom
    bridesmaid bridesmaids businessman businesswoman businessmen cowboy policeman policewoman fireman firefighter
    soldier soldiers doctor nurse chef waiter waitress athlete athletes runner dancer dancers cyclist skier surfer
    musician guitarist tourist tourists pedestrian pedestrians bystander bystanders passerby student students worker
    workers player players customer shopper influencer crowd singer singers actor actors actress teacher teachers
    farmer farmers sailor sailors pilot pilots astronaut astronauts ballerina swimmer swimmers golfer golfers hiker
    hikers friend friends uncle aunt niece nephew cousin boyfriend girlfriend grandson granddaughter grandparents
    parent parents twin twins lifeguard barista bartender carpenter mechanic gardener scientist somebody someone
    anybody anyone everybody everyone selfie supermodel
    """
)
"""Nouns for a human; a compound that continues with another noun ("baby crib") does not count."""

WEAK_PERSON_WORDS: Final = word_set(
    """
    human humans adult adults worker workers student students model models rider driver runner player players baby
    babies child kid kids
    """
)
"""Nouns that mean a human only when they head their phrase ("the model", not "model train")."""

NOT_A_PERSON: Final = phrase_list(
    "gingerbread man, iron man, couple of, record player, cassette player, disc player, vinyl player, video "
    "player, tape player, mp3 player, cd player, dvd player, media player, music player, carpet runner, stair "
    "runner, table runner, hallway runner, man made, man-made, snow man, straw man, stick man, lego man, "
    "child seat, baby blue, baby pink, girl scout cookies, toy soldier, toy soldiers, tin soldier, tin "
    "soldiers, man cave, lady bug, adult size, scale model of, model of, models of, fashion doll, boy band "
    "poster"
)
"""Phrases in which a person word names no human."""

TRY_ON_PHRASES: Final = frozenset(
    phrase_list(
        "try on, tries on, trying on, tried on, try-on, dressed in, dressed up in, dressed as, dressed like, "
        "clad in, clothed in"
    )
)
"""Fixed phrases of trying something on."""

WEAR_VERBS: Final = word_set("wear wears wearing wore donning")

OBJECT_PRONOUNS: Final = word_set("me him her them us myself himself herself")

HOLD_VERBS: Final = word_set(
    """
    holding holds carrying carries riding rides driving drives playing eating drinking
    """
)
"""What a person does with a thing that is to be painted beside them."""

BODY_PARTS: Final = word_set(
    """
    hair hairstyle haircut beard moustache mustache face head hand hands arm arms leg legs eyes eye nose lips mouth
    skin nails eyebrows tattoo makeup
    """
)
