//! Queries and the plans that they become.

use super::*;

#[test]
fn dump() {
    for text in [
        format!("SELECT trader, window_start, COUNT(*) AS n, SUM(quantity) FROM {TUMBLE} GROUP BY window_start, window_end, trader"),
        format!("{STREAMING}SELECT trader, window_start, COUNT(*) AS n FROM {TUMBLE} WHERE price > 1 GROUP BY window_start, window_end, trader"),
        "SELECT * FROM trades".to_owned(),
        "SELECT symbol, AVG(quantity), COUNT(DISTINCT trader) FILTER (WHERE price > 2) FROM trades GROUP BY symbol HAVING COUNT(*) > 1 ORDER BY 2 DESC LIMIT 3".to_owned(),
        "SELECT TUMBLE_START(ts, INTERVAL '1' HOUR), symbol, COUNT(*) FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' HOUR), symbol".to_owned(),
        "SELECT DISTINCT symbol FROM trades".to_owned(),
        "SELECT 1 + 1, 'a'".to_owned(),
        "VALUES (1, 'a'), (2, NULL)".to_owned(),
        "SELECT symbol FROM trades UNION ALL SELECT trader FROM trades WHERE quantity * 2 > 4".to_owned(),
        "SELECT window_start + INTERVAL '1' SECOND AS x, window_time, price FROM TUMBLE(DATA => TABLE trades, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '10' MINUTE, OFFSET => INTERVAL '1' MINUTE)".to_owned(),
    ] {
        println!("{text}\n{}\n{:?}\n", plan_of(&text), columns_of(&text));
    }
}
