"""How things look: colours, materials, finishes, patterns, styles, and the nouns for those qualities."""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon.listing import word_set

COLOURS: Final = (
    "autumn orange, sunset orange, sunset red, storm grey, sky grey, forest-green, seafoam, seafoam green, "
    "pistachio green, sunburst orange, burnt orange, pumpkin orange, rust orange, duck egg blue, cornflower "
    "blue, tiffany blue, ocean blue, peacock blue, turquoise blue, teal blue, pastel blue, pastel pink, "
    "pastel green, pastel yellow, kelly green, avocado green, apple green, grass green, pine green, jungle "
    "green, leaf green, candy apple red, ferrari red, ruby, rose red, raspberry red, tomato red, oxblood, "
    "flamingo pink, bubblegum pink, shocking pink, magenta pink, peach pink, periwinkle, periwinkle blue, "
    "plum purple, royal purple, sand beige, walnut brown, chestnut brown, sienna, umber, anthracite, "
    "gunmetal, gunmetal grey, graphite grey, pewter grey, dove grey, pearl grey, silver grey, smoke grey, "
    "onyx black, ebony black, coal black, raven black, bone white, cream-coloured, alabaster, chalk white, "
    "ivory white, arctic white, sunshine yellow, butter yellow, sunflower yellow, mustard, ochre yellow, gold "
    "yellow, electric green, fluorescent yellow, fluorescent green, neon yellow, neon orange, neon blue, "
    "gunmetal gray, dove gray, pearl gray, silver gray, ultraviolet, denim-blue, bordeaux, red, blue, green, "
    "yellow, orange, purple, pink, brown, black, white, grey, gray, beige, turquoise, teal, cyan, magenta, "
    "violet, indigo, crimson, scarlet, maroon, burgundy, vermilion, ruby red, cherry red, brick red, blood "
    "red, fire engine red, wine red, coral, fuchsia, mauve, lilac, lavender, navy, navy blue, royal blue, sky "
    "blue, baby blue, cobalt, cobalt blue, cerulean, azure, aqua, aquamarine, midnight blue, electric blue, "
    "ice blue, powder blue, steel blue, petrol blue, prussian blue, ultramarine, sapphire blue, denim blue, "
    "emerald, emerald green, olive green, lime green, forest green, mint green, sage green, hunter green, "
    "racing green, british racing green, bottle green, sea green, army green, moss green, neon green, jade "
    "green, khaki, chartreuse, amber, ochre, mustard yellow, lemon yellow, golden yellow, canary yellow, "
    "taupe, tan, ecru, ivory, off-white, off white, eggshell, snow white, pearl white, charcoal, charcoal "
    "grey, charcoal gray, slate grey, slate gray, ash grey, jet black, jet-black, pitch black, midnight "
    "black, matte black, hot pink, baby pink, dusty pink, dusty rose, blush pink, rose pink, salmon pink, "
    "neon pink, rose gold, golden, silvery, sepia, auburn, blonde, blond, brunette, ginger, platinum blonde, "
    "rainbow, rainbow coloured, rainbow colored, multicolored, multicoloured, multi-colored, multi-coloured, "
    "colorful, colourful, monochrome, monochromatic, black and white, black-and-white, grayscale, greyscale, "
    "two-tone, two tone, bicolor, pastel, neon, iridescent, holographic, transparent, translucent, tricolor, "
    "tie-dye colors, gold, silver, reddish, bluish, greenish, yellowish, pinkish, purplish, brownish, "
    "greyish, grayish, blackish, whitish, sapphire, ruby, rust red, terracotta, peach, plum, rose, olive, "
    "mint, sage, lime, mustard, cream, salmon, cherry, lemon, chocolate brown, coffee brown, caramel, "
    "chocolate, apricot, lilac purple, sand, aubergine, eggplant, cream white, honey, rust, copper, bronze"
)
"""Comma-separated; `light`, `dark` and the like may precede any of them."""

AMBIGUOUS_COLOURS: Final = word_set(
    """
    orange rose olive mint sage lime mustard cream salmon cherry lemon chocolate caramel peach plum coral honey sand
    apricot aubergine eggplant rainbow ginger rust gold silver ruby sapphire emerald amber lavender lilac copper
    bronze
    """
)
"""Colours that are also things: with an article of their own ("an orange") they are the thing."""

