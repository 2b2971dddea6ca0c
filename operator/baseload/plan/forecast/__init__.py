"""Demand at a lead time: from buckets of the past to quantiles of the future, for many servings at once."""
