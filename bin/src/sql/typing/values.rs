//! VALUES: each column gets one type of Flink.

use std::sync::Arc;

use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::logical_plan::{LogicalPlan, Values};
use datafusion_expr::{Expr, ExprSchemable};

use super::{common_type, folded, implicit, type_of};
use crate::error::Error;
use crate::sql::functions::binding::to_datafusion;

/// The front-end casts the rows of VALUES to its own common types; those casts go. The user's are functions by now.
pub(super) fn without_invented_casts(mut values: Values) -> Values {
    for cell in values.values.iter_mut().flatten() {
        if let Expr::Cast(call) = cell {
            *cell = std::mem::replace(&mut *call.expr, Expr::Literal(ScalarValue::Null, None));
        }
    }
    values
}

/// Gives each column of VALUES one type.
pub(super) fn typed_values(values: Values) -> datafusion_common::Result<LogicalPlan> {
    let empty = DFSchema::empty();
    let mut rows = values.values;
    let mut fields = Vec::with_capacity(values.schema.fields().len());
    for (column, (qualifier, field)) in values.schema.iter().enumerate() {
        let types = rows.iter().map(|row| type_of(&row[column], &empty)).collect::<Result<Vec<_>, _>>()?;
        let to = common_type(&types).ok_or_else(|| {
            let listed: Vec<_> = types.iter().map(ToString::to_string).collect();
            to_datafusion(
                Error::statement(format!("column {} of VALUES has the types {}", column + 1, listed.join(", ")))
                    .help("cast the values to one type"),
            )
        })?;
        let mut nullable = false;
        for (row, from) in rows.iter_mut().zip(types) {
            nullable |= row[column].nullable(&empty)?;
            let value = std::mem::replace(&mut row[column], Expr::Literal(ScalarValue::Null, None));
            row[column] = folded(implicit(value, from, to).map_err(to_datafusion)?);
        }
        let typed = arrow_schema::Field::new(field.name(), to.to_arrow(), nullable);
        fields.push((qualifier.cloned(), Arc::new(typed)));
    }
    let schema = DFSchema::new_with_metadata(fields, values.schema.metadata().clone())?;
    Ok(LogicalPlan::Values(Values { schema: Arc::new(schema), values: rows }))
}
