"""What the families of Stable Diffusion share: a UNet in latents of an autoencoder, IP-Adapter, ControlNets, LoRAs."""
