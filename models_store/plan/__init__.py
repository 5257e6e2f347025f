"""What this machine can run: facts of the machine and of a profile -> **plan** -> settings that nobody has to choose.

machine (`probe`) + needs (`needs`) + wishes (the configuration) -> `planner.make_plan` -> `words`. No module here
imports a model framework; `planner` and `words` touch nothing of the machine they run on.
"""
