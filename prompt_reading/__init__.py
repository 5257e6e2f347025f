"""From a sentence to what it asks for: prompt -> words -> instruction -> drafts -> **reading** -> rules.

English, by a grammar over a lexicon. `python -m prompt_reading` evaluates and explains.
"""
