//! From a topology to workers: every stage on every worker, and a lane for each (edge, producer, consumer).

use crate::control::Control;
use crate::exchange::doorbell::Doorbells;
use crate::exchange::external::External;
use crate::exchange::lane::{LaneReceiver, Ringer, lane};
use crate::operator::{Operator, Payload};
use crate::stage::{Inlet, Outlet, Stage};
use crate::topology::{EdgeSpec, Target, Topology};
use crate::worker::Worker;
use crate::{EdgeId, StageId, WorkerId};

/// A job that is ready to run: to be driven by threads ([`drive`](crate::driver::drive)) or simulated.
pub struct Mesh<D: Payload> {
    /// In the order of their ids.
    pub workers: Vec<Worker<D>>,
    /// The consumers outside of the workers: one for each [`Target::External`] edge, in the order of the edges.
    pub externals: Vec<External<D>>,
    /// The handle from outside.
    pub control: Control,
}

/// Builds the workers of a job. `make` is called once for each stage and worker. `doorbells` are the workers' bells, made
/// before so that sources can hold them.
///
/// # Panics
/// If the topology does not hold together (an edge to nowhere, backwards or without room), or if there is not one bell
/// for each of at least one worker.
pub fn build<D: Payload>(
    topology: &Topology,
    workers: usize,
    doorbells: &Doorbells,
    mut make: impl FnMut(StageId, WorkerId) -> Box<dyn Operator<D>>,
) -> Mesh<D> {
    topology.check();
    assert!((1..=1024).contains(&workers), "a job has 1 to 1024 workers, not {workers}");
    assert_eq!(doorbells.len(), workers, "one bell for each worker");
    let external_bells = Doorbells::new(topology.edges.iter().filter(|edge| edge.to == Target::External).count());
    let control = Control::new(topology, doorbells, &external_bells);
    let mut sides: Vec<Vec<Sides<D>>> =
        (0..workers).map(|_| topology.stages.iter().map(|_| Sides::default()).collect()).collect();
    let mut externals = Vec::new();
    for (index, edge) in topology.edges.iter().enumerate() {
        let id = EdgeId(index as u16);
        match edge.to {
            Target::Stage(to) => connect(&mut sides, id, edge, to, doorbells),
            Target::External => {
                let bell = Ringer::new(&external_bells, WorkerId(externals.len() as u16));
                let lanes = connect_outside(&mut sides, id, edge, doorbells, &bell);
                externals.push(External::new(id, lanes, bell, &control));
            }
        }
    }
    let worker = |(index, sides): (usize, Vec<Sides<D>>)| {
        let id = WorkerId(index as u16);
        let stages = sides.into_iter().enumerate().map(|(stage, sides)| {
            let stage = StageId(stage as u16);
            Stage::new(stage, make(stage, id), sides.inlets, sides.outlets)
        });
        Worker::new(id, workers, stages.collect(), doorbells, &control)
    };
    let workers = sides.into_iter().enumerate().map(worker).collect();
    Mesh { workers, externals, control }
}

/// The lanes of one stage on one worker.
struct Sides<D: Payload> {
    inlets: Vec<Inlet<D>>,
    outlets: Vec<Outlet<D>>,
}

impl<D: Payload> Default for Sides<D> {
    fn default() -> Self {
        Self { inlets: Vec::new(), outlets: Vec::new() }
    }
}

/// Lanes from every worker to every worker.
fn connect<D: Payload>(sides: &mut [Vec<Sides<D>>], id: EdgeId, edge: &EdgeSpec, to: StageId, bells: &Doorbells) {
    for producer in 0..sides.len() {
        let from = WorkerId(producer as u16);
        let mut senders = Vec::with_capacity(sides.len());
        for (consumer, sides) in sides.iter_mut().enumerate() {
            let consumer_bell = Ringer::new(bells, WorkerId(consumer as u16));
            let (sender, receiver) = lane(edge.lane_capacity, Ringer::new(bells, from), consumer_bell);
            senders.push(sender);
            sides[usize::from(to.0)].inlets.push(Inlet { edge: id, from, lane: receiver });
        }
        let outlet = Outlet { edge: id, lanes: senders, is_external: false, blocked_nanos: 0 };
        sides[producer][usize::from(edge.from.0)].outlets.push(outlet);
    }
}

/// One lane from every worker to the consumer outside.
fn connect_outside<D: Payload>(
    sides: &mut [Vec<Sides<D>>],
    id: EdgeId,
    edge: &EdgeSpec,
    bells: &Doorbells,
    consumer: &Ringer,
) -> Vec<LaneReceiver<D>> {
    let connect = |(producer, sides): (usize, &mut Vec<Sides<D>>)| {
        let producer_bell = Ringer::new(bells, WorkerId(producer as u16));
        let (sender, receiver) = lane(edge.lane_capacity, producer_bell, consumer.clone());
        let outlet = Outlet { edge: id, lanes: vec![sender], is_external: true, blocked_nanos: 0 };
        sides[usize::from(edge.from.0)].outlets.push(outlet);
        receiver
    };
    sides.iter_mut().enumerate().map(connect).collect()
}
