//! UNNEST in the logical plan: a row for each value of an array or map, beside the columns of the row that has it.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Fields};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, Result as PlannerResult, TableReference};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use sqlparser::ast::{self, TableFactor};

use super::diagnostic::wrap;
use super::types::{FlinkType, TypeWithin};
use crate::error::{Error, Result, counted};

/// How a table factor names a call on its way to [`UnnestPlanner`]: `$unnest 3`. No name of the user's has a blank.
const MARKER: &str = "$unnest ";

/// The column of the input that is unnested. It goes no further: the user's own column goes on if it is used.
const ARRAY: &str = "$array";

/// An UNNEST, taken out of the syntax tree.
#[derive(Clone, Debug)]
pub(crate) struct UnnestCall {
    /// What stands before it in FROM.
    pub(crate) input: Option<TableFactor>,
    /// Its argument, ready.
    pub(crate) array: ast::Expr,
    /// Place of the argument.
    pub(crate) place: Range<usize>,
    pub(crate) alias: Option<ast::TableAlias>,
    pub(crate) is_outer: bool,
    pub(crate) with_ordinality: bool,
}

/// The table factor that stands for call number `index`.
pub(crate) fn marker(index: usize) -> TableFactor {
    let name = ast::Ident::new(format!("{MARKER}{index}"));
    TableFactor::TableFunction { expr: ast::Expr::Identifier(name), alias: None }
}

/// Plans the calls that the syntax tree's markers stand for.
#[derive(Debug)]
pub(crate) struct UnnestPlanner {
    /// By the number in the marker.
    pub(crate) calls: Arc<Vec<UnnestCall>>,
}

impl RelationPlanner for UnnestPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlannerResult<RelationPlanning> {
        let call = match &relation {
            TableFactor::TableFunction { expr: ast::Expr::Identifier(name), .. } => {
                name.value.strip_prefix(MARKER).and_then(|index| self.calls.get(index.parse::<usize>().ok()?))
            }
            _ => None,
        };
        let Some(call) = call else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let input = match &call.input {
            Some(input) => context.plan(input.clone())?,
            None => LogicalPlanBuilder::empty(true).build()?,
        };
        let array = context.sql_to_expr(call.array.clone(), input.schema())?;
        let (_, field) = array.to_field(input.schema())?;
        let names = names(call, &field, input.schema()).map_err(|error| wrap(error.at(call.place.clone())))?;
        let columns: Vec<Expr> = input.schema().iter().map(Expr::from).chain([array.alias(ARRAY)]).collect();
        let input = LogicalPlanBuilder::from(input).project(columns)?.build()?;
        let qualifier = call.alias.as_ref().map(|alias| TableReference::bare(alias.name.value.as_str()));
        let shape = Shape { qualifier, names, is_outer: call.is_outer, with_ordinality: call.with_ordinality };
        let node = Unnest::try_new(input, shape)?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// The names of the columns that an UNNEST adds.
fn names(call: &UnnestCall, array: &Field, input: &DFSchema) -> Result<Vec<String>> {
    let flink = FlinkType::from_field(array)?;
    let values = values_of(flink).ok_or_else(|| {
        Error::statement(format!("UNNEST takes an ARRAY or a MAP, not {flink}")).help("r.f takes a field of a ROW")
    })?;
    let mut names: Vec<String> = values.into_iter().map(|(name, _)| name).collect();
    if call.with_ordinality {
        names.push("ORDINALITY".to_owned());
    }
    if let Some(alias) = &call.alias {
        let given: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
        match (&given[..], &flink) {
            // An array of plain values without names for its columns lends its own to the only one.
            ([], FlinkType::Array(element)) if !matches!(element.flink, FlinkType::Row(_)) => {
                names[0].clone_from(&alias.name.value);
            }
            ([], _) => {}
            (given, _) if given.len() == names.len() => names = given.to_vec(),
            (given, _) => {
                return Err(Error::statement(format!(
                    "`{}` names {}, UNNEST of {flink} gives {}",
                    alias.name.value,
                    counted(given.len(), "column"),
                    names.len()
                ))
                .help("name them all, or none"));
            }
        }
    }
    let qualifier = call.alias.as_ref().map(|alias| alias.name.value.as_str());
    let is_taken = |(table, _): (Option<&TableReference>, &FieldRef)| {
        table.is_some() && table.map(TableReference::table) == qualifier
    };
    if input.iter().any(is_taken) {
        return Err(Error::statement(format!("two relations are called `{}`", qualifier.unwrap_or_default()))
            .help("give one of them another name: UNNEST(…) AS u (x)"));
    }
    let is_same = |name: &String| {
        qualifier.is_none() && input.iter().any(|(table, field)| table.is_none() && field.name() == name)
    };
    let repeated = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name) || is_same(name));
    match repeated {
        Some((_, name)) => Err(Error::statement(format!("there are two columns `{name}`"))
            .help("name the columns of UNNEST: UNNEST(…) AS u (a, b)")),
        None => Ok(names),
    }
}

