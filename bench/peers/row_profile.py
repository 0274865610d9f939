#!/usr/bin/env python3
"""Where each nanosecond of a row goes: `perf record` of the seed job, its samples put together by stage.

    cargo rustc --release -p thalweg --bin thalweg -- -C strip=none
    python3 bench/peers/row_profile.py --data /tmp/peers/data                  # the seed query; --job takes any other of jobs.py

Samples are of the processor's clock, so what is shown is time on a core, that of waiting left out. Nanoseconds are those of one
core for each row of input.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import data
from jobs import BY_NAME

HERTZ = 4999
# The first pattern that the symbol or its file holds.
STAGES = [
    ("reading the file: the kernel's copy", r"copy_to_iter|filemap_|xas_|folio|ext4_file_read|vfs_read|pread"),
    ("kernel: memory", r"clear_page|page_fault|alloc_pages|zap_|free_unref|mmap|munmap|madvise|clear_huge"),
    ("kernel: else", r"\[kernel"),
    ("index of records and fields", r"text::simd|text::index|text::record"),
    ("columns of text", r"text::views"),
    ("columns: numbers and times", r"csv::vector|csv::slices|csv::|format::"),
    ("watermarks and event time", r"watermark|event_time"),
    ("expressions", r"arrow_array|arrow_buffer|expr|compile"),
    ("keys and hash", r"operators::key"),
    ("finding groups", r"operators::table"),
    ("update of aggregates", r"operators::aggregate"),
    ("windows and results", r"operators::group|operators::window"),
    ("memory and copies", r"mi_|memset|memmove|memcpy|libc"),
    ("the rest: runtime, planning, start", r""),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/tmp/thalweg-peers"))
    parser.add_argument("--thalweg", default="target/release/thalweg", help="with its symbols")
    parser.add_argument("--job", default="seed", choices=sorted(BY_NAME))
    parser.add_argument("--repeat", type=int, default=5, help="runs that are put together")
    arguments = parser.parse_args()
    job = BY_NAME[arguments.job]
    path = data.make(arguments.data, job.file, arguments.thalweg)
    rows = data.rows_of(job.file)
    columns = [profile(job, path, workers, rows, arguments) for workers in (1, 2)]
    print("| stage | one worker, ns | % | two workers, ns | % |\n| --- | ---: | ---: | ---: | ---: |")
    totals = [sum(column.values()) for column in columns]
    for name, _ in STAGES:
        cells = [f"{column[name]:.2f} | {column[name] / total:.0%}" for column, total in zip(columns, totals)]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"| sum | {totals[0]:.2f} | | {totals[1]:.2f} | |")


def profile(job, path, workers, rows, arguments):
    """Nanoseconds of a core for a row, by stage."""
    nanos = dict.fromkeys((name for name, _ in STAGES), 0.0)
    with tempfile.TemporaryDirectory() as directory:
        script, recording = Path(directory) / "job.sql", f"{directory}/perf.data"
        sink = "connector' = 'blackhole"
        text = job.script(job.modes[0], path, f"{directory}/out.csv")
        text = re.sub(r"(CREATE TABLE answers .*) WITH \(.*\)", rf"\1 WITH ('{sink}')", text)
        script.write_text(text)
        command = ["perf", "record", "-q", "-F", str(HERTZ), "-o", recording, "--",
                   arguments.thalweg, "run", "--quiet", "--workers", str(workers), str(script)]
        for _ in range(arguments.repeat):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            report = subprocess.run(["perf", "script", "-i", recording, "-F", "ip,sym,dso"],
                                    check=True, capture_output=True, text=True).stdout
            lines = [line for line in report.splitlines() if line.strip()]
            if not any("thalweg::" in line for line in lines):
                sys.exit(f"{arguments.thalweg} has no symbols: build it with -C strip=none")
            for line in lines:
                stage = next(name for name, pattern in STAGES if re.search(pattern, line))
                nanos[stage] += 1e9 / HERTZ / rows / arguments.repeat
    return nanos


if __name__ == "__main__":
    main()
