"""What Baseload would have done with a workload that it does not scale yet: read from its past, nothing installed."""
