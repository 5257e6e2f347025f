"""The diffusion runner: condition -> **diffuse** -> blend, with requests joining and leaving at every denoising step."""
