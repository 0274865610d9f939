//! `SELECT *, a + 1`: a star beside other columns.

use std::sync::Arc;

use arrow_schema::FieldRef;
use datafusion_common::TableReference;
use sqlparser::ast::{self, Expr, Ident, Select, SelectItem, SetExpr, TableWithJoins};

use super::binder::plan;
use super::blank_query::{empty_select, query_of};
use super::rewrite::{Rewriter, Rewritten};
use crate::error::Result;

/// Writes out a star that is not alone, so that the columns beside it get their names and positions.
pub(crate) fn expand(rewriter: &Rewriter<'_>, select: &mut Select) {
    let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if select.projection.len() < 2 || !select.projection.iter().any(is_star) {
        return;
    }
    let Ok(columns) = columns_of(rewriter, &select.from) else {
        // What is wrong there comes to light when the query itself is planned.
        return;
    };
    let items = std::mem::take(&mut select.projection).into_iter().flat_map(|item| {
        let table = match &item {
            SelectItem::Wildcard(_) => None,
            SelectItem::QualifiedWildcard(ast::SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone())
            }
            _ => return vec![item],
        };
        let chosen = columns.iter().filter(|(of_table, _)| table.is_none() || table == *of_table);
        let chosen = chosen.map(|(table, column)| {
            let parts = table.iter().chain([column]).map(|part| Ident::with_quote('`', part));
            SelectItem::UnnamedExpr(match table {
                Some(_) => Expr::CompoundIdentifier(parts.collect()),
                None => Expr::Identifier(Ident::with_quote('`', column)),
            })
        });
        let chosen: Vec<SelectItem> = chosen.collect();
        if chosen.is_empty() { vec![item] } else { chosen }
    });
    select.projection = items.collect();
}

/// The columns of FROM, each with its table.
fn columns_of(rewriter: &Rewriter<'_>, from: &[TableWithJoins]) -> Result<Vec<(Option<String>, String)>> {
    let select = Select {
        projection: vec![SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())],
        from: from.to_vec(),
        ..empty_select()
    };
    let mut query = query_of(SetExpr::Select(Box::new(select)));
    if !rewriter.ctes.is_empty() {
        let with_token = ast::helpers::attached_token::AttachedToken::empty();
        query.with = Some(ast::With { with_token, recursive: false, cte_tables: rewriter.ctes.clone() });
    }
    let rewritten = Rewritten {
        query,
        windows: Arc::new(rewriter.windows.clone()),
        unnests: Arc::new(rewriter.unnests.clone()),
        values: Arc::new(rewriter.values.clone()),
        files: rewriter.files.clone(),
        text: Arc::clone(rewriter.text),
        span: rewriter.whole.clone(),
    };
    let plan = plan(&rewritten, rewriter.scope.catalog, rewriter.scope.functions)?;
    let column = |(table, field): (Option<&TableReference>, &FieldRef)| {
        (table.map(|table| table.table().to_owned()), field.name().clone())
    };
    Ok(plan.schema().iter().map(column).collect())
}
