//! Accounts must balance: every row that was read is accounted for, counted at independent places.

use thalweg::job::Account;

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

/// Source: records = rows + rejected + unread. Operator: in + produced = folded + passed + filtered + late + failed + unnested.
/// Edge: sent = received.
/// Worked out here, beside the engine's own check, which must agree.
pub fn balance(account: &Account) -> Result<(), String> {
    for source in &account.sources {
        if source.records != source.rows + source.rejected + source.unread {
            return Err(format!("the account of a source does not balance: {source:?}"));
        }
    }
    for operator in &account.operators {
        let out =
            operator.folded + operator.passed + operator.filtered + operator.late + operator.failed + operator.unnested;
        if operator.rows_in + operator.produced != out {
            return Err(format!("the account of an operator does not balance: {operator:?}"));
        }
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
