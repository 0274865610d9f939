"""One run of one peer, in a process of its own: `peer.py ENGINE JOB PATH sums|columns|csv OUT`. Prints one line of JSON."""

import json
import sys

import frame_engines
import jobs
import sql_engines

ENGINES = {
    "duckdb": sql_engines.duckdb,
    "polars": frame_engines.polars,
    "chdb": sql_engines.chdb,
    "datafusion": sql_engines.datafusion,
}


def main():
    name, job, path, how, out = sys.argv[1:]
    if name == "version":
        print(json.dumps({engine: __import__(engine).__version__ for engine in ENGINES}))
        return
    job = jobs.BY_NAME[job]
    if name == "read-csv":
        import sums

        print(json.dumps(sums.of_csv(path, job.result)))
        return
    seconds, answer = ENGINES[name](job, path, how, out)
    if how == "columns":
        import sums

        print(json.dumps(sums.of_table(answer, job.result)))
    else:
        totals = answer and [int(value) if kind != "double" else float(value)
                             for value, kind in zip(answer, ["whole", *(kind for _, kind in job.result)])]
        print(json.dumps({"seconds": seconds, "totals": totals}))


if __name__ == "__main__":
    main()
