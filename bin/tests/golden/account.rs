//! Accounts must balance: every row that was read is accounted for, counted at independent places.

use thalweg::job::{Account, OperatorAccount};
use thalweg::plan::strategy::Basis;

use crate::case::Case;

/// Checks the identities of `account`, and its late and rejected rows against what the case says.
pub fn check(account: &Account, case: &Case, late_expected: u64) -> Result<(), String> {
    balance(account)?;
    let late: u64 = account.operators.iter().map(|operator| operator.late).sum();
    if late != late_expected {
        return Err(format!("{late} late rows, {late_expected} expected"));
    }
    let decoded: u64 = account.sources.iter().map(|source| source.rejected).sum();
    let failed: u64 = account.operators.iter().map(|operator| operator.failed).sum();
    if decoded + failed != case.rejected() {
        return Err(format!("{decoded} rejected records and {failed} failed rows, {} expected", case.rejected()));
    }
    Ok(())
}

/// What must be the same however a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    records: u64,
    rejected: u64,
    folded: u64,
    passed: u64,
    late: u64,
    /// Those that were not read included: how many depends on where the input is cut.
    filtered: u64,
    unnested: u64,
    produced: u64,
    emitted: u64,
}

impl Totals {
    /// Of a case whose changes differ from run to run (`is_net`), how many there were does not count.
    pub fn new(account: &Account, is_net: bool) -> Self {
        let all = Self::of(account);
        if is_net { Self { folded: 0, passed: 0, filtered: 0, emitted: 0, ..all } } else { all }
    }

    fn of(account: &Account) -> Self {
        let sum = |of: fn(&OperatorAccount) -> u64| account.operators.iter().map(of).sum::<u64>();
        Self {
            records: account.records(),
            rejected: account.rejected(),
            folded: sum(|operator| operator.folded),
            passed: sum(|operator| operator.passed),
            late: account.late(),
            filtered: sum(|operator| operator.filtered) + account.unread(),
            unnested: sum(|operator| operator.unnested),
            produced: sum(|operator| operator.produced),
            emitted: account.emitted,
        }
    }
}

/// Whether the state of some GROUP BY could be shared by any strategy: sources feed it.
pub fn has_choice(account: &Account) -> bool {
    account.aggregations.iter().any(|aggregation| aggregation.decision.basis != Basis::Later)
}

/// Source: records = rows + rejected + unread. Operator: in + produced + taken = folded + passed + filtered + late + failed +
/// unnested + handed. Edge: sent = received.
/// Worked out here, beside the engine's own check, which must agree.
pub fn balance(account: &Account) -> Result<(), String> {
    for source in &account.sources {
        if source.records != source.rows + source.rejected + source.unread {
            return Err(format!("the account of a source does not balance: {source:?}"));
        }
    }
    for operator in &account.operators {
        let rows_out = operator.folded + operator.passed + operator.handed;
        let left_out = operator.filtered + operator.late + operator.failed + operator.unnested;
        if operator.rows_in + operator.produced + operator.taken != rows_out + left_out {
            return Err(format!("the account of an operator does not balance: {operator:?}"));
        }
    }
    let handed: u64 = account.operators.iter().map(|operator| operator.handed).sum();
    let taken: u64 = account.operators.iter().map(|operator| operator.taken).sum();
    if handed != taken {
        return Err(format!("{handed} rows were handed on to be folded, {taken} were taken"));
    }
    let rejected: u64 = account.sources.iter().map(|source| source.rejected).sum();
    let failed: u64 = account.operators.iter().map(|operator| operator.failed).sum();
    let reasons: u64 = account.sources.iter().map(|source| source.rejects.total()).sum();
    if reasons != rejected + failed {
        return Err(format!("{reasons} rejects have a reason, {rejected} records and {failed} rows were rejected"));
    }
    for edge in &account.edges {
        if edge.sent != edge.received {
            return Err(format!("the account of an edge does not balance: {edge:?}"));
        }
    }
    account.check().map_err(|why| format!("the engine's own check disagrees with ours: {why}"))
}
