//! VALUES: a table whose rows stand in the query. Each column has the least type that holds the values of all rows.

use std::sync::Arc;

use arrow_schema::Field;
use datafusion_common::{DFSchema, Result as PlannerResult, ScalarValue};
use datafusion_expr::logical_plan::Values;
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan};
use sqlparser::ast::{self, Select, SelectItem, Spanned, TableFactor, TableWithJoins};
use sqlparser::tokenizer::Span;

use super::blank_query::empty_select;
use super::diagnostic::{statement_error, wrap};
use super::rewrite::Rewriter;
use super::select_names;
use super::text::SqlText;
use super::types::FlinkType;
use super::typing::{common_type, implicit, type_of, typed};
use crate::error::{Error, Result, counted};

/// How a table factor names a table on its way to [`ValuesPlanner`]: `$values 3`. No name of the user's has a blank.
const MARKER: &str = "$values ";

/// The rows of one VALUES, taken out of the syntax tree. The front-end would give their columns types of its own.
#[derive(Clone, Debug)]
pub(crate) struct ValuesTable {
    /// Row by row; all have as many cells, and at least one.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One value of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Ready.
    pub(crate) value: ast::Expr,
    /// Where it stands.
    span: Span,
    /// Whether it is `'…'` or `X'…'`, whose type has the length of just this value.
    is_plain: bool,
}

/// Makes the rows of VALUES ready, and gives the SELECT that reads them. Flink calls the columns EXPR$0, EXPR$1…
///
/// # Errors
/// If the rows have different numbers of values.
pub(crate) fn rewrite(rewriter: &mut Rewriter<'_>, values: ast::Values) -> Result<Select> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let mut rows = Vec::with_capacity(values.rows.len());
    for row in values.rows {
        if row.content.len() != width {
            let span = Span::union_iter(row.content.iter().map(Spanned::span));
            let message = format!("this row has {}, the first one has {width}", counted(row.content.len(), "value"));
            return Err(rewriter.refuse(span, message, "all rows of VALUES have the same number of values"));
        }
        let cell = |mut value: ast::Expr| {
            let span = value.span();
            let is_plain = matches!(&value, ast::Expr::Value(literal) if matches!(
                literal.value,
                ast::Value::SingleQuotedString(_) | ast::Value::HexStringLiteral(_)
            ));
            rewriter.expression(&mut value, "VALUES")?;
            Ok(Cell { value, span, is_plain })
        };
        rows.push(row.content.into_iter().map(cell).collect::<Result<Vec<_>>>()?);
    }
    rewriter.values.push(ValuesTable { rows });
    let name = ast::Ident::new(format!("{MARKER}{}", rewriter.values.len() - 1));
    let relation = TableFactor::TableFunction { expr: ast::Expr::Identifier(name), alias: None };
    Ok(Select {
        projection: vec![SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())],
        from: vec![TableWithJoins { relation, joins: Vec::new() }],
        ..empty_select()
    })
}

/// The table that a table factor stands for, if it is a marker.
pub(crate) fn table_of<'a>(factor: &TableFactor, tables: &'a [ValuesTable]) -> Option<&'a ValuesTable> {
    match factor {
        TableFactor::TableFunction { expr: ast::Expr::Identifier(name), .. } => {
            name.value.strip_prefix(MARKER).and_then(|index| tables.get(index.parse::<usize>().ok()?))
        }
        _ => None,
    }
}

/// Plans the tables that the syntax tree's markers stand for.
#[derive(Debug)]
pub(crate) struct ValuesPlanner {
    /// By the number in the marker.
    pub(crate) tables: Arc<Vec<ValuesTable>>,
    /// What the places of the cells are in.
    pub(crate) text: Option<Arc<SqlText>>,
}

