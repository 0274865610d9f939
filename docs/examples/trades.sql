-- Trades per trader and symbol in windows of a minute: the query that Thalweg is measured with, on a small sample.
--
--     cargo run --release -- run docs/examples/trades.sql

CREATE TABLE trades (
    trader_id STRING,
    symbol STRING,
    price DOUBLE,
    quantity BIGINT,
    trade_time TIMESTAMP(3),
    WATERMARK FOR trade_time AS trade_time - INTERVAL '5' SECOND
) WITH (
    'connector' = 'filesystem',
    'path' = 'docs/examples/trades.csv',
    'format' = 'csv'
);

-- Windows are shown as they close; without this line a bounded input runs in batch mode, and all rows come at its end.
SET 'execution.runtime-mode' = 'streaming';

SELECT trader_id, symbol, window_start, window_end, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity)
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(trade_time), INTERVAL '1' MINUTE))
GROUP BY trader_id, symbol, window_start, window_end;
