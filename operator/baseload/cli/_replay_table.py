"""The answer of a replay on the terminal: a row for each policy, attainment beside every cost."""

from rich.table import Table

from baseload.cli._replaying import Replay
from baseload.sim.money import Money
from baseload.sim.score import OBJECTIVE, Score


def table_of(replay: Replay, money: Money, *, accelerators: int | None = None) -> Table:
    """Return the table, the cheapest policy first; those that miss the objective are marked.

    With the `accelerators` of a replica their hours are told instead of the replicas'.
    """
    case, scores = replay.case, replay.by_cost
    hours = case.world.shape[1] * case.step_seconds / 3600.0
    caption = f"bound {money.of(scores[0].bound)}: the least it could have cost for somebody who knew all demand before"
    if money.unit != "$":
        caption += f"\ncost in {money.unit}, of which a missing one counts {case.penalty:g}"
    if any(score.attainment < OBJECTIVE for score in scores):
        caption += f"\n! misses the objective of {OBJECTIVE:.0%} in time, !! and costs less than all that reach it"
    table = Table(
        title=f"{case.name}: {hours / 24:.1f} days, {case.world.mean():.1f} replicas' worth of demand on average",
        title_justify="left",
        caption=caption,
        caption_justify="left",
    )
    table.add_column("policy", style="bold", no_wrap=True)
    table.add_column("cost", justify="right")
    for heading in ("x bound", "in time", "unserved", "hours" if accelerators is None else "GPU h", "changes"):
        table.add_column(heading, justify="right")
    for score in scores:
        table.add_row(
            score.policy,
            money.of(score.cost),
            f"{score.ratio:.3f}",
            _attainment(score),
            f"{score.unserved_share:.2%}",
            f"{score.replica_hours * (accelerators or 1):,.0f}",
            f"{score.scale_events:,}",
        )
    return table


def _attainment(score: Score) -> str:
    if score.attainment >= OBJECTIVE:
        return f"[green]{score.attainment:.2%}[/]"
    return f"[red]{'!!' if score.saves_by_missing else '!'} {score.attainment:.2%}[/]"
