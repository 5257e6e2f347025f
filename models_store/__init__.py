"""The model store: manifests of the model profiles, their import into BentoML, and where the runners find them.

manifest -> source (build, copy, download) -> importer -> BentoML's model store -> `store.ModelSet` -> runners.
Importing this package loads no model framework.
"""

import os

# As in `runners`: neither reports on its use, and both must be told before they are imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
