"""One folder per model family: load, encode, predict a batch, decode."""
