"""How words combine: prompt -> words -> phrases -> instructions -> drafts. What they mean, the lexicon says."""
