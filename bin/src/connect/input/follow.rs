//! Files that are followed as they grow.
use std::time::Duration;

use super::feed::Feed;
use crate::connect::TableScan;
use crate::error::Result;

/// Starts following.
pub fn start(_path: &str, _interval: Duration, scan: &TableScan<'_>) -> Result<Feed> {
    Feed::start("thalweg-follow", None, scan, |_| ())
}
