"""What a replica-hour is worth, and how amounts are told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Money:
    """Price of a replica-hour of the first pool in `unit`; 1 and replica-hours where no price is known."""

    per_replica_hour: float = 1.0
    unit: str = "replica-hours"

    def of(self, replica_hours: float) -> str:
        """Return an amount for people, without its unit where that is none of money."""
        value = replica_hours * self.per_replica_hour
        return f"${value:,.0f}" if self.unit == "$" else f"{value:,.0f}"
