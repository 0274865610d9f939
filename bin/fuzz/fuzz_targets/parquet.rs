//! Any bytes as a Parquet file; the seeds are whole files, so that what is changed is mostly their inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_fuzz::{Way, run, scratch_file};

fuzz_target!(|data: &[u8]| {
    let path = scratch_file("input.parquet", data);
    let path = path.display();
    for policy in ["skip", "fail"] {
        let sql = format!(
            "CREATE TABLE t (a INT, b STRING, c DECIMAL(9, 2), d DOUBLE, e TIMESTAMP(3), f BOOLEAN, g ARRAY<INT>) WITH \
             ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet', 'on-error' = '{policy}');\n\
             SELECT * FROM t WHERE a > 3"
        );
        let _ = run(&sql, Way { workers: 2, ..Way::PLAIN });
    }
    let _ = run(&format!("SELECT * FROM '{path}'"), Way::PLAIN);
});
