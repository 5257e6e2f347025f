"""torch.compile by region: the blocks that networks repeat, for the calls that really come."""
