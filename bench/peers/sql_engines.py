"""DuckDB, DataFusion and chDB: three dialects of one SQL."""

import time

THREADS = 2


def totals_of(result, dialect):
    """A select list: rows, and for each column its sum; of a text its length, of a time milliseconds."""
    sums = ["count(*) AS total_rows"]
    for name, kind in result:
        value = {"text": dialect["length"], "time": dialect["ms"]}.get(kind, "{}").format(name)
        sums.append(f"sum({dialect['wide'].format(value) if kind in ('time', 'whole') else value}) AS total_{name}")
    return ", ".join(sums)


def query(job, source, dialect):
    minute = dialect["minute"].format("trade_time")
    aggregates = "count(*) AS n, avg(price) AS ap, sum(quantity) AS sq, sum(price * quantity) AS spq"
    if job.shape == "windows":
        return (
            f"SELECT trader_id, symbol, {minute} AS window_start, {minute} + INTERVAL 1 MINUTE AS window_end, {aggregates} "
            f"FROM {source} GROUP BY trader_id, symbol, {minute}"
        ).replace("INTERVAL 1 MINUTE", dialect["one_minute"])
    if job.shape == "groups":
        return f"SELECT trader_id, symbol, {aggregates} FROM {source} GROUP BY trader_id, symbol"
    if job.shape == "stations":
        numbers = "min(temperature) AS low, avg(temperature) AS mean, max(temperature) AS high"
        return f"SELECT station, {numbers} FROM {source} GROUP BY station"
    return f"SELECT trader_id, symbol, price * quantity AS turnover, trade_time FROM {source} WHERE quantity > 500"


DUCKDB = {
    "length": "strlen({})", "ms": "epoch_ms({})", "wide": "{}", "minute": "date_trunc('minute', {})",
    "one_minute": "INTERVAL 1 MINUTE",
}


def duckdb(job, path, how, out):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}; SET preserve_insertion_order = false")
    kinds = {"trader_id": "VARCHAR", "symbol": "VARCHAR", "price": "DOUBLE", "quantity": "BIGINT", "trade_time": "TIMESTAMP"}
    if job.format == "parquet":
        source = f"read_parquet('{path}')"
    elif job.format == "json":
        source = f"read_json('{path}', format = 'newline_delimited', auto_detect = false, columns = {kinds})"
    elif job.shape == "stations":
        kinds = {"station": "VARCHAR", "temperature": "DOUBLE"}
        source = f"read_csv('{path}', header = false, auto_detect = false, delim = ';', quote = '', columns = {kinds})"
    else:
        source = f"read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\"', columns = {kinds})"
    sql = query(job, source, DUCKDB)
    if how == "columns":
        return 0, connection.sql(sql).to_arrow_table()
    started = time.perf_counter()
    if how == "csv":
        connection.execute(f"COPY ({sql}) TO '{out}' (HEADER)")
        return time.perf_counter() - started, None
    row = connection.execute(f"SELECT {totals_of(job.result, DUCKDB)} FROM ({sql})").fetchone()
    return time.perf_counter() - started, row


DATAFUSION = {
    "length": "octet_length({})", "ms": "to_unixtime({})", "wide": "{}", "minute": "date_trunc('minute', {})",
    "one_minute": "INTERVAL '1 minute'",
}


def datafusion(job, path, how, out):
    import datafusion
    import pyarrow as pa

    context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(THREADS))
    schema = pa.schema([
        ("trader_id", pa.string_view()), ("symbol", pa.string_view()), ("price", pa.float64()), ("quantity", pa.int64()),
        ("trade_time", pa.timestamp("ms")),
    ])
    if job.shape == "stations":
        schema = pa.schema([("station", pa.string_view()), ("temperature", pa.float64())])
    sql = query(job, "rows_read", DATAFUSION)
    if how != "columns" and how != "csv":
        # Whole seconds: windows begin and end at minutes.
        sql = f"SELECT {totals_of(job.result, DATAFUSION)} FROM ({sql})"
    started = time.perf_counter()
    if job.format == "parquet":
        context.register_parquet("rows_read", path)
    elif job.format == "json":
        context.register_json("rows_read", path, schema=schema, file_extension=".ndjson")
    elif job.shape == "stations":
        context.register_csv("rows_read", path, schema=schema, has_header=False, delimiter=";")
    else:
        context.register_csv("rows_read", path, schema=schema, has_header=True)
    frame = context.sql(sql)
    if how == "columns":
        return 0, frame.to_arrow_table()
    if how == "csv":
        frame.write_csv(out, with_header=True)
        return time.perf_counter() - started, None
    row = [column[0].as_py() for column in frame.collect()[0].columns]
    took = time.perf_counter() - started
    kinds = ["rows", *(kind for _, kind in job.result)]
    return took, [value * 1000 if kind == "time" else value for kind, value in zip(kinds, row)]


CHDB = {
    "length": "length({})", "ms": "1000 * toUnixTimestamp({})", "wide": "toInt128({})", "minute": "toStartOfMinute({})",
    "one_minute": "INTERVAL 1 MINUTE",
}


def chdb(job, path, how, out):
    from chdb import session

    connection = session.Session()
    time_kind = "DateTime64(3, \\'UTC\\')"
    kinds = f"trader_id String, symbol String, price Float64, quantity Int64, trade_time {time_kind}"
    settings = f"max_threads = {THREADS}, date_time_input_format = 'basic', output_format_arrow_string_as_string = 1"
    if job.format == "parquet":
        source = f"file('{path}', Parquet)"
    elif job.format == "json":
        source = f"file('{path}', JSONEachRow, '{kinds}')"
    elif job.shape == "stations":
        source = f"file('{path}', CSV, 'station String, temperature Float64')"
        settings += ", format_csv_delimiter = ';'"
    else:
        source = f"file('{path}', CSVWithNames, '{kinds}')"
    sql = query(job, source, CHDB)
    if how == "columns":
        import pyarrow as pa

        answer = connection.query(f"{sql} SETTINGS {settings}", "Arrow")
        return 0, pa.ipc.open_file(pa.BufferReader(answer.bytes())).read_all()
    started = time.perf_counter()
    if how == "csv":
        connection.query(f"INSERT INTO FUNCTION file('{out}', CSVWithNames) {sql} SETTINGS {settings}")
        return time.perf_counter() - started, None
    answer = connection.query(f"SELECT {totals_of(job.result, CHDB)} FROM ({sql}) SETTINGS {settings}", "JSONCompactEachRow")
    took = time.perf_counter() - started
    import json

    return took, json.loads(answer.bytes())
