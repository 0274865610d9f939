"""Whether two engines answer the same: whole numbers and texts exactly, doubles to 1e-9 of their size."""

import math


def totals(sums, result):
    """Rows, then one number for each column: what peers print of a timed run."""
    kinds = [kind for _, kind in result]
    columns = [column["length"] if kind == "text" else column["sum"] for column, kind in zip(sums["columns"], kinds)]
    return [sums["rows"], *(int(value) if isinstance(value, str) else value for value in columns)]


def differing(left, right, result):
    """In words, the first total in which two results differ; None if there is none."""
    for (name, _), one, other in zip([("rows", "whole"), *result], left, right, strict=True):
        if not same(one, other):
            return f"{name}: {one} and {other}"
    return None


def difference(left, right):
    """In words, the first sum in which two results differ; None if there is none."""
    if left["rows"] != right["rows"]:
        return f"{left['rows']} and {right['rows']} rows"
    for one, other in zip(left["columns"], right["columns"], strict=True):
        for key in ("nulls", "sum", "length", "bytes", "weighted_whole", "weighted_double"):
            if key in one and key in other and not same(one[key], other[key]):
                return f"{one['name']}: {key} {one[key]} and {other[key]}"
    return None


def same(left, right):
    if isinstance(left, float) or isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9)
    return left == right