FOOD_AND_PLANTS: Final = word_set(
    """
    cake cakes pie pies tart tarts juice tea jam sauce cookie cookies biscuit muffin muffins bread tree trees bush
    bushes plant plants leaf leaves petal petals bouquet bouquets garden flower flowers fruit fruits slice slices
    wedge wedges oil soup salad steak steaks fillet fillets candy candies bar bars syrup milk milkshake smoothie
    cocktail cupcake cupcakes donut donuts doughnut pudding mousse blossom blossoms orchard grove branch branches
    tomato tomatoes cheese pancakes waffle waffles croissant ice-cream sorbet lemonade soda chips truffle truffles
    peel zest seeds root field reef castle dune dunes beach box pot jar hearts egg eggs bunny bunnies roll rolls
    sundae brownie stem stems thorn
    """
)
"""Before these a colour that is also a thing means the thing: "lemon tart", "rose bouquet"."""

SHADES: Final = word_set(
    """
    darker lighter brighter deeper paler light dark bright pale deep soft vivid muted rich warm cool dusty hot neon
    pastel metallic matte glossy electric intense subtle faded saturated light-colored dull
    """
)

MATERIALS: Final = (
    "foil, gold foil, tinfoil, wood, wooden, oak, walnut, mahogany, pine, teak, ebony, birch, maple, cherry "
    "wood, cherrywood, rosewood, redwood, driftwood, cedar, bamboo, rattan, wicker, cork, plywood, oak wood, "
    "walnut wood, pine wood, dark wood, light wood, reclaimed wood, solid oak, marble, granite, quartz, onyx, "
    "slate, limestone, sandstone, travertine, stone, brick, exposed brick, red brick, bricks, concrete, "
    "cement, stucco, plaster, terrazzo, tile, tiles, tiled, mosaic, subway tile, subway tiles, ceramic, "
    "porcelain, clay, terracotta, earthenware, glass, stained glass, frosted glass, crystal, metal, metallic, "
    "steel, stainless steel, brushed steel, brushed metal, iron, wrought iron, cast iron, chrome, chromed, "
    "aluminium, aluminum, brushed aluminum, brushed aluminium, brass, copper, bronze, tin, pewter, titanium, "
    "platinum, gold, solid gold, gold leaf, silver, gilded, leather, faux leather, patent leather, suede, "
    "velvet, crushed velvet, silk, satin, cotton, linen, wool, woolen, woollen, tweed, cashmere, felt, "
    "fleece, corduroy, denim, canvas, burlap, hessian, jute, lace, chiffon, tulle, fur, faux fur, fake fur, "
    "sequins, sequined, knit, knitted, crocheted, crochet, woven, quilted, fabric, cloth, textile, boucle, "
    "bouclé, chenille, mohair, nylon, polyester, latex, vinyl, rubber, plastic, acrylic, resin, carbon fiber, "
    "carbon fibre, fiberglass, paper, papier-mâché, papier mache, cardboard, origami, parchment, wax, ice, "
    "snowy, icy, diamond, pearl, mother of pearl, jade, obsidian, lava, straw, thatch, thatched, grass, moss, "
    "mossy, ivy, herringbone parquet, parquet, hardwood, laminate, linoleum, gravel, cobblestone, "
    "cobblestones, asphalt, planks, wood panelling, wood paneling, shiplap, lego, lego bricks, upholstered, "
    "leathery, glassy, silky, furry, fluffy, rubbery, plush, ivory, amber, snakeskin, crocodile leather, "
    "alligator skin, sheepskin, cowhide, faux marble, carrara marble, black marble, white marble, hammered "
    "copper, corrugated iron, corrugated metal, wood grain, woodgrain, flagstone, pebbles, shingles, jersey "
    "knit, microfiber"
)

