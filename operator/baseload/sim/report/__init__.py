"""Pictures of replays and of runs: one look for all of them."""
