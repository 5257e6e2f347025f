"""Pictures beyond the painted world: anything, of any colour, under any light, for painters that meet photographs."""
