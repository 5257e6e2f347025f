"""What a job is to whoever keeps or runs it, whatever it is kept in."""
