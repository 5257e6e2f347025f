"""The Model Context Protocol: edits as tools. `edits` is what they do, `server` what the SDK makes of it."""
