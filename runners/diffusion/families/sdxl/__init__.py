"""Stable Diffusion XL inpainting, with IP-Adapter, ControlNets and LoRAs."""
