"""The lab: an embedded Kubernetes, replica servers, a load generator and the demo."""
