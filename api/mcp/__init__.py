"""The Model Context Protocol: edits as tools. `tools` is what they do, `server` what the SDK makes of it."""
