"""This service beside the servers that people use: each a black box behind HTTP, with the same weights and edits."""
