"""Stream processors, each run by a Python of its own: `stream_engines.py flink|clink …`. Prints one line of JSON."""

import json
import sys
import time


def flink(source, query, rounds):
    from pyflink.table import EnvironmentSettings, TableEnvironment

    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    environment.get_config().set("parallelism.default", "2")
    environment.execute_sql(source)
    environment.execute_sql("""CREATE TABLE answers (
        trader_id STRING, symbol STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, ap DOUBLE, sq BIGINT, spq DOUBLE
    ) WITH ('connector' = 'blackhole')""")
    seconds = []
    for _ in range(int(rounds)):
        job = environment.execute_sql(f"INSERT INTO answers {query}").get_job_client()
        seconds.append(job.get_job_execution_result().result().get_net_runtime() / 1000)
    return {"seconds": seconds}


def clink(parts, rounds):
    import pyarrow.compute as pc
    import pyclink

    seconds, totals = [], None
    for _ in range(int(rounds)):
        with pyclink.Engine(parallelism=2) as engine:
            started = time.perf_counter()
            engine.execute(f"""
                CREATE TABLE trades (
                    trader_id VARCHAR, symbol VARCHAR, price DOUBLE, quantity BIGINT, trade_time BIGINT, turnover DOUBLE
                ) WITH (connector = 'parquet', path = '{parts}', event_time_column = 'trade_time', watermark_lag_ms = '5000');
                CREATE TABLE answers (trader_id VARCHAR, symbol VARCHAR, n BIGINT, ap DOUBLE, sq BIGINT, spq DOUBLE)
                WITH (connector = 'collect');
                INSERT INTO answers
                SELECT trader_id, symbol, COUNT(*) AS n, AVG(price) AS ap, SUM(quantity) AS sq, SUM(turnover) AS spq
                FROM trades GROUP BY TUMBLE(trade_time, 60000), trader_id, symbol""")
            rows = engine.collect("answers").read_all()
            engine.await_all()
            seconds.append(time.perf_counter() - started)
        totals = [rows.num_rows, *(pc.sum(rows[name]).as_py() for name in ("n", "ap", "sq", "spq"))]
    return {"seconds": seconds, "totals": totals}


if __name__ == "__main__":
    engine, *arguments = sys.argv[1:]
    print(json.dumps({"flink": flink, "clink": clink}[engine](*arguments)), flush=True)
