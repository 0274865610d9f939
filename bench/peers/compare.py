#!/usr/bin/env python3
"""Thalweg beside DuckDB, Polars, chDB and DataFusion, on the same files, with the answers compared.

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install duckdb==2.0.0 polars==2.1.0 chdb==4.4.0 datafusion==55.0.0 pyarrow numpy
    cargo build --release -p thalweg -p thalweg-bench
    P="/tmp/peers/bin/python bench/peers/compare.py --data /tmp/peers/data"
    $P data                                    # makes the files, 3.6 GB
    $P check                                   # every answer of every engine, value by value
    $P time --rounds 5 --json /tmp/peers.json  # rounds are added to those of the file
    $P tables --json /tmp/peers.json           # as Markdown

What is timed. Thalweg: the whole process, from its start to its exit. The others: the query alone, in a fresh process each
time, after start-up, imports and the connection: from the first call that names the file to the last sum. Everybody has
two threads, is held to the same two cores, is told the schema, and sums each column of the result (integers exactly, the
lengths of texts, times in ms), or writes it as CSV where the job says so. The peers sum in their own engine, which is the
fastest of their ways: fetching 9.7 M rows takes DuckDB longer than the query. Rounds alternate between the engines, and
the ratio is the median of the ratios within each round, so that a noisy moment of the machine meets both sides.

What is not claimed. The others answer a query over a file; in streaming mode Thalweg reads the rows as a stream, with a
watermark 5 s behind. Peak memory is that of the process, the Python interpreter of the peers (about 40 MB) included.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import agreement
import data
import tables
from contenders import HERE, PEERS, Bench, Failed, contenders
from jobs import BY_NAME, JOBS


def main():
    arguments = parse_arguments()
    if arguments.action == "tables":
        print(tables.markdown(read(arguments.json), JOBS))
        return
    jobs = [BY_NAME[name] for name in arguments.jobs.split(",")]
    arguments.data.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        data.make(arguments.data, job.file, arguments.thalweg, arguments.shrink)
    if arguments.action == "data":
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        cores = frozenset(int(core) for core in arguments.cores.split(","))
        bench = Bench(arguments.data, Path(scratch), arguments.thalweg, arguments.thalweg_bench, cores)
        if arguments.action == "check":
            sys.exit(0 if all([check(job, bench, arguments) for job in jobs]) else 1)
        is_equal = all([time(job, bench, arguments) for job in jobs])
    sys.exit(0 if is_equal else 1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/tmp/thalweg-peers"), help="directory of the files")
    parser.add_argument("--shrink", type=int, default=1, metavar="N", help="files of an N-th of the rows")
    parser.add_argument("--thalweg", default="target/release/thalweg")
    parser.add_argument("--thalweg-bench", default="target/release/thalweg-bench")
    parser.add_argument("--cores", default="0,1", help="cores that everybody is held to")
    parser.add_argument("--scratch", help="directory for results (default: the system's)")
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("data", "check", "time", "tables"):
        action = actions.add_parser(name)
        action.add_argument("--jobs", default=",".join(BY_NAME), help="those to run, separated by commas")
        everybody = ",".join(["thalweg", *(peer.name for peer in PEERS)])
        action.add_argument("--engines", default=everybody, help="those to run; 'thalweg streaming 2' is one of ours")
        action.add_argument("--json", type=Path, help="where times are kept")
        action.add_argument("--rounds", type=int, default=3)
        action.add_argument("--fresh", action="store_true", help="forget the times of these jobs first")
    return parser.parse_args()


def check(job, bench, arguments):
    """Whether all engines answer the same, every column by its sums and by sums weighted with the rest of the row."""
    expected, first, is_equal = None, None, True
    for contender in contenders(job, arguments.engines.split(",")):
        try:
            sums = contender.sums(job, bench)
        except Failed as failure:
            print(f"{job.name}: {contender.label}: FAILED: {failure}", flush=True)
            is_equal = False
            continue
        if expected is None:
            expected, first = sums, contender
        verdict = agreement.difference(expected, sums)
        is_equal &= verdict is None
        comparison = f"differs from {first.label}: {verdict}" if verdict else "equal"
        print(f"{job.name}: {contender.label}: {sums['rows']} rows, {comparison}", flush=True)
    return is_equal


def time(job, bench, arguments):
    """Adds rounds of one job to the file of times. Whether all answers were the same."""
    warm(bench.data / job.file)
    everybody = contenders(job, arguments.engines.split(","))
    everybody[0].run(job, bench)
    results = read(arguments.json)
    results["conditions"] = conditions(arguments)
    entry = results["jobs"].setdefault(job.name, {"runs": {}, "failures": {}})
    if arguments.fresh:
        entry.update(runs={}, failures={})
    entry["rows"] = data.rows_of(job.file, arguments.shrink)
    runs, is_equal = entry["runs"], True
    for number in range(arguments.rounds):
        expected = None
        # Nobody always runs after the same neighbour.
        turn = number % len(everybody)
        line = []
        for contender in [*everybody[turn:], *everybody[:turn]]:
            try:
                run = contender.run(job, bench)
            except Failed as failure:
                entry["failures"][contender.name] = str(failure)
                print(f"{job.name}: {contender.label}: FAILED: {failure}", flush=True)
                continue
            runs.setdefault(contender.name, {"label": contender.label, "seconds": [], "peak_mib": []})
            runs[contender.name]["seconds"].append(run.seconds)
            runs[contender.name]["peak_mib"].append(run.peak_mib)
            line.append(f"{contender.label} {run.seconds:.3f}")
            expected = expected or run.totals
            verdict = run.totals and agreement.differing(expected, run.totals, job.result)
            if verdict:
                is_equal = False
                entry["failures"][contender.name] = f"another answer: {verdict}"
                print(f"{job.name}: {contender.label}: ANOTHER ANSWER: {verdict}", flush=True)
        print(f"{job.name} round {number + 1}: {'; '.join(line)}", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1))
    print(tables.of_job(job, entry), flush=True)
    return is_equal


def read(path):
    return json.loads(path.read_text()) if path and path.exists() else {"jobs": {}}


def warm(path):
    """Brings a file into the page cache."""
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def conditions(arguments):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    versions = subprocess.run(
        [sys.executable, str(HERE / "peer.py"), "version", *["-"] * 4], capture_output=True, text=True
    ).stdout
    return {
        "machine": f"{cpu}, {os.cpu_count()} cores, held to {arguments.cores}; {platform.system()} {platform.release()}",
        "commit": commit,
        "versions": json.loads(versions or "{}"),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
