"""Reading the world: Kubernetes watches and Prometheus signals become one Snapshot."""
