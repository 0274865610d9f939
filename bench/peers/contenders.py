"""Who runs a job, and how a run is measured: a fresh process each time, held to the same cores, two threads each."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import agreement

HERE = Path(__file__).parent
THREADS = 2


class Failed(Exception):
    """A run that gave no answer, in words."""


@dataclass(frozen=True)
class Bench:
    """Where things are."""

    data: Path
    scratch: Path
    thalweg: str
    thalweg_bench: str
    cores: frozenset


@dataclass(frozen=True)
class Run:
    seconds: float
    peak_mib: float
    # Rows, then the total of each column; None where the result went into a file.
    totals: list | None


@dataclass(frozen=True)
class Thalweg:
    """A whole process, from its start to its exit."""

    mode: str
    workers: int

    @property
    def name(self):
        return f"thalweg {self.mode} {self.workers}"

    @property
    def label(self):
        return f"Thalweg, {self.mode}, {self.workers} worker{'s' if self.workers > 1 else ''}"

    def script(self, job, bench, out=None):
        path = bench.scratch / f"{job.name}-{self.mode}.sql"
        path.write_text(job.script(self.mode, bench.data / job.file, out))
        return str(path)

    def run(self, job, bench):
        workers = ["--workers", str(self.workers)]
        if job.writes_csv:
            out = fresh(bench)
            command = [bench.thalweg, "run", "--quiet", *workers, self.script(job, bench, out)]
            seconds, peak_mib, _ = measured(command, bench.cores)
            return Run(seconds, peak_mib, None)
        command = [bench.thalweg_bench, "job", *workers, self.script(job, bench)]
        seconds, peak_mib, printed = measured(command, bench.cores)
        return Run(seconds, peak_mib, agreement.totals(json.loads(printed), job.result))

    def sums(self, job, bench):
        """All sums of the answer, those that tie the values of a row to each other too."""
        if job.writes_csv:
            self.run(job, bench)
            return sums_of_csv(job, bench)
        command = [bench.thalweg_bench, "job", "--check", "--workers", str(self.workers), self.script(job, bench)]
        return json.loads(measured(command, bench.cores)[2])


@dataclass(frozen=True)
class Peer:
    """The query alone, after start-up, imports and the connection."""

    name: str

    @property
    def label(self):
        return {"duckdb": "DuckDB", "polars": "Polars", "chdb": "chDB", "datafusion": "DataFusion"}[self.name]

    def run(self, job, bench):
        how = "csv" if job.writes_csv else "sums"
        _, peak_mib, printed = measured(self.command(job, bench, how, fresh(bench)), bench.cores)
        answer = json.loads(printed.splitlines()[-1])
        return Run(answer["seconds"], peak_mib, answer["totals"])

    def sums(self, job, bench):
        if job.writes_csv:
            self.run(job, bench)
            return sums_of_csv(job, bench)
        return json.loads(measured(self.command(job, bench, "columns", "-"), bench.cores)[2].splitlines()[-1])

    def command(self, job, bench, how, out):
        return [sys.executable, str(HERE / "peer.py"), self.name, job.name, str(bench.data / job.file), how, str(out)]


PEERS = [Peer(name) for name in ("duckdb", "polars", "chdb", "datafusion")]


def contenders(job, names):
    """Ours first, the one that others are compared with; then the peers among `names`."""
    main, *others = job.modes
    ours = [Thalweg(main, 2), Thalweg(main, 1), *(Thalweg(mode, 2) for mode in others)]
    return [*(one for one in ours if "thalweg" in names or one.name in names), *(peer for peer in PEERS if peer.name in names)]


def fresh(bench):
    """A name that no file has yet: nobody is timed while an older file is thrown away."""
    out = bench.scratch / "result.csv"
    out.unlink(missing_ok=True)
    return out


def sums_of_csv(job, bench):
    command = [sys.executable, str(HERE / "peer.py"), "read-csv", job.name, str(bench.scratch / "result.csv"), "-", "-"]
    return json.loads(measured(command, bench.cores)[2])


def measured(command, cores):
    """Runs a process to its end: seconds of wall clock, peak memory in MiB, what it printed."""
    threads = {name: str(THREADS) for name in ("POLARS_MAX_THREADS", "TOKIO_WORKER_THREADS", "OMP_NUM_THREADS")}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        os.sched_setaffinity(0, cores)
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=dict(os.environ, **threads)
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            text = errors.read().decode(errors="replace").strip()
            raise Failed(f"exit {process.returncode}: {text[-600:]}")
        return took, usage.ru_maxrss / 1024, output.read().decode()
