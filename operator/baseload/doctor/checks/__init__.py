"""The checks of `baseload doctor`: pure functions from facts to findings, in one table."""
