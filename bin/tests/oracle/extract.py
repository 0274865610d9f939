#!/usr/bin/env python3
"""Cuts the extracts of flights.csv that the repository ships, and writes the sample of trades.

    python3 bin/tests/oracle/extract.py flights.csv        # from the root of the repository

flights.csv is the table `flights` of nycflights13 (CC0) as CSV: 336,776 rows, `NA` for a missing value, months in the
order 1, 10, 11, 12, 2 … 9. Every extract keeps the bytes of the rows it takes; only `in_order` changes their order.
Needs Python 3.9 or later, nothing else.
"""

import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples"
DATA = ROOT / "bin" / "tests" / "data"

# Whole days, as (month, first day, last day): two weeks of winter, then, later in the file, summer days around a holiday.
DEMO_DAYS = [(1, 1, 14), (10, 1, 5), (7, 1, 5)]
DEMO_BYTES_MAX = 2 * 1024 * 1024
# Every n-th row of the year: all months, 15 of the 16 carriers, NULLs in every column that has any.
STRIDE = 181


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        header, *rows = file.read().splitlines(keepends=True)

    demo = [row for row in rows if is_demo_day(row)]
    write(EXAMPLES / "flights.csv", header, demo)
    assert (EXAMPLES / "flights.csv").stat().st_size <= DEMO_BYTES_MAX

    spread = rows[::STRIDE]
    write(DATA / "flights.csv", header, spread)
    # `sorted` is stable: flights of the same minute stay in the order of the file.
    write(DATA / "flights_in_order.csv", header, sorted(spread, key=departure))

    header, trades = trade_rows(seed=7, count=400)
    write(EXAMPLES / "trades.csv", header, trades)
    header, trades = trade_rows(seed=11, count=1500)
    write(DATA / "trades.csv", header, trades)


def is_demo_day(row):
    month, day = (int(field) for field in row.split(",")[1:3])
    return any(month == m and first <= day <= last for m, first, last in DEMO_DAYS)


def departure(row):
    """Scheduled departure, in New York's own time: year, month, day, hour, minute."""
    fields = row.split(",")
    return tuple(int(fields[column]) for column in (0, 1, 2, 16, 17))


def trade_rows(seed, count):
    """Trades of 4 traders in 3 symbols, about one in 2 s, each up to 4 s later in the file than its time says."""
    rng = random.Random(seed)
    start_ms = 1_704_103_200_000  # 2024-01-01 10:00:00 UTC
    arrivals, now_ms = [], start_ms
    for _ in range(count):
        now_ms += rng.randrange(1, 4000)
        trader, symbol = f"T{rng.randrange(1, 5):03}", rng.choice(["ACME", "INIT", "ZEUS"])
        price, quantity = rng.randrange(1_000, 50_000) / 100, rng.randrange(1, 1_000)
        arrivals.append((now_ms + rng.randrange(0, 4000), now_ms, trader, symbol, price, quantity))
    arrivals.sort()
    rows = [f"{t},{s},{p:.2f},{q},{clock(ms)}\n" for _, ms, t, s, p, q in arrivals]
    return "trader_id,symbol,price,quantity,trade_time\n", rows


def clock(ms):
    """`ms` of Unix time as yyyy-MM-dd HH:mm:ss.SSS; every sample lies within one day."""
    day_ms = ms - 1_704_067_200_000  # 2024-01-01 00:00:00 UTC
    assert 0 <= day_ms < 86_400_000
    seconds = day_ms // 1000
    return f"2024-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{day_ms % 1000:03}"


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(header)
        file.writelines(rows)
    print(f"{path.relative_to(ROOT)}: {len(rows)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
