"""The diffusion runner: condition -> **diffuse** -> blend; requests join and leave at every denoising step."""
