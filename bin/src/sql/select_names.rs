//! What the columns of a SELECT are called: an expression without a name is EXPR$ and its position, a second column of one
//! name gets a number, as in Flink.

use std::collections::HashSet;

use sqlparser::ast::{AccessExpr, Expr, Ident, Select, SelectItem};

/// The name of an expression without one, at position `index` from 0.
pub(crate) fn unnamed(index: usize) -> String {
    format!("EXPR${index}")
}

/// Gives every item of the SELECT its name. `tables`: what the relations in FROM are called.
pub(crate) fn name_columns(select: &mut Select, tables: &HashSet<String>) {
    let mut taken: HashSet<String> = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (natural, is_plain) = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => (ident.value.clone(), true),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.last() {
                // A field of a row has no name of its own.
                Some(last) => (last.value.clone(), parts.len() == 2 && tables.contains(&parts[0].value)),
                None => continue,
            },
            SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { access_chain, .. }) => match access_chain.last() {
                Some(AccessExpr::Dot(Expr::Identifier(field))) => (field.value.clone(), false),
                _ => (unnamed(index), false),
            },
            SelectItem::UnnamedExpr(_) => (unnamed(index), false),
            SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), true),
            _ => continue,
        };
        let name = free_name(&natural, &taken);
        if let Some(expr) = expression_to_name(item, is_plain && name == natural) {
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name.clone()) };
        }
        taken.insert(name);
    }
}

/// The expression of an item that is to get another name.
fn expression_to_name(item: &SelectItem, has_its_name: bool) -> Option<Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if !has_its_name => Some(expr.clone()),
        _ => None,
    }
}

/// `name`, or `name0`, `name1`… if it is taken.
pub(crate) fn free_name(name: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(name) {
        return name.to_owned();
    }
    (0..).map(|number| format!("{name}{number}")).find(|name| !taken.contains(name)).unwrap_or_default()
}
