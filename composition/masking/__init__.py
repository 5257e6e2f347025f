"""What is repainted: detect -> **mask** -> condition."""
