#!/usr/bin/env python3
"""Computes the expected rows of the golden files with DuckDB: an engine that shares no line with Thalweg.

Made with Python 3.11.7 and duckdb 2.0.0. The tests do not need it; it is kept so that every expected row can be traced.

    python3 -m venv /tmp/venv-oracle && /tmp/venv-oracle/bin/pip install duckdb==2.0.0
    PY=/tmp/venv-oracle/bin/python                                  # all of these from the root of the repository
    $PY bin/tests/oracle/oracle.py check                            # do the golden files say what DuckDB says?
    $PY bin/tests/oracle/oracle.py write bin/tests/sql/union/*.test # put DuckDB's rows into them
    $PY bin/tests/oracle/oracle.py full flights.csv target/release/thalweg
                                                                    # all queries over flights, on the whole file

A golden file holds, below its header, sections: `==> sql` is what Thalweg runs; `==> oracle` is a query that somebody wrote
independently of it, in DuckDB's dialect; `==> rows` (or `==> output FILE`, for an INSERT) is what that query gives, sorted
unless the header says `ordered`. `==> late oracle` counts the late rows of streaming mode, for `# late:` in the header.
A file without `==> oracle` says `by hand` in its header: it is small enough to be worked out on paper.

Rows are lines of CSV: NULL is an empty field and the empty string is `""`. TIMESTAMP(3) is yyyy-MM-dd HH:mm:ss.SSS.
Where Flink's types differ from DuckDB's, the oracle query says so with a cast: AVG of an INT is truncated, for example.
"""

import math
import re
import subprocess
import sys
import tempfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb

TESTS = Path(__file__).resolve().parents[1]
RELATIVE_TOLERANCE = 1e-9


def main():
    if len(sys.argv) >= 2 and sys.argv[1] in ("check", "write"):
        paths = [Path(name) for name in sys.argv[2:]] or sorted((TESTS / "sql").glob("*/*.test"))
        sys.exit(check_or_write(paths, is_write=sys.argv[1] == "write"))
    if len(sys.argv) >= 4 and sys.argv[1] == "full":
        sys.exit(full(Path(sys.argv[2]), sys.argv[3], sys.argv[4:]))
    sys.exit(__doc__)


def check_or_write(paths, is_write):
    asked = failed = 0
    for path in paths:
        case = Case(path)
        if case.oracle is None:
            continue
        asked += 1
        with tempfile.TemporaryDirectory() as directory:
            rows, late = case.ask_duckdb(TESTS / "data", Path(directory))
        if is_write:
            case.replace(rows, late)
        difference = first_difference(case.rows(), rows, case.is_ordered)
        if case.late() != late:
            difference = f"{case.late()} late rows, DuckDB says {late}"
        if difference:
            failed += 1
            print(f"{path}: {difference}")
    print(f"{asked} of {len(paths)} golden files have an oracle; {failed} differ")
    return 1 if failed or not asked else 0


def full(flights, thalweg, names):
    """Every case over the tables of flights, in each of its modes, on the whole file."""
    compared = failed = 0
    queries = set()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        write_full_tables(flights, directory)
        for path in sorted((TESTS / "sql").glob("*/*.test")):
            case = Case(path)
            if case.oracle is None or not case.tables or "trades" in case.tables or case.section("rows") is None:
                continue
            if names and not any(name in str(path) for name in names):
                continue
            expected, late = case.ask_duckdb(directory, directory)
            for mode in case.modes:
                rows, account = case.run_thalweg(thalweg, mode, directory)
                difference = first_difference(rows, expected, case.is_ordered)
                if mode == "streaming" and not difference and f"late {late:,};" not in account:
                    difference = f"the account does not say: late {late:,}"
                compared += 1
                queries.add(path)
                failed += difference is not None
                verdict = difference or "equal"
                print(f"{path.parent.name}/{path.stem} {mode}: {len(expected)} rows, {verdict}", flush=True)
                if difference:
                    print(account)
    print(f"{len(queries)} queries, {compared} runs over {flights}; {failed} differ")
    return 1 if failed or not compared else 0


