"""One folder per model family: load, encode, predict a batch, decode; `stable_diffusion` is what two of them share."""
