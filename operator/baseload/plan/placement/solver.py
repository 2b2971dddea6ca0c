"""The one way to make a solver, for plans and for bounds alike."""

from math import inf

from highspy._core import _Highs


def make_solver(time_limit_seconds: float = inf, gap: float = 0.0) -> _Highs:
    """Return a silent solver on one thread with a fixed seed: the same programme has the same answer.

    Every solver of a process has to have the same number of threads: HiGHS starts its scheduler once, and a solver that
    asks for another number later fails at once.
    """
    # highspy.Highs() writes a banner to the standard output.
    solver = _Highs()
    solver.setOptionValue("output_flag", False)  # noqa: FBT003 (the solver's own signature)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("random_seed", 0)
    solver.setOptionValue("time_limit", time_limit_seconds)
    solver.setOptionValue("mip_rel_gap", gap)
    return solver