FINISHES: Final = (
    "worn, matte, matt, glossy, gloss, high-gloss, high gloss, shiny, satin finish, metallic, polished, brushed, "
    "lacquered, varnished, enamelled, enameled, glazed, frosted, weathered, distressed, rusty, rusted, "
    "worn-out, aged, patinated, whitewashed, painted, stained, bleached, glittery, glitter, sparkly, sparkling, "
    "reflective, mirrored, pearlescent, smooth, rough, textured, grainy, bumpy, cracked, dusty, dirty, muddy, "
    "faded, washed, stonewashed, burnished, anodized, anodised, galvanized, oiled, waxed, scratched, iced, "
    "gold-plated, chrome-plated, silver-plated, plated, shimmering, shimmery, dyed, tie-dyed, tie-dye, tie dye, "
    "tinted, ombre, ombré, embossed, engraved, embroidered, padded, tufted, rustic-looking, satiny, unpainted, "
    "tarnished, opaque, see-through, luminous, fluorescent"
)

PATTERNS: Final = (
    "striped, stripes, checks, spots, pinstriped, pinstripe, pinstripes, polka dot, polka dots, polka-dot, "
    "polka dotted, dotted, dots, spotted, checked, checkered, chequered, checkerboard, chessboard, gingham, "
    "plaid, tartan, houndstooth, herringbone, chevron, zigzag, paisley, floral, flowery, flower print, floral "
    "print, leopard print, leopard-print, leopard, zebra print, zebra, zebra stripes, tiger print, tiger "
    "stripes, cow print, snake print, animal print, camouflage, camo, argyle, geometric, abstract, damask, "
    "ikat, batik, patchwork, toile, tropical print, leaf print, marbled, swirls, swirly, hearts, starry, "
    "honeycomb, hexagonal, patterned, printed, graphic, mandala, arabesque, moroccan, fair isle, nautical "
    "stripes, harlequin, fleur-de-lis, psychedelic, gradient, galaxy, galaxy print, brocade, horizontal "
    "stripes, vertical stripes, diagonal stripes, thin stripes, racing stripes, racing stripe, speckled, "
    "graffiti, graffitied, flames"
)

PATTERNED_THINGS: Final = word_set("leopard zebra mandala galaxy honeycomb chessboard checkerboard patchwork")
"""Patterns that with an article are the animal or the thing: "a zebra"."""

STYLES: Final = (
    "cartoon, cartoonish, cartoony, comic, comic book, anime, manga, ghibli, studio ghibli, pixar, disney, "
    "watercolor, watercolour, oil painting, oil paint, acrylic painting, pencil sketch, pencil drawing, pencil, "
    "sketch, charcoal drawing, line art, line drawing, ink drawing, ink wash, pop art, pop-art, pixel art, "
    "pixelated, 8-bit, 8 bit, 16-bit, low poly, low-poly, vector art, flat design, impressionist, "
    "impressionism, expressionist, expressionism, cubist, cubism, surreal, surrealist, surrealism, abstract "
    "art, pointillism, pointillist, art deco, art nouveau, bauhaus, baroque, rococo, gothic, victorian, "
    "renaissance, medieval, ukiyo-e, cyberpunk, steampunk, vaporwave, synthwave, futuristic, sci-fi, retro, "
    "vintage, rustic, industrial, minimalist, minimalistic, scandinavian, mid-century, mid-century modern, mid "
    "century modern, modern, contemporary, modernist, bohemian, boho, shabby chic, farmhouse, mediterranean, "
    "japanese, art, kawaii, noir, film noir, photorealistic, hyperrealistic, realistic, stylized, stylised, "
    "claymation, clay animation, stop motion, van gogh, picasso, monet, andy warhol, warhol, banksy, dali, "
    "rembrandt, klimt, hokusai, mondrian, matisse, kandinsky, hand-drawn, hand drawn, hand-painted, hand "
    "painted, woodcut, linocut, etching, mosaic art, paper cutout, 3d render, cinematic, polaroid, fauvist, "
    "collage, brutalist, tudor, georgian, colonial, edwardian, art-deco, chibi, woodblock print, gouache, "
    "crayon, chalk, chalk drawing, doodle, graphic novel, tim burton, wes anderson, antique, traditional, "
    "classical, ornate, elegant, luxurious, classic, old-fashioned, seventies, 70s, 80s, 1950s, 1960s, 1970s, "
    "1980s, 1920s, 50s, 60s, 90s, 20s, grunge, punk"
)

