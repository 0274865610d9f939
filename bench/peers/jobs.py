"""The jobs that are compared: what they read, what they answer, what Thalweg is told, and the goal of each."""

from dataclasses import dataclass

TRADES = [
    ("trader_id", "STRING"), ("symbol", "STRING"), ("price", "DOUBLE"), ("quantity", "BIGINT"), ("trade_time", "TIMESTAMP(3)"),
]
STATIONS = [("station", "STRING"), ("temperature", "DOUBLE")]

# Columns of the result, in order, and how each is summed.
AGGREGATES = [("n", "whole"), ("ap", "double"), ("sq", "whole"), ("spq", "double")]
RESULTS = {
    "windows": [("trader_id", "text"), ("symbol", "text"), ("window_start", "time"), ("window_end", "time"), *AGGREGATES],
    "groups": [("trader_id", "text"), ("symbol", "text"), *AGGREGATES],
    "stations": [("station", "text"), ("low", "double"), ("mean", "double"), ("high", "double")],
    "filter": [("trader_id", "text"), ("symbol", "text"), ("turnover", "double"), ("trade_time", "time")],
}
QUERIES = {
    "windows": """SELECT trader_id, symbol, window_start, window_end,
  COUNT(*) AS n, AVG(price) AS ap, SUM(quantity) AS sq, SUM(price * quantity) AS spq
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(trade_time), INTERVAL '1' MINUTE))
GROUP BY trader_id, symbol, window_start, window_end""",
    "groups": """SELECT trader_id, symbol, COUNT(*) AS n, AVG(price) AS ap, SUM(quantity) AS sq, SUM(price * quantity) AS spq
FROM trades GROUP BY trader_id, symbol""",
    "stations": """SELECT station, MIN(temperature) AS low, AVG(temperature) AS mean, MAX(temperature) AS high
FROM stations GROUP BY station""",
    "filter": """SELECT trader_id, symbol, price * quantity AS turnover, trade_time
FROM trades WHERE quantity > 500""",
}


@dataclass(frozen=True)
class Job:
    name: str
    title: str
    shape: str
    # Name of the file without its directory: what `data.py` makes.
    file: str
    # Times the rate of the fastest peer.
    goal_ratio: float
    # M rows/s with two workers, and with one; times one worker.
    goal_rate: float | None = None
    goal_one: float | None = None
    goal_scaling: float | None = None
    # Whether everybody writes the result as CSV; otherwise columns are made, and each is summed.
    writes_csv: bool = False

    @property
    def format(self):
        return {"csv": "csv", "ndjson": "json", "parquet": "parquet"}[self.file.rsplit(".", 1)[1]]

    @property
    def result(self):
        return RESULTS[self.shape]

    @property
    def modes(self):
        """Thalweg's runtime modes, the one that is compared first.

        In streaming mode a GROUP BY without a window answers with a changelog, which is another result.
        """
        return {"windows": ["streaming", "batch"], "filter": ["streaming", "batch"]}.get(self.shape, ["batch"])

    def script(self, mode, path, out=None):
        """What Thalweg is told: a query whose rows the caller takes, or which go into the file `out`."""
        is_station = self.shape == "stations"
        columns = [f"{name} {kind}" for name, kind in (STATIONS if is_station else TRADES)]
        if self.shape == "windows":
            columns.append("WATERMARK FOR trade_time AS trade_time - INTERVAL '5' SECOND")
        options = {"connector": "filesystem", "path": path, "format": self.format}
        if is_station:
            options["csv.field-delimiter"] = ";"
        statements = [
            f"SET 'execution.runtime-mode' = '{mode}'",
            create("stations" if is_station else "trades", columns, options),
        ]
        query = QUERIES[self.shape]
        if out:
            kinds = {"text": "STRING", "whole": "BIGINT", "double": "DOUBLE", "time": "TIMESTAMP(3)"}
            columns = [f"{name} {kinds[kind]}" for name, kind in self.result]
            statements.append(create("answers", columns, {"connector": "filesystem", "path": out, "format": "csv"}))
            query = f"INSERT INTO answers {query}"
        return ";\n".join([*statements, query]) + ";\n"


def create(table, columns, options):
    pairs = ", ".join(f"'{key}' = '{value}'" for key, value in options.items())
    return f"CREATE TABLE {table} ({', '.join(columns)}) WITH ({pairs})"


JOBS = [
    Job("seed", "seed query, 200 keys, CSV", "windows", "t200.csv", 6, 80, 42, 1.8),
    Job("seed-csv-out", "the same, result written as CSV", "windows", "t200.csv", 6, writes_csv=True),
    Job("seed-1m", "seed query, 1 M keys, CSV", "windows", "t1m.csv", 8, 35, 22, 1.5),
    Job("seed-zipf", "seed query, zipf keys, CSV", "windows", "tzipf.csv", 6, 34, 23, 1.35),
    Job("stations", "MIN, AVG, MAX per station, 50 M rows", "stations", "stations.csv", 6, 145, 80, 1.6),
    Job("seed-ndjson", "seed query, 200 keys, NDJSON", "windows", "t200.ndjson", 4),
    Job("seed-zstd", "seed query, 200 keys, Parquet (zstd)", "windows", "t200-zstd.parquet", 1.5),
    Job("seed-snappy", "seed query, 200 keys, Parquet (snappy)", "windows", "t200-snappy.parquet", 1.5),
    Job("seed-1m-zstd", "seed query, 1 M keys, Parquet (zstd)", "windows", "t1m-zstd.parquet", 1.5),
    Job("seed-1m-snappy", "seed query, 1 M keys, Parquet (snappy)", "windows", "t1m-snappy.parquet", 1.5),
    Job("groups-csv", "GROUP BY of 1 M keys, no window, CSV", "groups", "t1m.csv", 2),
    Job("groups-zstd", "GROUP BY of 1 M keys, no window, Parquet (zstd)", "groups", "t1m-zstd.parquet", 2),
    Job("filter", "filter and projection, CSV to CSV", "filter", "t200.csv", 3, writes_csv=True),
]
BY_NAME = {job.name: job for job in JOBS}
