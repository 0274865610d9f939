//! Which columns of a scan may stay codes of a dictionary: strings that nothing looks at but the key of a GROUP BY.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use thalweg_operators::expr::{EvaluateError, Scalar};
use thalweg_operators::key::coded_type;
use thalweg_operators::spec::GroupSpec;

use super::WatermarkStrategy;
use super::stages::{Head, Stage, Step, Tail};

impl Stage {
    /// Lets columns of the scan come as codes, if its source can give them and this stage ends in a GROUP BY.
    pub(super) fn take_codes(&mut self) {
        let Self { head: Head::Scan { table, columns, codes, .. }, steps, tail: Tail::Fold { spec, .. }, .. } = self
        else {
            return;
        };
        if !table.connector.gives_codes() {
            return;
        }
        let is_text = |column: &usize| *table.schema.field(*column).data_type() == DataType::Utf8View;
        let Some(mut trace) = Trace::new(columns.len()).through(steps) else { return };
        let keys = trace.end(spec);
        codes.extend(keys.into_iter().filter(|place| is_text(&columns[*place])));
        pass_on(steps, codes, columns.len());
    }
}

/// The fields of `columns` of a table, those at `codes` among them as codes.
#[must_use]
pub fn coded_fields(schema: &Schema, columns: &[usize], codes: &[usize]) -> SchemaRef {
    let fields = columns.iter().enumerate().map(|(place, column)| match codes.contains(&place) {
        true => Arc::new(schema.field(*column).clone().with_data_type(coded_type())),
        false => Arc::clone(&schema.fields()[*column]),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns of a scan on their way through steps.
struct Trace {
    /// For each column after the steps so far: the one of the scan, unless it was computed.
    columns: Vec<Option<usize>>,
    /// Those of the scan that something looked at.
    looked_at: BTreeSet<usize>,
}

impl Trace {
    fn new(columns: usize) -> Self {
        Self { columns: (0..columns).map(Some).collect(), looked_at: BTreeSet::new() }
    }

    /// Behind these steps; `None` if one of them is not followed.
    fn through(mut self, steps: &[Step]) -> Option<Self> {
        for step in steps {
            match step {
                Step::Watermark { time_column, strategy } => {
                    self.look_at([*time_column]);
                    if let WatermarkStrategy::Expression(expression) = strategy {
                        self.look_at(expression.columns());
                    }
                }
                Step::Filter { predicate, .. } => self.look_at(predicate.columns()),
                Step::Project(expressions, _) => {
                    let computed = expressions.iter().filter(|expression| expression.column().is_none());
                    computed.for_each(|expression| self.look_at(expression.columns()));
                    let passed = |expression: &Arc<dyn Scalar>| self.columns[expression.column()?];
                    self.columns = expressions.iter().map(passed).collect();
                }
                Step::Unnest(_) => return None,
            }
        }
        Some(self)
    }

    fn look_at(&mut self, columns: impl IntoIterator<Item = usize>) {
        self.looked_at.extend(columns.into_iter().filter_map(|column| self.columns[column]));
    }

    /// The columns of the scan that the GROUP BY has as keys, and nobody looked at.
    fn end(&mut self, spec: &GroupSpec) -> BTreeSet<usize> {
        let arguments =
            spec.aggregates.iter().flat_map(|aggregate| aggregate.argument.into_iter().chain(aggregate.filter));
        self.look_at(arguments.chain(spec.window.map(|window| window.time_column)).collect::<Vec<_>>());
        let keys = spec.keys.iter().filter_map(|key| self.columns[key.column]);
        keys.filter(|column| !self.looked_at.contains(column)).collect()
    }
}

/// Makes the projections among the steps pass on the columns at `codes` of the scan's as the codes that they are.
fn pass_on(steps: &mut [Step], codes: &[usize], columns: usize) {
    let mut is_coded: Vec<bool> = (0..columns).map(|place| codes.contains(&place)).collect();
    for step in steps {
        let Step::Project(expressions, schema) = step else { continue };
        let mut fields = schema.fields().to_vec();
        let mut is_coded_now = vec![false; expressions.len()];
        for (place, expression) in expressions.iter_mut().enumerate() {
            let Some(column) = expression.column().filter(|column| is_coded[*column]) else { continue };
            is_coded_now[place] = true;
            fields[place] = Arc::new(Field::clone(&fields[place]).with_data_type(coded_type()));
            *expression = Arc::new(CodedColumn { column, name: expression.describe() });
        }
        *schema = Arc::new(Schema::new(fields));
        is_coded = is_coded_now;
    }
}

/// A column of codes.
#[derive(Debug)]
struct CodedColumn {
    column: usize,
    name: String,
}

impl Scalar for CodedColumn {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, EvaluateError> {
        let missing = || EvaluateError {
            message: format!("internal error: the batch has no column {}", self.column),
            expression: self.name.clone(),
        };
        batch.columns().get(self.column).cloned().ok_or_else(missing)
    }

    fn data_type(&self) -> DataType {
        coded_type()
    }

    fn column(&self) -> Option<usize> {
        Some(self.column)
    }

    fn columns(&self) -> Vec<usize> {
        vec![self.column]
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