/// The columns that the values of an array or map become, with Flink's names.
fn values_of(flink: FlinkType) -> Option<Vec<(String, TypeWithin)>> {
    match flink {
        FlinkType::Array(element) => Some(match element.flink {
            FlinkType::Row(row) => row
                .fields
                .iter()
                .map(|field| {
                    let is_nullable = field.value.is_nullable || element.is_nullable;
                    (field.name.clone(), TypeWithin { is_nullable, ..field.value })
                })
                .collect(),
            _ => vec![("EXPR$0".to_owned(), *element)],
        }),
        FlinkType::Map(map) => {
            let key = TypeWithin { flink: map.key, is_nullable: false };
            Some(vec![("KEY".to_owned(), key), ("VALUE".to_owned(), map.value)])
        }
        _ => None,
    }
}

/// What comes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// The alias.
    qualifier: Option<TableReference>,
    /// Of the columns that are added.
    names: Vec<String>,
    pub(crate) is_outer: bool,
    pub(crate) with_ordinality: bool,
}

/// The input's columns but for [`ARRAY`], then those of its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unnest {
    pub(crate) input: Arc<LogicalPlan>,
    pub(crate) shape: Shape,
    schema: DFSchemaRef,
}

impl Unnest {
    fn try_new(input: LogicalPlan, shape: Shape) -> PlannerResult<Self> {
        let schema = Self::schema_over(input.schema(), &shape)?;
        Ok(Self { input: Arc::new(input), shape, schema })
    }

    fn schema_over(input: &DFSchema, shape: &Shape) -> PlannerResult<DFSchemaRef> {
        let array = input.field_with_unqualified_name(ARRAY)?;
        let flink = FlinkType::from_field(array).map_err(wrap)?;
        let values = values_of(flink).ok_or_else(|| DataFusionError::Internal(format!("UNNEST of {flink}")))?;
        let mut fields: Vec<_> = input
            .iter()
            .filter(|(_, field)| field.name() != ARRAY)
            .map(|(table, field)| (table.cloned(), Arc::clone(field)))
            .collect();
        let number = TypeWithin { flink: FlinkType::Int, is_nullable: false };
        let types = values.into_iter().map(|(_, value)| value).chain(shape.with_ordinality.then_some(number));
        for (name, value) in shape.names.iter().zip(types) {
            let field = value.flink.to_field(name, value.is_nullable || shape.is_outer);
            fields.push((shape.qualifier.clone(), Arc::new(field)));
        }
        Ok(Arc::new(DFSchema::new_with_metadata(fields, input.metadata().clone())?))
    }

    /// Index of the column that is unnested among the input's.
    pub(crate) fn array(&self) -> Option<usize> {
        self.input.schema().fields().iter().position(|field| field.name() == ARRAY)
    }

    /// All columns.
    pub(crate) fn schema_fields(&self) -> &Fields {
        self.schema.fields()
    }

    /// How many columns are added.
    pub(crate) fn added(&self) -> usize {
        self.shape.names.len()
    }
}

impl PartialOrd for Unnest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.shape.names.cmp(&other.shape.names) {
            Ordering::Equal => self.input.partial_cmp(&other.input),
            unequal => Some(unequal),
        }
    }
}

impl UserDefinedLogicalNodeCore for Unnest {
    fn name(&self) -> &'static str {
        "Unnest"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        self.shape.names.iter().cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unnest: {}", self.shape.names.join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlannerResult<Self> {
        match inputs.pop() {
            Some(input) => Self::try_new(input, self.shape.clone()),
            None => Err(DataFusionError::Internal("an UNNEST without its input".to_owned())),
        }
    }

    /// The array is needed whatever columns are used above.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let array = self.array()?;
        let kept = self.input.schema().fields().len() - 1;
        let of_input = |column: usize| if column < array { column } else { column + 1 };
        let needed = output_columns.iter().filter(|column| **column < kept).map(|column| of_input(*column));
        let mut needed: Vec<usize> = needed.chain([array]).collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
