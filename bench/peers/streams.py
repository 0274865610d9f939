#!/usr/bin/env python3
"""Thalweg beside stream processors: Apache Flink and clink on the seed query, a timely dataflow on a running GROUP BY.

    python3 -m venv /tmp/flink && /tmp/flink/bin/pip install apache-flink==2.3.0              # needs a Java runtime, 11 or 17
    python3 -m venv /tmp/clink && /tmp/clink/bin/pip install pyclink==0.12.2 pyarrow
    cargo build --release --manifest-path bench/peers/timely/Cargo.toml --target-dir target/timely
    /tmp/peers/bin/python bench/peers/streams.py --flink /tmp/flink/bin/python --clink /tmp/clink/bin/python \\
        --timely target/timely/release/running-groups

Who is not installed is left out, with a line. Two slots, or two workers, on the same two cores. Flink runs the same SQL over the
same CSV (without its header, which it cannot skip) into a blackhole, several times in one JVM: the first is cold, the last is
warm; its time is the job's own, without planning and deployment. clink has no CSV in its wheel: it reads the same rows from
two files of Parquet, with times as numbers and the product already computed, so it is spared what costs Thalweg most.
Thalweg is timed as a whole process over the CSV. The timely dataflow reads the CSV too, and is written for these columns alone.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import agreement
import data
from contenders import HERE, Bench, Failed, Thalweg, measured
from jobs import BY_NAME

RUNNING = """
SET 'execution.runtime-mode' = 'streaming';
SET 'table.exec.mini-batch.enabled' = '{mini_batch}';
SET 'table.exec.mini-batch.allow-latency' = '1 s';
SET 'table.exec.mini-batch.size' = '5000';
CREATE TABLE trades (trader_id STRING, symbol STRING, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3))
  WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
