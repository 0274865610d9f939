//! The end of a stage whose rows go to the owners of their keys, block by block.

use std::sync::Arc;

use thalweg_operators::batch::Batch;
use thalweg_operators::route::{Routed, Router};
use thalweg_runtime::latency::Span;
use thalweg_runtime::progress::window::BlockWindow;
use thalweg_runtime::{Context, EdgeId, EventTimeMs, WorkerId};

use super::account::{StageCounters, add};
use super::flow::{Flow, RoutedBlock};
use super::tail::aggregate_refused;
use crate::error::Result;

/// The producer's side of what takes in row by row.
pub(super) struct Route {
    pub(super) edge: EdgeId,
    pub(super) router: Router,
    /// By owner: rows of the block in hand.
    pub(super) parts: Vec<Vec<Routed>>,
    /// Their rows and bytes.
    pub(super) gathered: (u64, usize),
    pub(super) window: Arc<BlockWindow>,
    /// What the owners were promised; `None`: they go by blocks alone.
    pub(super) promised: Option<EventTimeMs>,
}

impl Route {
    /// Divides the rows of a batch.
    pub(super) fn push(&mut self, batch: &Batch, counters: &StageCounters) -> Result<()> {
        add(&counters.handed, batch.rows() as u64);
        let Self { router, parts, gathered, .. } = self;
        let gather = |owner: usize, routed: Routed| {
            *gathered = (gathered.0 + routed.rows() as u64, gathered.1 + routed.bytes());
            parts[owner].push(routed);
        };
        router.route(batch, gather).map_err(aggregate_refused)
    }

    /// Everything at or below `time` has been sent: promises it, if owners want to know. Says whether it did.
    pub(super) fn advance(&mut self, time: EventTimeMs, cx: &mut Context<'_, Flow>) -> bool {
        match &mut self.promised {
            Some(promised) if *promised < time => {
                *promised = time;
                cx.promise(time);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Sends every owner its part of a block whose rows were due in `span`, also an empty one: so all know that they have
    /// it. Of what is no block of a source, only those with rows.
    pub(super) fn end_block(&mut self, block: Option<u64>, span: Option<Span>, cx: &mut Context<'_, Flow>) {
        self.gathered = (0, 0);
        for (owner, parts) in self.parts.iter_mut().enumerate() {
            let parts = std::mem::take(parts);
            if block.is_none() && parts.is_empty() {
                continue;
            }
            let mut routed = RoutedBlock { block, parts, span };
            routed.span = span.map(|span| span.with_rows(routed.rows()));
            cx.send(self.edge, WorkerId(owner as u16), Flow::Routed(routed));
        }
    }
}
