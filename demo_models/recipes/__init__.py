"""Training recipes of the demo models, one module per component.

Flow: scenes are rendered into **shards**, a **recipe** says what is learnt from them, a **training run** carries it out
in resumable steps, **export** writes the result in the layout of the real repositories.
"""