CREATE TABLE answers (trader_id STRING, symbol STRING, n BIGINT, ap DOUBLE, sq BIGINT, spq DOUBLE) WITH ('connector' = 'blackhole');
INSERT INTO answers SELECT trader_id, symbol, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity)
FROM trades GROUP BY trader_id, symbol;
"""


def main():
    arguments = parse_arguments()
    job = BY_NAME["seed"]
    path = data.make(arguments.data, job.file, arguments.thalweg, arguments.shrink)
    rows = data.rows_of(job.file, arguments.shrink)
    with tempfile.TemporaryDirectory(dir=arguments.data) as scratch:
        cores = frozenset(int(core) for core in arguments.cores.split(","))
        bench = Bench(arguments.data, Path(scratch), arguments.thalweg, arguments.thalweg_bench, cores)
        print("| job | engine | median s | all s | M rows/s | peak MiB | × Thalweg | goal |")
        print("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |")
        if arguments.flink or arguments.clink:
            seed(job, bench, arguments, rows)
        if arguments.timely:
            running(path, bench, arguments, rows)
    for name in ("flink", "clink", "timely"):
        if not getattr(arguments, name):
            print(f"{name}: not given, left out", file=sys.stderr)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/tmp/thalweg-peers"), help="directory of the files")
    parser.add_argument("--shrink", type=int, default=1, metavar="N", help="files of an N-th of the rows")
    parser.add_argument("--thalweg", default="target/release/thalweg")
    parser.add_argument("--thalweg-bench", default="target/release/thalweg-bench")
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flink", help="a Python with apache-flink")
    parser.add_argument("--clink", help="a Python with pyclink and pyarrow")
    parser.add_argument("--timely", help="the program of bench/peers/timely")
    return parser.parse_args()


def seed(job, bench, arguments, rows):
    ours = Thalweg("streaming", 2)
    # The first has brought the file into the page cache.
    runs = [ours.run(job, bench) for _ in range(2 * arguments.rounds + 2)][1:]
    title = "seed query, 200 keys"
    base = row(title, "Thalweg, whole process, CSV", [run.seconds for run in runs], rows, runs[0].peak_mib)
    expected = runs[0].totals
    if arguments.flink:
        headless = bench.scratch / "headless.csv"
        with open(bench.data / job.file, "rb") as source, open(headless, "wb") as target:
            source.readline()
            while block := source.read(1 << 20):
                target.write(block)
        source, *_, query = job.script("streaming", headless).split(";\n")[1:-1]
        child(title, "Flink, CSV, warm", [arguments.flink, "flink", source, query, str(arguments.rounds)], bench, rows, base, 100)
    if arguments.clink:
        parts = parquet_parts(bench)
        command = [arguments.clink, "clink", str(parts), str(arguments.rounds)]
        answer = child(title, "clink, Parquet", command, bench, rows, base, 20)
        # Its windows come without their bounds.
        mine = [expected[0], *expected[5:]]
        if answer and not all(agreement.same(one, other) for one, other in zip(mine, answer["totals"], strict=True)):
            print(f"clink: another answer: {answer['totals']}, not {mine}", file=sys.stderr)


def running(path, bench, arguments, rows):
    title = "running GROUP BY, 200 keys, changelog"
    totals, seconds, peak = None, [], 0
    ours = {False: [], True: []}
    for _ in range(arguments.rounds):
        took, mib, printed = measured([arguments.timely, str(path), "2"], bench.cores)
        answer = json.loads(printed)
        seconds.append(took)
        peak, totals = max(peak, mib), answer["totals"]
        if answer["updates"] != rows:
            sys.exit(f"timely made {answer['updates']} updates of {rows} rows")
        for mini_batch, times in ours.items():
            script = bench.scratch / "running.sql"
            script.write_text(RUNNING.format(mini_batch=str(mini_batch).lower(), path=path))
            try:
                times.append(measured([bench.thalweg, "run", "--quiet", "--workers", "2", str(script)], bench.cores)[:2])
            except Failed as failure:
                print(f"Thalweg, mini-batch {mini_batch}: {failure}", file=sys.stderr)
    base = row(title, "timely, hand-written, whole process", seconds, rows, peak)
    for mini_batch, times in ours.items():
        if times:
            name = "Thalweg, mini-batches of 5,000" if mini_batch else "Thalweg, one update per row"
            median = statistics.median(took for took, _ in times)
            line = [f"{took:.2f}" for took, _ in times]
            print(f"| {title} | {name} | {median:.3f} | {' '.join(line)} | {rows / median / 1e6:.1f} "
                  f"| {max(mib for _, mib in times):.0f} | rate of timely × {base / median:.2f} | 1 |")
    job = BY_NAME["groups-csv"]
    sql = job.script("batch", path)
    script = bench.scratch / "groups.sql"
    script.write_text(sql)
    sums = json.loads(measured([bench.thalweg_bench, "job", str(script)], bench.cores)[2])
    expected = agreement.totals(sums, job.result)
    verdict = agreement.differing(expected, totals, job.result)
    print(f"timely: last updates of all groups {'differ: ' + verdict if verdict else 'equal'}", file=sys.stderr)


def child(title, label, command, bench, rows, base, goal):
    """Runs an engine of its own Python; its answer, if it gave one."""
    python, engine, *rest = command
    try:
        _, peak_mib, printed = measured([python, str(HERE / "stream_engines.py"), engine, *rest], bench.cores)
    except (Failed, OSError) as failure:
        print(f"{engine}: left out: {failure}", file=sys.stderr)
        return None
    answer = json.loads(printed.splitlines()[-1])
    if engine == "flink":
        # Its memory is that of a JVM which this process does not see; its last job is the warm one.
        row(title, label, answer["seconds"], rows, None, base, goal, answer["seconds"][-1])
    else:
        row(title, label, answer["seconds"], rows, peak_mib, base, goal)
    return answer


def row(title, label, seconds, rows, peak_mib, base=None, goal=None, typical=None):
    typical = typical or statistics.median(seconds)
    ratio = f"{typical / base:.1f}" if base else "1.0"
    times = " ".join(f"{second:.2f}" for second in seconds)
    peak = f"{peak_mib:.0f}" if peak_mib else ""
    print(f"| {title} | {label} | {typical:.3f} | {times} | {rows / typical / 1e6:.2f} | {peak} | {ratio} | {goal or ''} |",
          flush=True)
    return typical


def parquet_parts(bench):
    """The rows in two files: of one, clink at parallelism 2 counts each row twice."""
    parts = bench.scratch / "parts"
    parts.mkdir()
    source = data.CSV.format(bench.data / "t200.csv", "TIMESTAMP_MS")
    columns = "trader_id, symbol, price, quantity, epoch_ms(trade_time) AS trade_time, price * quantity AS turnover"
    data.duckdb(f"CREATE TEMP TABLE t AS SELECT {columns} FROM {source};" + ";".join(
        f"COPY (SELECT * FROM t WHERE rowid % 2 = {half} ORDER BY rowid) TO '{parts}/part-{half}.parquet' (FORMAT parquet)"
        for half in (0, 1)
    ))
    return parts


if __name__ == "__main__":
    os.chdir(HERE.parent.parent)
    main()