WEAK_LOOKS: Final = word_set(
    """
    fluffy furry plush shiny smooth rough dirty dusty muddy cracked faded aged worn-out sparkling modern
    contemporary elegant classic classical traditional antique luxurious realistic snowy icy burning ornate grassy
    mossy icy art sparkly reflective padded washed scratched luminous old-fashioned abstract graphic starry hot dark
    light bright warm cool rich soft deep dull neon-lit textured printed see-through opaque transparent clear
    """
)
"""Words that in front of a noun merely describe it ("a fluffy rabbit", "a modern sofa"), but are a look when asked for
as one ("make the rug fluffy", "in a modern style")."""

QUALITY_NOUNS: Final = word_set(
    """
    color colour colors colours colour-scheme hue hues shade shades tone tones tint tints texture textures material
    materials pattern patterns print prints style styles finish finishes look looks surface surfaces fabric
    upholstery paint coating coat design appearance aesthetic theme motif stripes grain lacquer varnish palette
    scheme effect painting drawing sketch illustration artwork render rendering art colouring coloring colorway
    livery vibe feel paintwork skin wrap veneer panelling paneling cladding wallpaper tiling tiles graphic patina
    sheen gloss
    """
)
"""Nouns for the quality itself: "the colour of the car", "a marble texture"."""

PURE_QUALITY_NOUNS: Final = word_set(
    """
    color colour colors colours hue hues shade shades tone tones tint tints texture textures material materials
    pattern patterns print prints style styles finish finishes look looks appearance aesthetic theme motif coating
    effect colouring coloring colorway livery vibe feel paintwork patina sheen palette scheme upholstery fabric
    grain design surface surfaces paint paintjob covering
    """
)
"""Quality nouns that an edit changes on a thing without naming anything else ("change the sofa's fabric")."""

WHOLES_OF_VEHICLES: Final = word_set("body bodywork exterior outside shell whole entirety")
"""Behind a vehicle they mean all of it ("the car's body"); a guitar's body is a part."""

ADJECTIVAL_NOUNS: Final = word_set("style effect pattern print look texture finish colour color")
"""Quality nouns that may stand between a look and its thing: "steampunk style clock"."""

LOOSE_QUALITY_NOUNS: Final = word_set(
    "palette scheme coat surface wrap skin covering grain motif shade shades print prints paint art artwork "
    "tone tones design fabric material materials sheen patina gloss"
)
"""Quality nouns that behind an unknown noun are that noun's own ("eyeshadow palette", "lamp shade")."""

COLOUR_NOUNS: Final = word_set(
    """
    color colour colors colours hue hues shade shades tone tones tint tints colouring coloring colorway paint
    paintwork paintjob livery palette scheme coat
    """
)

COLOURED_SUFFIXES: Final = word_set("coloured colored toned tinted hued painted dyed")
"""What follows a hyphen in "mint-coloured"."""

TEXTURED_SUFFIXES: Final = word_set(
    """
    textured patterned clad covered plated upholstered style styled like effect look print themed printed finished
    inspired lined
    """
)

STYLED_SUFFIXES: Final = word_set("style styled inspired themed")
"""Of `TEXTURED_SUFFIXES`, those that make a style."""
SMEARS: Final = word_set("coat layer splash touch hint lick shade version variant one")
"""Nouns that carry a look: "a coat of red paint"."""
SURFACES: Final = word_set(
    "wallpaper panelling paneling cladding tiling veneer parquet tiles planks shingles cobblestones bricks"
)
PATTERN_NOUNS: Final = word_set("tiles planks shingles pebbles")
MANNERS: Final = word_set("style manner")
STYLE_NOUNS: Final = word_set("style styles")
NAMED_LOOKS: Final = word_set("style colour color")
"""Said with an article behind a thing: "table *in the style* of Monet"."""
DEPICTIONS: Final = word_set(
    "portrait painting drawing sketch illustration version rendition rendering render picture photo photograph image "
    "art"
)
"""Nouns for a picture of a thing: in "anime style portrait of the cat" the cat is the thing."""
