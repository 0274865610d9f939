//! Cases at the edges, one by one.
