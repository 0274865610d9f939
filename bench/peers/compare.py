#!/usr/bin/env python3
"""The seed query on one CSV of trades: Thalweg beside DuckDB, Polars and DataFusion, alternating, answers compared.

    python3 -m venv /tmp/venv-peers && /tmp/venv-peers/bin/pip install duckdb==2.0.0 polars==2.1.0 datafusion==55.0.0
    cargo build --release
    target/release/thalweg gen trades --rows 10000000 > /tmp/trades.csv
    /tmp/venv-peers/bin/python bench/peers/compare.py /tmp/trades.csv --rounds 7

What is timed. Thalweg: the whole process, from its start to its exit, in streaming mode. The others: the query alone, in a fresh
process each time, after start-up, imports and the connection: from the first call that names the file to the last byte
of the result. Everybody has two threads, is held to the same two cores, is told the schema, and writes the result as CSV to a
file. Rounds alternate between the engines, so that a noisy moment of the machine meets all of them; the first round warms the
page cache and is not counted. Answers are compared: keys and integers exactly, doubles to 1e-9.

What is not claimed. The others answer a query over a file; only Thalweg reads the rows as a stream, with a watermark. Peak
memory is that of the process, the Python interpreter of the peers (about 40 MB) included.
"""

import argparse
import csv
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
QUERY = """
SELECT trader_id, symbol, window_start, window_end, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity)
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(trade_time), INTERVAL '1' MINUTE))
GROUP BY trader_id, symbol, window_start, window_end;
"""
DDL = """
SET 'execution.runtime-mode' = '{mode}';
CREATE TABLE trades (
    trader_id STRING, symbol STRING, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3),
    WATERMARK FOR trade_time AS trade_time - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
"""


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--peer":
        print(PEERS[sys.argv[2]](sys.argv[3], sys.argv[4]))
        return
    arguments = parse_arguments()
    engines = [name for name in ("thalweg", *PEERS) if name in arguments.engines.split(",")]
    print_conditions(arguments)
    seconds = {name: [] for name in engines}
    peak_mib = dict.fromkeys(engines, 0.0)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as directory:
        for number in range(arguments.rounds + 1):
            for name in engines:
                took, mib = run(name, arguments, Path(directory))
                if number:
                    seconds[name].append(took)
                peak_mib[name] = max(peak_mib[name], mib)
            if number:
                print(f"round {number}: " + ", ".join(f"{name} {seconds[name][-1]:.3f} s" for name in engines), flush=True)
        is_equal = print_comparison(engines, Path(directory))
    print_summary(engines, seconds, peak_mib, arguments)
    sys.exit(0 if is_equal else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trades", help="the CSV file, with a header: trader_id,symbol,price,quantity,trade_time")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--thalweg", default="target/release/thalweg", help="the binary")
    parser.add_argument("--mode", default="streaming", choices=["streaming", "batch"], help="Thalweg's runtime mode")
    parser.add_argument("--engines", default=",".join(["thalweg", *PEERS]), help="those to run, separated by commas")
    parser.add_argument("--cores", default="0,1", help="cores that everybody is held to")
    parser.add_argument("--scratch", help="directory for results (default: the system's)")
    return parser.parse_args()


def run(name, arguments, directory):
    """Seconds and peak memory in MiB of one run; the result lies in `directory` under the engine's name."""
    result = directory / f"{name}.csv"
    result.unlink(missing_ok=True)
    if name == "thalweg":
        script = directory / "seed.sql"
        script.write_text(DDL.format(mode=arguments.mode, path=os.path.abspath(arguments.trades)) + QUERY)
        with open(result, "wb") as output:
            return measured(
                [arguments.thalweg, "run", "--workers", str(THREADS), "--format", "csv", str(script)], arguments, output
            )
    command = [sys.executable, __file__, "--peer", name, arguments.trades, str(result)]
    with tempfile.TemporaryFile(dir=directory) as output:
        _, mib = measured(command, arguments, output)
        output.seek(0)
        return float(output.read()), mib


def measured(command, arguments, output):
    """Runs a process to its end: seconds of wall clock, peak memory in MiB."""
    cores = {int(core) for core in arguments.cores.split(",")}
    environment = dict(os.environ, POLARS_MAX_THREADS=str(THREADS), TOKIO_WORKER_THREADS=str(THREADS))
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with {process.returncode}:\n{errors.decode(errors='replace')}")
    return took, usage.ru_maxrss / 1024


def duckdb_seconds(trades, result):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}; SET preserve_insertion_order = false")
    started = time.perf_counter()
    connection.execute(f"""
        COPY (
            SELECT trader_id, symbol, date_trunc('minute', trade_time) AS window_start,
                   date_trunc('minute', trade_time) + INTERVAL 1 MINUTE AS window_end,
                   count(*), avg(price), sum(quantity), sum(price * quantity)
            FROM read_csv('{trades}', header = true, auto_detect = false, delim = ',', quote = '"', columns = {{
                'trader_id': 'VARCHAR', 'symbol': 'VARCHAR', 'price': 'DOUBLE', 'quantity': 'BIGINT',
                'trade_time': 'TIMESTAMP'}})
            GROUP BY ALL
        ) TO '{result}' (HEADER)
    """)
    return time.perf_counter() - started


