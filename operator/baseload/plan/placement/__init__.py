"""Which capacity for which serving: a linear programme over the horizon, then whole numbers for what is ordered now."""
