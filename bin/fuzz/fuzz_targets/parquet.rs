//! Any bytes as a Parquet file; the seeds are whole files, so that what is changed is mostly their inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg::connect::format::parquet::is_contained;
use thalweg::connect::infer_file;
use thalweg_fuzz::{Way, read_in_two_ways, scratch_file, sound};

fuzz_target!(
    init: {
        // What the decoder's panics become is an error; the fuzzer's hook would end the process.
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_contained() {
                abort(info);
            }
        }));
    },
    |data: &[u8]| {
        let path = scratch_file("input.parquet", data);
        let ddl = format!(
            "CREATE TABLE t (a INT, b STRING, c DECIMAL(9, 2), d DOUBLE, e TIMESTAMP(3), f BOOLEAN, g ARRAY<INT>) WITH \
             ('connector' = 'filesystem', 'path' = '{}', 'format' = 'parquet', 'on-error' = 'divert')",
            path.display()
        );
        read_in_two_ways(&ddl, Way { workers: 2, block_bytes: 100, ..Way::PLAIN });
        let _ = infer_file(&path.to_string_lossy()).map_err(sound);
    }
);
