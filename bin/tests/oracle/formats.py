#!/usr/bin/env python3
"""The same files, read by DuckDB, Polars and Thalweg: values of every type, in every format, both ways.

    python3 bin/tests/oracle/formats.py BINARY [ROWS]

DuckDB writes a random table as CSV, JSON lines and Parquet, and Polars writes it as Parquet; Thalweg reads each and must
give the rows that went in. Then Thalweg writes the table in each format, and DuckDB must read the same rows. Needs the
packages duckdb, polars and pyarrow.
"""

import datetime
import decimal
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb
import polars

# Name, type in Thalweg, type in DuckDB.
COLUMNS = [
    ("a", "BOOLEAN", "BOOLEAN"),
    ("b", "TINYINT", "TINYINT"),
    ("c", "SMALLINT", "SMALLINT"),
    ("d", "INT", "INTEGER"),
    ("e", "BIGINT", "BIGINT"),
    ("f", "DOUBLE", "DOUBLE"),
    ("g", "DECIMAL(9, 2)", "DECIMAL(9, 2)"),
    ("h", "DECIMAL(38, 10)", "DECIMAL(38, 10)"),
    ("i", "STRING", "VARCHAR"),
    ("j", "DATE", "DATE"),
    ("k", "TIMESTAMP(6)", "TIMESTAMP"),
    ("l", "ARRAY<INT>", "INTEGER[]"),
    ("m", "ROW<x INT, y STRING>", "STRUCT(x INTEGER, y VARCHAR)"),
]
# Enough for every digit of a DECIMAL.
decimal.getcontext().prec = 60
SCALARS = [column for column in COLUMNS if not column[1].startswith(("ARRAY", "ROW"))]
PIECES = ["a", '"', ",", "\\", "\n", "\t", " ", "ä", "😀", "'", "longer than twelve bytes"]


def value(kind, rng):
    """A random value, one in six NULL."""
    if rng.random() < 1 / 6:
        return None
    day = datetime.date(1, 1, 1) + datetime.timedelta(days=rng.randrange(3_652_059))
    if kind == "BOOLEAN":
        return rng.random() < 0.5
    bits = {"TINYINT": 7, "SMALLINT": 15, "INT": 31, "BIGINT": 63}.get(kind)
    if bits:
        return rng.choice([-(1 << bits), (1 << bits) - 1, 0, rng.randrange(-(1 << bits), 1 << bits)])
    if kind == "DOUBLE":
        return rng.choice([0.1, -1e300, 5e-324, 1e23, rng.uniform(-1e9, 1e9)])
    if kind.startswith("DECIMAL"):
        digits, scale = (9, 2) if "9" in kind else (38, 10)
        whole = rng.choice([10**digits - 1, 1 - 10**digits, rng.randrange(10**digits), 1])
        return decimal.Decimal(whole).scaleb(-scale)
    if kind == "STRING":
        return "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 5)))
    if kind == "DATE":
        return day
    if kind.startswith("TIMESTAMP"):
        return datetime.datetime.combine(day, datetime.time(rng.randrange(24), rng.randrange(60), 7, rng.randrange(10**6)))
    if kind.startswith("ARRAY"):
        return [value("INT", rng) for _ in range(rng.randrange(4))]
    return {"x": value("INT", rng), "y": value("STRING", rng)}


def plain(shown):
    """A value as both sides can show it."""
    if isinstance(shown, bool) or shown is None:
        return shown
    if isinstance(shown, (int, float, decimal.Decimal)):
        number = float(shown)
        return "NaN" if math.isnan(number) else decimal.Decimal(str(shown)).normalize() if number else decimal.Decimal(0)
    if isinstance(shown, datetime.datetime):
        return shown.isoformat(sep=" ", timespec="microseconds")
    if isinstance(shown, datetime.date):
        return shown.isoformat()
    if isinstance(shown, list):
        return [plain(element) for element in shown]
    if isinstance(shown, dict):
        return {name: plain(field) for name, field in shown.items()}
    return shown


def of_thalweg(kind, shown):
    """A value of a JSON result as the same."""
    if shown is None:
        return None
    if kind.startswith("DECIMAL"):
        return plain(decimal.Decimal(str(shown)))
    if kind.startswith("TIMESTAMP"):
        return plain(datetime.datetime.fromisoformat(shown))
    return plain(shown)


