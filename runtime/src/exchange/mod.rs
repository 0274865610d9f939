//! How rows get from one worker to another: lanes, the bells that wake their ends, and the key groups that say who owns
//! a key.

pub mod doorbell;
pub mod external;
pub mod key_group;
pub mod lane;
