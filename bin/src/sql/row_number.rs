//! `ROW_NUMBER()` as DataFusion's planner knows it: a window function with a type. What it means is in `lower_rank`.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result as PlannerResult};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

/// Its name.
pub(crate) const ROW_NUMBER: &str = "ROW_NUMBER";

/// The function.
pub(crate) fn row_number() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(RowNumber { signature: Signature::nullary(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowNumber {
    signature: Signature,
}

impl WindowUDFImpl for RowNumber {
    fn name(&self) -> &str {
        ROW_NUMBER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> PlannerResult<Box<dyn PartitionEvaluator>> {
        Err(DataFusionError::Internal(format!("{ROW_NUMBER} is not evaluated by DataFusion")))
    }

    /// BIGINT NOT NULL.
    fn field(&self, args: WindowUDFFieldArgs) -> PlannerResult<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, false)))
    }
}