def polars_seconds(trades, result):
    import polars as pl

    # Polars reads a time as text; parsing it with its exact format is the fastest of its ways.
    schema = {"trader_id": pl.String, "symbol": pl.String, "price": pl.Float64, "quantity": pl.Int64, "trade_time": pl.String}
    started = time.perf_counter()
    time_column = pl.col("trade_time").str.to_datetime("%Y-%m-%d %H:%M:%S%.3f", time_unit="ms", strict=True)
    rows = pl.scan_csv(trades, has_header=True, schema=schema)
    rows = rows.with_columns(time_column.dt.truncate("1m").alias("window_start"))
    groups = rows.group_by("trader_id", "symbol", "window_start").agg(
        pl.len().alias("count"),
        pl.col("price").mean().alias("avg"),
        pl.col("quantity").sum().alias("sum"),
        (pl.col("price") * pl.col("quantity")).sum().alias("volume"),
    )
    columns = ["trader_id", "symbol", "window_start", "window_end", "count", "avg", "sum", "volume"]
    groups = groups.with_columns((pl.col("window_start") + pl.duration(minutes=1)).alias("window_end")).select(columns)
    groups.sink_csv(result, engine="streaming")
    return time.perf_counter() - started


def datafusion_seconds(trades, result):
    import datafusion
    import pyarrow as pa

    config = datafusion.SessionConfig().with_target_partitions(THREADS)
    context = datafusion.SessionContext(config)
    schema = pa.schema([
        ("trader_id", pa.string_view()), ("symbol", pa.string_view()), ("price", pa.float64()), ("quantity", pa.int64()),
        ("trade_time", pa.timestamp("ms")),
    ])
    started = time.perf_counter()
    context.register_csv("trades", trades, schema=schema, has_header=True)
    context.sql(f"""
        COPY (
            SELECT trader_id, symbol, w AS window_start, w + INTERVAL '1 minute' AS window_end,
                   count(*), avg(price), sum(quantity), sum(price * quantity)
            FROM (SELECT *, date_trunc('minute', trade_time) AS w FROM trades)
            GROUP BY trader_id, symbol, w
        ) TO '{result}' STORED AS CSV OPTIONS ('format.has_header' 'true')
    """).collect()
    return time.perf_counter() - started


PEERS = {"duckdb": duckdb_seconds, "polars": polars_seconds, "datafusion": datafusion_seconds}


def print_comparison(engines, directory):
    """Whether all engines gave the same rows."""
    first, *others = engines
    expected = answers(directory / f"{first}.csv")
    is_equal = True
    for name in others:
        actual = answers(directory / f"{name}.csv")
        verdict = "equal" if expected.keys() == actual.keys() else "other keys"
        for key in expected.keys() & actual.keys():
            if not all(map(is_same, expected[key], actual[key])):
                verdict = f"{key}: {first} {expected[key]}, {name} {actual[key]}"
                break
        is_equal &= verdict == "equal"
        print(f"answers: {first} and {name}, {len(expected)} rows: {verdict}")
    return is_equal


def answers(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return {(row[0], row[1], minute(row[2]), minute(row[3])): row[4:] for row in rows}


def minute(text):
    return text.replace("T", " ")[:16]


def is_same(left, right):
    return left == right or math.isclose(float(left), float(right), rel_tol=1e-9)


def print_conditions(arguments):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    versions = []
    for name in PEERS:
        if name in arguments.engines.split(","):
            versions.append(f"{name} {__import__(name).__version__}")
    mb = os.path.getsize(arguments.trades) / 1e6
    print(f"machine: {cpu}, {os.cpu_count()} cores, held to {arguments.cores}; {platform.system()} {platform.release()}")
    print(f"thalweg: commit {commit or 'unknown'}, {arguments.mode} mode; {', '.join(versions)}")
    print(f"input: {arguments.trades}, {mb:.1f} MB; {arguments.rounds} rounds after one that warms up")


def print_summary(engines, seconds, peak_mib, arguments):
    with open(arguments.trades, "rb") as file:
        rows = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
    base = statistics.median(seconds[engines[0]])
    print(f"{'':12}{'median':>9}{'least':>9}{'most':>9}{'M rows/s':>10}{'peak MiB':>10}   × {engines[0]}")
    for name in engines:
        median = statistics.median(seconds[name])
        print(
            f"{name:12}{median:9.3f}{min(seconds[name]):9.3f}{max(seconds[name]):9.3f}"
            f"{rows / median / 1e6:10.2f}{peak_mib[name]:10.0f}   {median / base:.2f}"
        )


if __name__ == "__main__":
    main()
