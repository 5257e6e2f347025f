"""What operators see: series for Prometheus, traces, and the sampling of what a process takes."""
