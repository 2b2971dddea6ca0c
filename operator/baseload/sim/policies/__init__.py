"""The policies that a replay compares, each after its published rule."""
