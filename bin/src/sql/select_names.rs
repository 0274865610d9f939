//! What the columns of a SELECT are called: an expression without a name is EXPR$ and its position, a second column of one
//! name gets a number, as in Flink.

use std::collections::HashSet;

use sqlparser::ast::{Expr, Ident, Select, SelectItem};

/// The name of an expression without one, at position `index` from 0.
pub(crate) fn unnamed(index: usize) -> String {
    format!("EXPR${index}")
}

/// Gives every item of the SELECT its name.
pub(crate) fn name_columns(select: &mut Select) {
    let mut taken: HashSet<String> = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (natural, is_plain) = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => (ident.value.clone(), true),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.last() {
                Some(last) => (last.value.clone(), true),
                None => continue,
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
