"""Stable Diffusion 1.5 inpainting, with IP-Adapter, ControlNets and LoRAs."""
