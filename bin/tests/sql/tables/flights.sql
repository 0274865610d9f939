CREATE TABLE flights (
    `year` INT, `month` INT, `day` INT,
    dep_time INT, sched_dep_time INT, dep_delay INT,
    arr_time INT, sched_arr_time INT, arr_delay INT,
    carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
    air_time INT, distance INT, `hour` INT, `minute` INT, time_hour STRING,
    departure AS TO_TIMESTAMP(CONCAT(
        CAST(`year` AS STRING), '-', LPAD(CAST(`month` AS STRING), 2, '0'), '-', LPAD(CAST(`day` AS STRING), 2, '0'), ' ',
        LPAD(CAST(`hour` AS STRING), 2, '0'), ':', LPAD(CAST(`minute` AS STRING), 2, '0'), ':00')),
    WATERMARK FOR departure AS departure
) WITH (
    'connector' = 'filesystem', 'path' = '${data}/flights.csv', 'format' = 'csv', 'csv.null-literal' = 'NA'
);
