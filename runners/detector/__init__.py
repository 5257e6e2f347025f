"""Where to repaint: GroundingDINO (boxes of what a phrase names) and SAM (their silhouettes)."""
