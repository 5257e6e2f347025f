"""What must survive the edit: DWPose (bodies) and Depth-Anything V2 (depth)."""