def write_full_tables(flights, directory):
    """The whole file in place of the extract, and the same rows in the order of event time."""
    with open(flights, encoding="utf-8", newline="") as file:
        header, *rows = file.read().splitlines(keepends=True)
    (directory / "flights.csv").write_text(header + "".join(rows), encoding="utf-8")
    rows.sort(key=lambda row: tuple(int(row.split(",")[column]) for column in (0, 1, 2, 16, 17)))
    (directory / "flights_in_order.csv").write_text(header + "".join(rows), encoding="utf-8")


class Case:
    """One golden file."""

    def __init__(self, path):
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        head, *parts = re.split(r"^==> (.*)\n", self.text, flags=re.M)
        self.header = dict(
            (key, value or "") for key, value in re.findall(r"^# ([a-z ]+?)(?::[ ]*(.*))?$", head, flags=re.M)
        )
        self.sections = list(zip(parts[::2], parts[1::2]))
        self.oracle = self.section("oracle")
        self.modes = self.header.get("modes", "batch").split()
        self.tables = self.header.get("tables", "").split()
        self.is_ordered = "ordered" in self.header

    def section(self, name):
        return next((body for title, body in self.sections if title == name), None)

    def rows(self):
        """Expected rows: the last section, whether a SELECT shows them or a sink's file holds them."""
        title, body = self.sections[-1]
        assert title == "rows" or title.startswith("output "), f"{self.path} ends with {title}"
        return parse(body)

    def late(self):
        return int(self.header.get("late", 0))

    def replace(self, rows, late):
        head = self.text[: self.text.rindex("==> ")]
        head = re.sub(r"^# late: .*$", f"# late: {late}", head, flags=re.M)
        body = "".join(line(row) for row in rows)
        self.path.write_text(f"{head}==> {self.sections[-1][0]}\n{body}", encoding="utf-8")
        self.__init__(self.path)

    def write_files(self, directory):
        for title, body in self.sections:
            kind, _, name = title.partition(" ")
            if kind == "file":
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_bytes(body.encode())
            elif kind == "escaped":
                plain = body.replace("\n", "").encode().decode("unicode_escape").encode("latin-1")
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_bytes(plain)

    def substitute(self, text, data, directory):
        return text.replace("${data}", str(data)).replace("${dir}", str(directory))

    def ask_duckdb(self, data, directory):
        self.write_files(directory)
        connection = duckdb.connect()
        connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
        for table in self.tables:
            connection.execute(TABLES[table].replace("${data}", str(data)))
        result = connection.execute(self.substitute(self.oracle, data, directory)).fetchall()
        rows = [tuple(show(value) for value in row) for row in result]
        late = 0
        if self.section("late oracle"):
            late = connection.execute(self.substitute(self.section("late oracle"), data, directory)).fetchone()[0]
        return (rows if self.is_ordered else sorted(rows, key=line)), late

    def run_thalweg(self, thalweg, mode, directory):
        prelude = "".join((TESTS / "sql" / "tables" / f"{table}.sql").read_text() for table in self.tables)
        sql = f"SET 'execution.runtime-mode' = '{mode}';\n{prelude}\n{self.section('sql')}"
        script = directory / "job.sql"
        script.write_text(self.substitute(sql, directory, directory), encoding="utf-8")
        ended = subprocess.run(
            [thalweg, "run", "--format", "csv", str(script)], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        rows = parse(ended.stdout)[1:]
        rows = rows if self.is_ordered else sorted(rows, key=line)
        return rows, f"exit code {ended.returncode}\n{ended.stderr}"


# As the DDL in sql/tables declares them: `departure` and `trade_time` are event time. Tables keep the order of the file in
# `rowid`, which the order-sensitive aggregates need.
FLIGHTS = """
CREATE TABLE {name} AS
SELECT *, make_timestamp("year", "month", "day", "hour", "minute", 0) AS departure
FROM read_csv('${{data}}/{name}.csv', header = true, nullstr = 'NA', columns = {{
    'year': 'INTEGER', 'month': 'INTEGER', 'day': 'INTEGER', 'dep_time': 'INTEGER', 'sched_dep_time': 'INTEGER',
    'dep_delay': 'INTEGER', 'arr_time': 'INTEGER', 'sched_arr_time': 'INTEGER', 'arr_delay': 'INTEGER',
    'carrier': 'VARCHAR', 'flight': 'INTEGER', 'tailnum': 'VARCHAR', 'origin': 'VARCHAR', 'dest': 'VARCHAR',
    'air_time': 'INTEGER', 'distance': 'INTEGER', 'hour': 'INTEGER', 'minute': 'INTEGER', 'time_hour': 'VARCHAR'}})
"""
TABLES = {
    "flights": FLIGHTS.format(name="flights"),
    "flights_in_order": FLIGHTS.format(name="flights_in_order"),
    "trades": """
        CREATE TABLE trades AS
        SELECT * FROM read_csv('${data}/trades.csv', header = true, columns = {
            'trader_id': 'VARCHAR', 'symbol': 'VARCHAR', 'price': 'DOUBLE', 'quantity': 'BIGINT',
            'trade_time': 'TIMESTAMP'})
    """,
}


def show(value):
    """A value as the golden files write it; `None` is NULL."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def line(row):
    def quoted(field):
        if field is None:
            return ""
        if field == "" or any(c in field for c in ',"\r\n') or field != field.strip():
            return '"' + field.replace('"', '""') + '"'
        return field

    return ",".join(quoted(field) for field in row) + "\n"


def parse(text):
    """Rows of CSV in which an empty field is `None` and a quoted empty one is the empty string."""
    rows, row, field, is_quoted, at = [], [], "", False, 0

    def end_field():
        nonlocal field, is_quoted
        row.append(None if field == "" and not is_quoted else field)
        field, is_quoted = "", False

    while at < len(text):
        c = text[at]
        if c == '"' and field == "" and not is_quoted:
            is_quoted = True
            at += 1
            while True:
                close = text.index('"', at)
                field += text[at:close]
                at = close + 1
                if text[at : at + 1] != '"':
                    break
                field += '"'
                at += 1
            continue
        if c == ",":
            end_field()
        elif c == "\n":
            end_field()
            rows.append(tuple(row))
            row = []
        elif c != "\r" or text[at + 1 : at + 2] != "\n":
            field += c
        at += 1
    if row or field or is_quoted:
        end_field()
        rows.append(tuple(row))
    return rows


def first_difference(actual, expected, is_ordered):
    """`None`, or in words what differs first."""
    if not is_ordered:
        actual, expected = sorted(actual, key=sort_key), sorted(expected, key=sort_key)
    for number, (left, right) in enumerate(zip(actual, expected)):
        if len(left) != len(right) or not all(map(is_same, left, right)):
            return f"row {number + 1} is {line(left).strip()}, DuckDB says {line(right).strip()}"
    if len(actual) != len(expected):
        return f"{len(actual)} rows, DuckDB says {len(expected)}"
    return None


FLOAT = re.compile(r"^-?(\d+\.\d+(e-?\d+)?|\d+(\.\d+)?e[-+]?\d+|inf|nan)$", re.I)


def sort_key(row):
    """Fields that may be off by a rounding come last."""
    exact = tuple("" if field is None else field if not FLOAT.match(field) else "~" for field in row)
    return exact, tuple(float(field) for field in row if field is not None and FLOAT.match(field))


def is_same(left, right):
    if left == right:
        return True
    if left is None or right is None or not (FLOAT.match(left) or FLOAT.match(right)):
        return False
    try:
        return math.isclose(float(left), float(right), rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12)
    except ValueError:
        return False


if __name__ == "__main__":
    main()
