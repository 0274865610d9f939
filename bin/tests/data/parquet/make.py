"""Writes the files of this directory: one small table, as other programs write it.

    python3 -m pip install duckdb==2.0.0 polars==2.1.0 pyarrow==26.0.1
    python3 bin/tests/data/parquet/make.py

What each file has to give is in `bin/src/connect/format/parquet/tests/peers.rs`.
"""

import datetime as dt
import decimal
import pathlib

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
UTC = dt.timezone.utc
FIRST = dt.datetime(2023, 11, 14, 22, 13, 19, 741000)
OLD = dt.datetime(1901, 1, 1, 0, 0, 0, 1000)
COLUMNS = {
    "flag": (pa.bool_(), [True, None, False]),
    "tiny": (pa.int8(), [-128, None, 127]),
    "small": (pa.int16(), [-32768, None, 32767]),
    "medium": (pa.int32(), [-(2**31), None, 2**31 - 1]),
    "large": (pa.int64(), [-(2**63), None, 2**63 - 1]),
    "unsigned": (pa.uint32(), [0, None, 2**32 - 1]),
    "unsigned_large": (pa.uint64(), [0, None, 2**64 - 1]),
    "single": (pa.float32(), [0.5, None, float("-inf")]),
    "double": (pa.float64(), [0.1, None, -0.0]),
    "price": (pa.decimal128(9, 2), [decimal.Decimal("-1234567.89"), None, decimal.Decimal("0.01")]),
    "amount": (pa.decimal128(38, 9), [decimal.Decimal("12345678901234567890123456789.123456789"), None, decimal.Decimal(0)]),
    "name": (pa.string(), ["žluťoučký kůň", None, ""]),
    "bytes": (pa.binary(), [b"\x00\xff", None, b""]),
    "day": (pa.date32(), [dt.date(2023, 11, 14), None, dt.date(1, 1, 1)]),
    "moment": (pa.timestamp("us"), [FIRST, None, OLD]),
    "instant": (pa.timestamp("us", tz="UTC"), [FIRST.replace(tzinfo=UTC), None, OLD.replace(tzinfo=UTC)]),
    "list": (pa.list_(pa.int64()), [[1, None, 3], None, []]),
    "row": (pa.struct([("a", pa.int32()), ("b", pa.string())]), [{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
}
MAP = {"map": (pa.map_(pa.string(), pa.int64()), [[("k", 1), ("l", None)], None, []])}
TIME = {"time": (pa.time64("us"), [dt.time(23, 59, 59, 999000), None, dt.time(0)])}


def table(columns):
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def main():
    everything = table(COLUMNS | MAP | TIME)
    pq.write_table(everything, HERE / "pyarrow.parquet")
    pq.write_table(everything, HERE / "pyarrow-zstd-pages-2.parquet", compression="zstd", data_page_version="2.0", use_dictionary=False)
    deltas = {"name": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY", "large": "DELTA_BINARY_PACKED", "double": "BYTE_STREAM_SPLIT"}
    pq.write_table(everything, HERE / "pyarrow-deltas.parquet", use_dictionary=False, column_encoding=deltas, compression="gzip")
    pq.write_table(everything, HERE / "pyarrow-int96.parquet", use_deprecated_int96_timestamps=True, compression="lz4")
    pq.write_table(everything, HERE / "pyarrow-decimals-as-integers.parquet", store_decimal_as_integer=True, compression="none")
    polars.from_arrow(table(COLUMNS | TIME)).write_parquet(HERE / "polars.parquet")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("everything", everything)
    connection.execute(f"COPY everything TO '{HERE / 'duckdb.parquet'}' (FORMAT parquet)")
    # Its deltas between numbers of 32 bits may have more, which Arrow's decoder does not accept.
    small = "SELECT * EXCLUDE (medium, unsigned) FROM everything"
    connection.execute(f"COPY ({small}) TO '{HERE / 'duckdb-pages-2.parquet'}' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd)")


main()
