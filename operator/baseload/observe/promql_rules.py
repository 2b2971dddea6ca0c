"""What a query written by an admin must be like: one row per workload, and no more of Prometheus than it needs."""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, MatchOp, MatrixSelector, ParenExpr, VectorSelector

LONGEST_RANGE = timedelta(hours=1)
MOST_SELECTORS = 40
DEEPEST = 100

WHOLE = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def check_query(promql: str, labels: frozenset[str], required: frozenset[str], grouping: str) -> None:
    """Refuse a query in words by ValueError.

    Its result must have exactly `labels` (`grouping` is how to write that); every selector must name its metric and
    match the labels in `required`, `up` alone may stand without. Ranges and offsets are at most an hour, and there are
    no subqueries.
    """
    if _depth(promql) > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} deep; write it flatter")
    try:
        parsed = promql_parser.parse(promql)
    except ValueError as error:
        raise ValueError(f"is no PromQL: {str(error)[:200]}") from error
    _check_cost(parsed, required)
    if _labels(parsed) != labels:
        raise ValueError(f"does not give one row per ({grouping}); aggregate as in sum by ({grouping}) (...)")


def _depth(promql: str) -> int:
    """How deep parentheses go; the parser is recursive."""
    deepest = depth = 0
    for character in promql:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _check_cost(parsed: promql_parser.Expr, required: frozenset[str]) -> None:
    selectors = 0
    for node in _nodes(parsed):
        if isinstance(node, promql_parser.SubqueryExpr):
            why = "contains a subquery, which Prometheus evaluates many times; use a range instead"
            raise ValueError(why)  # noqa: TRY004 - the text is wrong, not a type
        if isinstance(node, MatrixSelector) and node.range > LONGEST_RANGE:
            raise ValueError(f"looks back {node.range}; at most an hour is allowed")
        if isinstance(node, VectorSelector):
            selectors += 1
            _check_selector(node, required)
    if not 0 < selectors <= MOST_SELECTORS:
        raise ValueError(f"has {selectors} selectors; 1 to {MOST_SELECTORS} are allowed")


def _check_selector(selector: VectorSelector, required: frozenset[str]) -> None:
    matchers = list(selector.matchers.matchers)
    names = [matcher for matcher in matchers if matcher.name == "__name__"]
    name = selector.name or next((m.value for m in names if m.op == MatchOp.Equal), "")
    if not WHOLE.fullmatch(name) or selector.matchers.or_matchers:
        raise ValueError(
            f"selects {selector.prettify()}; name the metric: a selector over all metrics is too expensive"
        )
    if selector.at is not None or (selector.offset is not None and abs(selector.offset) > LONGEST_RANGE):
        raise ValueError(f"shifts {name} in time by more than an hour; use a shorter offset")
    missing = required - {matcher.name for matcher in matchers}
    if missing and name != "up":
        raise ValueError(f"selects {name} without ${{labelled}}; write {name}{{${{labelled}}}}")


def _nodes(parsed: promql_parser.Expr) -> Iterator[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(parsed, pre_visit=found.append)
    yield from found


def _labels(node: promql_parser.Expr) -> frozenset[str] | None:
    """The labels of a result; empty for a number, None when they are those of the series or cannot be known."""
    if isinstance(node, AggregateExpr):
        return _of_aggregation(node)
    if isinstance(node, ParenExpr | promql_parser.UnaryExpr):
        return _labels(node.expr)
    if isinstance(node, promql_parser.NumberLiteral):
        return frozenset()
    if isinstance(node, BinaryExpr):
        return _of_operation(node)
    if isinstance(node, Call) and node.func.name not in ("label_replace", "label_join", "vector", "absent"):
        vectors = [_labels(argument) for argument in node.args if not isinstance(argument, promql_parser.NumberLiteral)]
        return vectors[0] if len(vectors) == 1 else None
    return None


def _of_aggregation(node: AggregateExpr) -> frozenset[str] | None:
    modifier = node.modifier
    if str(node.op) in ("topk", "bottomk", "limitk", "limit_ratio", "count_values"):
        return None
    if modifier is None:
        return frozenset()
    by = modifier.type == promql_parser.AggModifierType.By
    return frozenset(modifier.labels) if by else None


def _of_operation(node: BinaryExpr) -> frozenset[str] | None:
    left, right = _labels(node.lhs), _labels(node.rhs)
    operator = str(node.op)
    if operator in ("and", "unless"):
        return left
    if operator == "or":
        return left if left == right else None
    if left is None or right is None:
        return None
    if not left or not right:
        # A number beside a vector; an aggregation without labels beside one must be matched `on ()`.
        return left | right if _is_number(node.lhs) or _is_number(node.rhs) else None
    return left if left == right and node.modifier is None else None


def _is_number(node: promql_parser.Expr) -> bool:
    if isinstance(node, ParenExpr | promql_parser.UnaryExpr):
        return _is_number(node.expr)
    if isinstance(node, BinaryExpr):
        return _is_number(node.lhs) and _is_number(node.rhs)
    return isinstance(node, promql_parser.NumberLiteral)
