"""How words combine: prompt -> words -> phrases -> instructions -> drafts. What words mean is the lexicon's business."""
