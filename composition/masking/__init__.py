"""What is repainted, made in one place: decode -> route -> **detect -> mask** -> condition.

`find` asks the detector for what a target names, `select` says which of several instances is meant, `region` makes
the thing's own mask (with `body` for what is worn), `grow` gives it room, a soft rim and a crop, and `edit_mask` puts
it all into the one value that an analysis shows and an edit paints and blends with.
"""
