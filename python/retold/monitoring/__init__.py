"""What operations see of a worker: health, metrics, traces, logs, and who else is at work."""
