"""The Model Context Protocol. `edits` and `loras` are what its tools do, `server` what the SDK makes of them."""
