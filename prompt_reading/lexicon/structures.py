"""Vehicles and furniture, their kinds and their parts: things whose geometry an edit must respect."""

from __future__ import annotations

from typing import Final

from prompt_reading.lexicon.listing import word_set

VEHICLES: Final = (
    "vehicle, car, auto, automobile, van, minivan, camper van, campervan, camper, motorhome, rv, caravan, "
    "truck, pickup truck, pickup, pick-up, pick-up truck, lorry, dump truck, fire truck, fire engine, tow "
    "truck, monster truck, bus, school bus, double-decker, double decker, double-decker bus, minibus, coach "
    "bus, suv, jeep, sedan, saloon car, hatchback, coupe, coupé, convertible, cabriolet, roadster, limousine, "
    "limo, taxi, cab, police car, ambulance, sports car, race car, racing car, supercar, muscle car, station "
    "wagon, estate car, wagon, hearse, tractor, bulldozer, excavator, forklift, crane truck, motorcycle, "
    "motorbike, moped, scooter, vespa, chopper, bike, bicycle, mountain bike, road bike, e-bike, ebike, "
    "tricycle, quad bike, atv, go-kart, kart, golf cart, tram, streetcar, trolleybus, train, locomotive, subway "
    "train, carriage, plane, airplane, aeroplane, aircraft, jet, helicopter, glider, spaceship, boat, ship, "
    "yacht, sailboat, speedboat, motorboat, ferry, canoe, kayak, rowboat, rowing boat, gondola, submarine, "
    "trailer, semi-truck, semi truck, snowmobile, jet ski, rickshaw, tuk-tuk, buggy, dune buggy, tank truck, "
    "ev, electric car, tesla, ferrari, porsche, lamborghini, bmw, audi, mercedes, toyota, volkswagen, ford "
    "mustang, mustang, volvo, corvette, land rover, mini cooper, fiat, vw beetle"
)

VEHICLE_PARTS: Final = (
    "rim, wheel rim, engine, alloy rim, wheel, alloy wheel, front wheel, rear wheel, back wheel, spoke wheel, alloy, "
    "hubcap, hub cap, wheel cover, tire, tyre, winter tire, bumper, front bumper, rear bumper, headlight, "
    "headlamp, taillight, tail light, rear light, fog light, brake light, windshield, windscreen, wiper, hood "
    "scoop, spoiler, rear spoiler, rear wing, fender, mudguard, grille, radiator grille, exhaust, exhaust pipe, "
    "tailpipe, muffler, side mirror, wing mirror, rearview mirror, rear-view mirror, sunroof, roof rack, roof "
    "box, licence plate, license plate, number plate, steering wheel, dashboard, gearshift, gear stick, brake "
    "caliper, caliper, chassis, tailgate, car door, car hood, car roof, running board, side skirt, body kit, "
    "handlebar, handlebars, tow bar, convertible roof, soft top, hardtop, car seat, mudflap, fuel cap, axle, "
    "engine hood, rear diffuser, propeller, bull bar, trailer hitch"
)

FURNITURE: Final = (
    "furniture, sofa, sofa bed, corner sofa, sectional, sectional sofa, couch, settee, loveseat, love seat, "
    "futon, divan, daybed, chaise, chaise longue, chaise lounge, armchair, chair, dining chair, office chair, "
    "desk chair, rocking chair, wing chair, lounge chair, swivel chair, folding chair, gaming chair, high "
    "chair, deck chair, deckchair, wheelchair, recliner, rocker, stool, bar stool, barstool, footstool, bench, "
    "park bench, garden bench, pew, ottoman, pouf, pouffe, beanbag chair, bean bag chair, throne, table, coffee "
    "table, dining table, side table, end table, bedside table, kitchen table, console table, dressing table, "
    "picnic table, pool table, desk, writing desk, standing desk, bureau, bed, bunk bed, canopy bed, "
    "four-poster bed, double bed, single bed, hospital bed, hammock, crib, cot, cradle, mattress, wardrobe, "
    "armoire, closet, cupboard, kitchen cupboard, cabinet, kitchen cabinet, china cabinet, filing cabinet, "
    "sideboard, credenza, hutch, dresser, drawer, chest of drawers, nightstand, night stand, bedside cabinet, "
    "bookshelf, bookcase, shelf, shelves, shelving, shelving unit, tv stand, tv unit, tv cabinet, vanity, "
    "vanity unit, coat rack, shoe rack, wine rack, workbench, lectern, highchair, playpen, bookshelves, "
    "barstools, tabouret, chesterfield"
)

FURNITURE_PARTS: Final = (
    "armrest, backrest, headrest, headboard, footboard, bed frame, bedframe, bedpost, table leg, chair leg, "
    "tabletop, table top, seat, seat cushion, chair seat, sofa leg, drawer handle, cabinet door, bed leg, "
    "drawer knob, sofa cushion, upholstery"
)

ALWAYS_PRESENT_PARTS: Final = word_set(
    """
    tail tails wing wings nose ears paws fur mane horns beak feathers petals leaves trunk sails sail hull mast cover
    cap neck strings screen keys pedals saddle chain stem spout pages spine sign label gutters gate stairs railing
    railings tiles windowsill border edges sides back front bottom lining pocket pockets zip hem cuffs heel heels
    tongue bristles blades face dial hands numbers doorknob hinges doorbell bezel grip grille arms rim rims wheel
    wheels alloy alloys tire tires tyre tyres hubcap hubcaps bumper bumpers headlight headlights headlamp headlamps
    taillight taillights windshield windscreen grille hood bonnet seat seats door doors roof window windows mirror
    mirrors handlebars handlebar dashboard leg legs cushion cushions armrest armrests headboard drawer drawers
    handle handles fender fenders knob knobs top tabletop backrest exhaust plate body interior trim frame calipers
    upholstery backsplash countertop countertops worktop ceiling floor floors wall walls sole soles laces sleeve
    sleeves collar buttons button strap straps lid spokes base shade lampshade curtains curtain facade shutters
    """
)
"""Parts that the thing in the photo already has: "car with these sport rims" repaints the rims."""

NOT_STRUCTURAL: Final = (
    "table tennis, chair lift, car park, bench press, bus stop, train station, bike lane, bed of roses, bed "
    "of flowers, flower bed, shelf life, ship's wheel, ferris wheel, water wheel, spinning wheel, cheese "
    "wheel, boat neck, boat shoe, train track, periodic table, table of contents, rocker switch, fiat "
    "currency, truck stop, bus shelter, bus station, river bed, riverbed, traffic cone, car key, car wash, "
    "taxi stand, carriage clock, bed bug, hot wheels, jet of water, table of numbers, bus lane, cable car "
    "station, garden bed, raised bed, flat iron, bike path, ocean bed, sea bed"
)
"""Phrases in which a vehicle or furniture word names neither."""
