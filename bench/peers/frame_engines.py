"""Polars: lazy frames, run by its streaming engine."""

import time


def polars(job, path, how, out):
    import polars as pl

    # A time in text is read as text; parsing it with its exact format is the fastest of the ways that Polars has.
    kinds = {"trader_id": pl.String, "symbol": pl.String, "price": pl.Float64, "quantity": pl.Int64, "trade_time": pl.String}
    started = time.perf_counter()
    if job.format == "parquet":
        rows = pl.scan_parquet(path)
    elif job.shape == "stations":
        kinds = {"station": pl.String, "temperature": pl.Float64}
        rows = pl.scan_csv(path, has_header=False, separator=";", quote_char=None, schema=kinds)
    else:
        rows = pl.scan_ndjson(path, schema=kinds) if job.format == "json" else pl.scan_csv(path, schema=kinds)
    if job.format != "parquet" and job.shape in ("windows", "filter"):
        moment = pl.col("trade_time").str.to_datetime("%Y-%m-%d %H:%M:%S%.3f", time_unit="ms", strict=True)
        rows = rows.with_columns(moment)
    aggregates = [
        pl.len().alias("n"),
        pl.col("price").mean().alias("ap"),
        pl.col("quantity").sum().alias("sq"),
        (pl.col("price") * pl.col("quantity")).sum().alias("spq"),
    ]
    if job.shape == "windows":
        start = pl.col("trade_time").dt.truncate("1m").alias("window_start")
        answer = rows.with_columns(start).group_by("trader_id", "symbol", "window_start").agg(aggregates)
        answer = answer.with_columns((pl.col("window_start") + pl.duration(minutes=1)).alias("window_end"))
    elif job.shape == "groups":
        answer = rows.group_by("trader_id", "symbol").agg(aggregates)
    elif job.shape == "stations":
        degrees = pl.col("temperature")
        numbers = [degrees.min().alias("low"), degrees.mean().alias("mean"), degrees.max().alias("high")]
        answer = rows.group_by("station").agg(numbers)
    else:
        rows = rows.filter(pl.col("quantity") > 500)
        answer = rows.with_columns((pl.col("price") * pl.col("quantity")).alias("turnover"))
    answer = answer.select(name for name, _ in job.result)
    if how == "columns":
        return 0, answer.collect(engine="streaming").to_arrow()
    if how == "csv":
        answer.sink_csv(out, engine="streaming")
        return time.perf_counter() - started, None
    values = {
        "text": lambda name: pl.col(name).str.len_bytes().cast(pl.UInt64),
        "time": lambda name: pl.col(name).dt.epoch("ms").cast(pl.Int128),
        "whole": lambda name: pl.col(name).cast(pl.Int64),
        "double": pl.col,
    }
    sums = [values[kind](name).sum().alias(name) for name, kind in job.result]
    row = answer.select(pl.len().alias("total_rows"), *sums).collect(engine="streaming").row(0)
    return time.perf_counter() - started, row