def thalweg(binary, sql):
    """The rows of the last SELECT."""
    done = subprocess.run([binary, "run", "--quiet", "--format", "json", "-e", sql], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{sql}\n{done.stderr}")
    return [json.loads(line, parse_float=decimal.Decimal) for line in done.stdout.splitlines()]


def table(name, path, kind, columns):
    """The DDL of a table over a file."""
    listed = ", ".join(f"{column} {sql}" for column, sql, _ in columns)
    extra = {
        "csv": ", 'csv.null-literal' = '\\N'",
        # DuckDB reads no exponents into a DECIMAL.
        "json": ", 'json.encode.decimal-as-plain-number' = 'true'",
    }.get(kind, "")
    return f"CREATE TABLE {name} ({listed}) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = '{kind}'{extra});"


def same(what, found, expected):
    """Says whether two lists of rows are equal, and where not."""
    for row, (left, right) in enumerate(zip(found, expected, strict=True)):
        if left != right:
            raise SystemExit(f"{what}: row {row} is {left}, not {right}")
    print(f"{what}: {len(expected)} rows agree")


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    rng = random.Random(7)
    rows = [tuple(value(kind, rng) for _, kind, _ in COLUMNS) for _ in range(count)]
    database = duckdb.connect()
    database.execute(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, _, kind in COLUMNS)})")
    database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        names = ", ".join(name for name, _, _ in SCALARS)
        database.execute(f"COPY (SELECT {names} FROM t) TO '{scratch}/duckdb.csv' (FORMAT csv, NULLSTR '\\N')")
        database.execute(f"COPY t TO '{scratch}/duckdb.json' (FORMAT json, TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S.%f')")
        database.execute(f"COPY t TO '{scratch}/duckdb.parquet' (FORMAT parquet)")
        polars.read_parquet(scratch / "duckdb.parquet").write_parquet(scratch / "polars.parquet")
        for source, kind in [("duckdb", "csv"), ("duckdb", "json"), ("duckdb", "parquet"), ("polars", "parquet")]:
            columns = SCALARS if kind == "csv" else COLUMNS
            path = scratch / f"{source}.{kind}"
            found = thalweg(binary, f"{table('t', path, kind, columns)} SELECT * FROM t;")
            found = [tuple(of_thalweg(sql, row[name]) for name, sql, _ in columns) for row in found]
            places = [COLUMNS.index(column) for column in columns]
            same(f"{kind} of {source}", found, [tuple(plain(row[place]) for place in places) for row in rows])
            for to in ["csv", "json", "parquet"]:
                columns = SCALARS if "csv" in (kind, to) else COLUMNS
                written = scratch / f"thalweg-{source}-{kind}.{to}"
                given = table("t", path, kind, SCALARS if kind == "csv" else COLUMNS)
                listed = ", ".join(name for name, _, _ in columns)
                thalweg(binary, f"{given} {table('u', written, to, columns)} INSERT INTO u SELECT {listed} FROM t;")
                # DuckDB reads numbers of JSON as DOUBLE, whatever they are to become.
                wide = {"h": "DOUBLE"} if to == "json" else {}
                types = ", ".join(f"'{name}': '{wide.get(name, sql)}'" for name, _, sql in columns)
                reader = {
                    "csv": f"read_csv('{written}', columns = {{{types}}}, header = false, nullstr = '\\N', quote = '\"', escape = '\"')",
                    "json": f"read_json('{written}', columns = {{{types}}}, format = 'newline_delimited')",
                    "parquet": f"read_parquet('{written}')",
                }[to]
                back = [tuple(plain(shown) for shown in row) for row in database.execute(f"SELECT * FROM {reader}").fetchall()]
                places = [COLUMNS.index(column) for column in columns]
                narrow = lambda place, value: float(value) if wide and COLUMNS[place][0] == "h" and value is not None else value
                expected = [tuple(plain(narrow(place, row[place])) for place in places) for row in rows]
                same(f"{kind} of {source}, as {to} of thalweg", back, expected)


if __name__ == "__main__":
    main()
