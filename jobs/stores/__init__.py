"""Where jobs are kept: memory, SQLite, Redis; one set of rules."""
