//! A panic is a bug of ours: the user is told where, and the process ends with exit code 1, whatever else hangs.

use std::time::Duration;

use super::{interrupt, note};
use crate::connect::format::parquet::is_contained;
use crate::error::Kind;

/// How long the other threads have to notice and to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// Tells of panics from now on.
pub(super) fn install() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // It becomes an error in the data, which is told as such.
        if is_contained() {
            return;
        }
        standard(info);
        note(
            "\nThis is a bug in thalweg, not in your SQL or data. Please report it with the message above, the SQL, and \
             what is printed with RUST_BACKTRACE=1.",
        );
        // A panic is passed on by whoever notices it. Should nobody, a process that hangs would be worse than one that
        // is gone.
        let _ = std::thread::Builder::new().name("panic-exit".to_owned()).spawn(|| {
            std::thread::sleep(GRACE);
            interrupt::end(Kind::Internal.exit_code())
        });
    }));
}
