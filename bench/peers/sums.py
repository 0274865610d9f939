"""Sums of the columns of a result in Arrow, as `thalweg-bench job --check` makes them.

Each number is also summed in proportion to a weight of its row, which its texts and times give: two counts that changed
places leave every plain sum as it is.
"""

import numpy
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

STEP = 1 << 20
ARROW = {"text": pa.large_string(), "whole": pa.int64(), "double": pa.float64(), "time": pa.timestamp("ms")}


def of_table(table, result):
    """Sums of an Arrow table with the columns of `result`, by position."""
    columns = [of_kind(column, kind) for column, (_, kind) in zip(table.columns, result)]
    table = pa.table(columns, names=[name for name, _ in result])
    sums = [Sum(name, kind) for name, kind in result]
    for start in range(0, table.num_rows, STEP):
        part = [column.combine_chunks() for column in table.slice(start, STEP).columns]
        weights = numpy.ones(len(part[0]), dtype=numpy.uint64)
        for number, (column, (_, kind)) in enumerate(zip(part, result), 1):
            if kind == "text":
                weights += numpy.uint64(number) * text_weights(column)
            elif kind == "time":
                weights += (integers(column) // 1000 % 1_000_003).astype(numpy.uint64)
        for total, column in zip(sums, part):
            total.add(column, weights)
    return {"rows": table.num_rows, "columns": [total.as_json() for total in sums]}


def of_csv(path, result):
    """Sums of a CSV with the columns of `result`, with a header or without one."""
    with open(path, "rb") as file:
        first = file.readline().decode().rstrip().replace('"', "").split(",")
    names = [name for name, _ in result]
    types = {name: pa.string() if kind in ("text", "time") else ARROW[kind] for name, kind in result}
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=int(first == names)),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types),
    )
    columns = [moments(column) if kind == "time" else column for column, (_, kind) in zip(table.columns, result)]
    return of_table(pa.table(columns, names=names), result)


def moments(column):
    """Times as engines write them: with T or a space, with digits after the second, all of them or none."""
    return pc.cast(pc.replace_substring(column, "T", " "), pa.timestamp("us"))


def of_kind(column, kind):
    if kind == "time" and pa.types.is_uint32(column.type):
        # ClickHouse's DateTime: seconds.
        column = pc.multiply(pc.cast(column, pa.int64()), 1000)
    return pc.cast(column, ARROW[kind], safe=False)


class Sum:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.nulls = self.whole = self.length = self.bytes = self.weighted_whole = 0
        self.double = self.weighted_double = 0.0

    def add(self, column, weights):
        self.nulls += column.null_count
        if self.kind == "text":
            offsets, data = raw(column)
            self.length += int(offsets[-1] - offsets[0])
            self.bytes += int(data[offsets[0]:offsets[-1]].sum(dtype=numpy.uint64))
        elif self.kind == "double":
            values = column.fill_null(0.0).to_numpy(zero_copy_only=False)
            self.double += float(values.sum())
            self.weighted_double += float((values * weights).sum())
        else:
            values = integers(column)
            low, high = values & 0xFFFF_FFFF, values >> 32
            self.whole += int(low.sum()) + (int(high.sum()) << 32)
            if self.kind == "whole":
                self.weighted_whole += int((values.astype(numpy.uint64) * weights).sum(dtype=numpy.uint64))

    def as_json(self):
        sums = {
            "text": {"length": self.length, "bytes": self.bytes},
            "double": {"sum": self.double},
        }.get(self.kind, {"sum": str(self.whole)})
        weighted = {"weighted_whole": str(self.weighted_whole % 2**64), "weighted_double": self.weighted_double}
        return {"name": self.name, "nulls": self.nulls, **sums, **weighted}


def integers(column):
    return pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(zero_copy_only=False)


def raw(column):
    offsets = numpy.frombuffer(column.buffers()[1], dtype=numpy.int64)[column.offset:column.offset + len(column) + 1]
    return offsets, numpy.frombuffer(column.buffers()[2] or b"", dtype=numpy.uint8)


def text_weights(column):
    """For each text, the sum of its bytes, each times its place from 1."""
    offsets, data = raw(column)
    data = data[offsets[0]:offsets[-1]].astype(numpy.uint64)
    starts = offsets - offsets[0]
    places = numpy.arange(len(data)) - numpy.repeat(starts[:-1], numpy.diff(starts)) + 1
    running = numpy.concatenate([[0], numpy.cumsum(data * places.astype(numpy.uint64))])
    return (running[starts[1:]] - running[starts[:-1]]).astype(numpy.uint64)
