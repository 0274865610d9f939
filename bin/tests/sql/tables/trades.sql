CREATE TABLE trades (
    trader_id STRING, symbol STRING, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3),
    WATERMARK FOR trade_time AS trade_time - INTERVAL '5' SECOND
) WITH (
    'connector' = 'filesystem', 'path' = '${data}/trades.csv', 'format' = 'csv'
);
