#!/usr/bin/env python3
"""Asks Apache Flink for the rows of the golden files that say `# by Flink`: the SQL in them is Flink's as it stands.

Made with Python 3.11.7, apache-flink 2.3.0 and Java 17. The tests do not need it; it is kept so that every row can be traced.

    python3 -m venv /tmp/venv-flink && /tmp/venv-flink/bin/pip install apache-flink==2.3.0
    PY=/tmp/venv-flink/bin/python                                    # all of these from the root of the repository
    $PY bin/tests/oracle/flink.py check                              # do the golden files say what Flink says?
    $PY bin/tests/oracle/flink.py write bin/tests/sql/windows/flink_hop.test

Flink runs them in streaming mode. Their rows are in the order of time, since which rows are late depends in Flink on when it
gets round to its watermark. Flink cannot skip the first line of a CSV file, so it reads copies without it.
"""

import csv
import io
import sys
import tempfile
from datetime import datetime
from pathlib import Path

KINDS = {"INSERT": "+I", "UPDATE_BEFORE": "-U", "UPDATE_AFTER": "+U", "DELETE": "-D"}
TESTS = Path(__file__).resolve().parent.parent


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("check", "write"):
        sys.exit(__doc__)
    paths = [Path(name) for name in sys.argv[2:]] or sorted((TESTS / "sql").glob("*/*.test"))
    asked = failed = 0
    for path in paths:
        text = path.read_text()
        if "# by Flink\n" not in text:
            continue
        asked += 1
        head, _, rows = text.partition("==> rows\n")
        # The rows of a key are in their order.
        arranged = list if "\n# keyed:" in text else sorted
        said = "".join(arranged(ask(text)))
        if sys.argv[1] == "write":
            path.write_text(f"{head}==> rows\n{said}")
        elif "".join(arranged(rows.splitlines(keepends=True))) != said:
            failed += 1
            print(f"{path}: Flink says\n{said}")
    print(f"Flink was asked for {asked} golden files; {failed} differ")
    sys.exit(1 if failed or not asked else 0)


def ask(text):
    """The rows that Flink gives, as lines of CSV."""
    from pyflink.table import EnvironmentSettings, TableEnvironment

    with tempfile.TemporaryDirectory() as directory:
        for name, body in sections(text, "file "):
            (Path(directory) / name).write_text(body.split("\n", 1)[1])
        (_, sql), = sections(text, "sql")
        environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        environment.get_config().set("parallelism.default", "1")
        statements = [statement for statement in sql.replace("${dir}", directory).split(";") if statement.strip()]
        for statement in statements[:-1]:
            environment.execute_sql(statement)
        with environment.execute_sql(statements[-1]).collect() as rows:
            rows = list(rows)
            # As Thalweg shows them: with their kinds if some row is not new.
            kinds = [KINDS[row.get_row_kind().name] for row in rows]
            has_kinds = set(kinds) != {"+I"}
            return [line([kind, *row] if has_kinds else row) for kind, row in zip(kinds, rows)]


def sections(text, title):
    """Name and body of the sections whose title begins so."""
    for section in text.split("\n==> ")[1:]:
        heading, _, body = section.partition("\n")
        if heading.startswith(title):
            yield heading[len(title) :], body + "\n"


def line(row):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([field(value) for value in row])
    return out.getvalue()


def field(value):
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return str(value)


if __name__ == "__main__":
    main()
