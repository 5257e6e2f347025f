"""The model store: manifests of the model profiles, their import into BentoML, and where the runners find them.

manifest -> source (build, copy, download) -> importer -> BentoML's model store -> `store.ModelSet` -> runners.
Importing this package loads no model framework.
"""
