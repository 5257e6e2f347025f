"""Two ways to run an edit: simple (detect -> mask -> diffuse -> blend) and complex (with pose and depth control)."""
