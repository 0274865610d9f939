-- Delays of flights that left New York in 2013, per carrier and day.
--
--     cargo run --release -- run docs/examples/flights.sql
--
-- The path below is relative to the directory of the process, so run this from the root of the repository. Where the data
-- comes from: docs/examples/README.md.

CREATE TABLE flights (
    `year` INT, `month` INT, `day` INT,
    dep_time INT, sched_dep_time INT, dep_delay INT,        -- delays in minutes; NULL if the flight was cancelled
    arr_time INT, sched_arr_time INT, arr_delay INT,
    carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
    air_time INT, distance INT, `hour` INT, `minute` INT, time_hour STRING,

    -- Event time: when the flight was to leave, by the clocks of New York.
    departure AS TO_TIMESTAMP(
        CONCAT_WS(' ', CAST(`year` AS STRING), CAST(`month` AS STRING), CAST(`day` AS STRING), CAST(`hour` AS STRING), CAST(`minute` AS STRING)),
        'yyyy M d H m'),
    -- Within a day the file is ordered by actual departure, cancelled flights last.
    WATERMARK FOR departure AS departure - INTERVAL '1' DAY
) WITH (
    'connector' = 'filesystem',
    'path' = 'docs/examples/flights.csv',
    'format' = 'csv',
    'csv.null-literal' = 'NA'
);

SELECT
    DATE_FORMAT(window_start, 'yyyy-MM-dd') AS `day`,
    carrier,
    COUNT(*) AS flights,
    COUNT(*) FILTER (WHERE dep_delay IS NULL) AS cancelled,
    ROUND(AVG(CAST(dep_delay AS DOUBLE)), 1) AS mean_delay,
    MAX(dep_delay) AS worst_delay
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(departure), INTERVAL '1' DAY))
GROUP BY carrier, window_start, window_end
ORDER BY window_start, carrier;
