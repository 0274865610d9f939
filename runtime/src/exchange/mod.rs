//! How rows get from one worker to another: lanes, the bells that wake their ends, the hash that says who owns a key, and
//! recycled buffers.

pub mod doorbell;
pub mod external;
pub mod hash;
pub mod key_group;
pub mod lane;
pub mod pool;