impl RelationPlanner for ValuesPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlannerResult<RelationPlanning> {
        let Some(table) = table_of(&relation, &self.tables) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = self.plan(table, context).map_err(wrap)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

impl ValuesPlanner {
    fn plan(&self, table: &ValuesTable, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let mut rows: Vec<Vec<TypedCell>> = Vec::with_capacity(table.rows.len());
        for row in &table.rows {
            let cells = row.iter().map(|cell| self.cell(cell, context));
            rows.push(cells.collect::<Result<_>>()?);
        }
        let mut fields = Vec::with_capacity(rows.first().map_or(0, Vec::len));
        for column in 0..fields.capacity() {
            let to = self.common_type_of(table, &rows, column)?;
            let mut is_nullable = false;
            for (row, cells) in rows.iter_mut().enumerate() {
                let cell = &mut cells[column];
                is_nullable |= cell.is_nullable;
                let value = std::mem::replace(&mut cell.value, Expr::Literal(ScalarValue::Null, None));
                let place = |error| self.at(error, &table.rows[row][column]);
                cell.value = implicit(value, cell.flink, to).map_err(place)?;
            }
            let name = select_names::unnamed(column);
            let field = match to {
                // No type of a column that could be written down.
                FlinkType::Null => Field::new(name, to.to_arrow(), true),
                to => to.to_field(name, is_nullable),
            };
            fields.push((None, Arc::new(field)));
        }
        let schema = DFSchema::new_with_metadata(fields, std::collections::HashMap::new())
            .map_err(|error| Error::internal(error.strip_backtrace()))?;
        let values = rows.into_iter().map(|row| row.into_iter().map(|cell| cell.value).collect()).collect();
        Ok(LogicalPlan::Values(Values { schema: Arc::new(schema), values }))
    }

    fn cell(&self, cell: &Cell, context: &mut dyn RelationPlannerContext) -> Result<TypedCell> {
        let nothing = DFSchema::empty();
        let planned = context
            .sql_to_expr(cell.value.clone(), &nothing)
            .and_then(|value| typed(value, &nothing))
            .and_then(|value| Ok((type_of(&value, &nothing)?, value.nullable(&nothing)?, value)));
        let (widest, is_nullable, value) = planned.map_err(|error| match &self.text {
            Some(text) => self.at(statement_error(&error, text), cell),
            None => Error::internal(error.strip_backtrace()),
        })?;
        let flink = if cell.is_plain { type_of_literal(&value).unwrap_or(widest) } else { widest };
        Ok(TypedCell { value, flink, is_nullable })
    }

    fn common_type_of(&self, table: &ValuesTable, rows: &[Vec<TypedCell>], column: usize) -> Result<FlinkType> {
        let mut common = FlinkType::Null;
        for (row, cells) in rows.iter().enumerate() {
            let flink = cells[column].flink;
            common = common_type(&[common, flink]).ok_or_else(|| {
                let (row_number, column_number) = (row + 1, column + 1);
                let error = Error::statement(format!(
                    "row {row_number} of VALUES has {flink} in column {column_number}, where the rows before it have {common}"
                ))
                .help(format!("no type holds both: CAST(… AS {common}), if that is meant, or cast both to one type"));
                self.at(error, &table.rows[row][column])
            })?;
        }
        Ok(common)
    }

    fn at(&self, error: Error, cell: &Cell) -> Error {
        let place = self.text.as_ref().and_then(|text| text.place(cell.span));
        place.into_iter().fold(error, Error::at)
    }
}

/// A value with its type, of which Arrow's type may know less.
struct TypedCell {
    value: Expr,
    flink: FlinkType,
    is_nullable: bool,
}

/// Flink's type of `'…'` is CHAR, of `X'…'` BINARY, each as long as it is; of an empty one, that of a single character.
fn type_of_literal(value: &Expr) -> Option<FlinkType> {
    let length = |count: usize| u32::try_from(count.max(1)).ok();
    match value {
        Expr::Literal(ScalarValue::Utf8View(Some(text)), _) => length(text.chars().count()).map(FlinkType::Char),
        Expr::Literal(ScalarValue::BinaryView(Some(bytes)), _) => length(bytes.len()).map(FlinkType::Binary),
        _ => None,
    }
}
