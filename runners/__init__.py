"""The models, one process per runner, and the adapters that reach them."""

import os

# Several processes share the cores. OpenMP's idle threads spin by default and starve whoever has the work: with two
# busy neighbours a step of a small UNet took 15 times longer. It must be set before torch loads libgomp.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Else CUDA puts the fastest card first, and the driver, which the memory plan asks, the one with the lowest address.
os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
# onnxruntime and the model hub's client report on their use unless they are told not to before they are imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
