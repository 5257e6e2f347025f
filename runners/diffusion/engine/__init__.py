"""Requests share a diffusion model step by step; blind to what it denoises."""
