"""Makes the files that are read: CSV by `thalweg gen`, the same rows as NDJSON and Parquet by DuckDB.

Parquet has DuckDB's default of 122,880 rows in a row group. A file that is there already is left alone.
"""

import os
import subprocess
import sys
from pathlib import Path

# Name without suffix: arguments of `thalweg gen`, and rows.
GENERATED = {
    "t200": (["trades", "--traders", "20", "--symbols", "10"], 10_000_000),
    "t1m": (["trades", "--traders", "100000", "--symbols", "10"], 10_000_000),
    "tzipf": (["trades", "--traders", "100000", "--symbols", "10", "--zipf", "1.1"], 10_000_000),
    "stations": (["measurements"], 50_000_000),
}
CSV = "read_csv('{}', header = true, auto_detect = false, delim = ',', columns = {{'trader_id': 'VARCHAR', 'symbol': 'VARCHAR', " \
    "'price': 'DOUBLE', 'quantity': 'BIGINT', 'trade_time': '{}'}})"


def make(directory, name, thalweg, shrink=1):
    """Makes the file `name` in `directory` unless it is there; `shrink` divides its rows."""
    path = Path(directory) / name
    if path.exists():
        return path
    stem, kind = name.rsplit(".", 1)
    base, _, codec = stem.partition("-")
    if kind == "csv":
        arguments, rows = GENERATED[base]
        unfinished = path.with_suffix(".part")
        command = [thalweg, "gen", *arguments, "--rows", str(rows // shrink), "--seed", "42", "--out", str(unfinished)]
        print(f"making {path}: {' '.join(command[1:])}", flush=True)
        subprocess.run(command, check=True)
        os.rename(unfinished, path)
        return path
    source = make(directory, f"{base}.csv", thalweg, shrink)
    # A time in JSON is a string, and stays as it is written.
    rows = CSV.format(source, "TIMESTAMP_MS" if kind == "parquet" else "VARCHAR")
    options = f"FORMAT parquet, COMPRESSION {codec}" if kind == "parquet" else "FORMAT json"
    unfinished = path.with_suffix(".part")
    print(f"making {path}: COPY … TO … ({options})", flush=True)
    duckdb(f"COPY (SELECT * FROM {rows}) TO '{unfinished}' ({options})")
    os.rename(unfinished, path)
    return path


def rows_of(name, shrink=1):
    return GENERATED[name.split(".")[0].split("-")[0]][1] // shrink


def duckdb(sql):
    """Runs a statement in a process of its own: the peak memory of a process includes that of the one which started it."""
    program = "import duckdb, sys; duckdb.connect().execute(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, sql], check=True)
