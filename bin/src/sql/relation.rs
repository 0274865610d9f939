//! A lowered input: a plan node, and where each column of the logical plan is found in it.
//!
//! The columns of a window that nobody grouped yet are not computed: a slot remembers the time column that they follow
//! from, and only an expression that uses them computes them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DataFusionError};
use datafusion_expr::Expr;
use thalweg_operators::expr::Scalar;
use thalweg_operators::spec::{WindowKind, WindowShape, Windows};
use thalweg_operators::unnest::{UnnestBy, UnnestSpec};

use super::compile::{column_tests, compile};
use super::lower_unnest::check_unnests;
use super::select_names::free_name;
use super::window::WindowPart;
use super::window_bound::WindowBound;
use crate::error::{Error, Result};
use crate::plan::pruning::ColumnTest;
use crate::plan::{Node, NodeOp};

/// A node and the places of the logical plan's columns in it. The node may have more columns, and in another order; their
/// names are distinct.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) node: Node,
    /// One for each column of the logical plan.
    pub(crate) slots: Vec<Slot>,
}

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The node's column that holds it; `None` for a window's column that is not computed.
    pub(crate) column: Option<usize>,
    /// What it is of which window.
    pub(crate) window: Option<WindowColumn>,
}

/// A column of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowColumn {
    pub(crate) part: WindowPart,
    /// The node's column of the time that the window is of.
    pub(crate) time: usize,
    pub(crate) shape: WindowShape,
    /// The time is the window's last instant: the row is in its window already.
    pub(crate) is_given: bool,
}

impl WindowColumn {
    /// Whether both are of one window.
    pub(crate) fn is_same_window(&self, other: &Self) -> bool {
        (self.time, self.shape, self.is_given) == (other.time, other.shape, other.is_given)
    }

    /// Whether the row may be in several windows, so that it is to become as many rows.
    pub(crate) fn has_overlaps(&self) -> bool {
        !matches!(self.shape.kind, WindowKind::Tumble) && !self.is_given
    }
}

impl Slot {
    /// The windows that overlap, of a column that is not computed.
    fn open_window(&self) -> Option<WindowColumn> {
        self.window.filter(|window| self.column.is_none() && window.has_overlaps())
    }

    /// A column that is there.
    pub(crate) fn column(column: usize) -> Self {
        Self { column: Some(column), window: None }
    }
}

impl Relation {
    /// A node whose columns are the logical plan's.
    pub(crate) fn of(node: Node) -> Self {
        let slots = (0..node.schema.fields().len()).map(Slot::column).collect();
        Self { node, slots }
    }

    /// The windows that overlap and that no row was put into yet. There is one call at most.
    pub(crate) fn open_window(&self) -> Option<WindowColumn> {
        self.slots.iter().find_map(Slot::open_window)
    }

    /// Whether both bounds of the windows that no row was put into yet are among these slots, so that they are not lost.
    pub(crate) fn keeps_open_window<'s>(slots: impl Iterator<Item = &'s Slot> + Clone) -> bool {
        let has = |part| slots.clone().filter_map(Slot::open_window).any(|window| window.part == part);
        has(WindowPart::Start) && has(WindowPart::End)
    }

    /// The same relation in which a row is there once for every window that holds it.
    ///
    /// # Errors
    /// If rows have become several too often on the way.
    pub(crate) fn spread(self) -> Result<Self> {
        let Some(open) = self.open_window() else { return Ok(self) };
        let Self { node, mut slots } = self;
        check_unnests(&node)?;
        let schema = Arc::clone(&node.schema);
        let mut fields: Vec<FieldRef> = schema.fields().to_vec();
        let mut names: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        let first = fields.len();
        for part in [WindowPart::Start, WindowPart::End, WindowPart::Time] {
            let field = WindowBound::new(WindowColumn { part, ..open }, schema.field(open.time)).field();
            let name = free_name(field.name(), &names);
            names.insert(name.clone());
            fields.push(Arc::new(field.with_name(name)));
        }
        for slot in &mut slots {
            if let Some(window) = slot.open_window() {
                slot.column = Some(first + window.part as usize);
                slot.window = Some(WindowColumn { time: first + 2, is_given: true, ..window });
            }
        }
        let windows = Windows { time_column: open.time, shape: open.shape, is_given: false };
        let schema = Arc::new(Schema::new(fields));
        let spec = UnnestSpec {
            by: UnnestBy::Windows(windows),
            kept: (0..first).collect(),
            is_outer: false,
            with_ordinality: false,
            schema: Arc::clone(&schema),
        };
        Ok(Self { node: Node { schema, op: NodeOp::Unnest { input: Box::new(node), spec } }, slots })
    }

    /// Compiles an expression over the logical plan's columns, whose schema is `logical`.
    ///
    /// # Errors
    /// If it cannot be compiled.
    pub(crate) fn compile(&self, expr: &Expr, logical: &DFSchema) -> Result<Arc<dyn Scalar>> {
        self.compile_physical(&self.physical(expr, logical)?)
    }

    /// What a predicate over the logical plan's columns asks of single columns of the node.
    ///
    /// # Errors
    /// If it uses what is not there.
    pub(crate) fn column_tests(&self, predicate: &Expr, logical: &DFSchema) -> Result<Vec<ColumnTest>> {
        let schema = DFSchema::try_from(Arc::clone(&self.node.schema)).map_err(|error| internal(&error))?;
        Ok(column_tests(&self.physical(predicate, logical)?, &schema))
    }

    fn compile_physical(&self, expr: &Expr) -> Result<Arc<dyn Scalar>> {
        let schema = DFSchema::try_from(Arc::clone(&self.node.schema)).map_err(|error| internal(&error))?;
        compile(expr, &schema)
    }

    /// The same expression over the node's columns. What it uses of a window is computed already.
    fn physical(&self, expr: &Expr, logical: &DFSchema) -> Result<Expr> {
        let replaced = expr.clone().transform(|expr| match expr {
            Expr::Column(column) => match self.slots[index_of(&column, logical)?].column {
                Some(index) => Ok(Transformed::yes(self.column_expr(index))),
                None => Err(DataFusionError::Internal(format!("{column} is not computed"))),
            },
            other => Ok(Transformed::no(other)),
        });
        replaced.map(|replaced| replaced.data).map_err(|error| internal(&error))
    }

    fn column_expr(&self, index: usize) -> Expr {
        Expr::Column(Column::new_unqualified(self.node.schema.field(index).name()))
    }

    /// The slot of an expression that is no more than a column, whatever its alias.
    pub(crate) fn slot_of(&self, expr: &Expr, logical: &DFSchema) -> Option<Slot> {
        match expr {
            Expr::Alias(alias) => self.slot_of(&alias.expr, logical),
            Expr::Column(column) => self.slots.get(index_of(column, logical).ok()?).copied(),
            _ => None,
        }
    }

    /// The same relation in which every column of a window that these expressions use is computed.
    ///
    /// # Errors
    /// If an expression uses what is not there.
    pub(crate) fn with_computed<'e>(
        self,
        expressions: impl IntoIterator<Item = &'e Expr>,
        logical: &DFSchema,
    ) -> Result<Self> {
        let mut used = Vec::new();
        for expression in expressions {
            let visited = expression.apply(|expr| {
                if let Expr::Column(column) = expr {
                    used.push(index_of(column, logical)?);
                }
                Ok(TreeNodeRecursion::Continue)
            });
            visited.map_err(|error| internal(&error))?;
        }
        self.with_slots_computed(&used)
    }

    /// The same relation in which these slots have a column.
    ///
    /// # Errors
    /// If a slot is nowhere.
    pub(crate) fn with_slots_computed(self, slots: &[usize]) -> Result<Self> {
        let is_open = |slot: &Slot| slot.open_window().is_some();
        if slots.iter().any(|slot| is_open(&self.slots[*slot])) {
            return self.spread()?.with_slots_computed(slots);
        }
        if slots.iter().all(|slot| self.slots[*slot].column.is_some()) {
            return Ok(self);
        }
        let logical = DFSchema::empty();
        let mut builder = ProjectionBuilder::new(&self, &logical);
        for column in 0..self.node.schema.fields().len() {
            builder.pass(column);
        }
        let mut computed = self.slots.clone();
        for &slot in slots {
            if computed[slot].column.is_none() {
                computed[slot].column = Some(builder.push_slot(computed[slot], None)?);
            }
        }
        let projection = builder.finish()?;
        Ok(Self { node: projection.over(self.node), slots: computed })
    }
}

/// Index of a column in a logical plan's schema.
fn index_of(column: &Column, logical: &DFSchema) -> Result<usize, DataFusionError> {
    logical.maybe_index_of_column(column).ok_or_else(|| {
        DataFusionError::Internal(format!("the column {column} is not among {:?}", logical.field_names()))
    })
}

pub(crate) fn internal(error: &DataFusionError) -> Error {
    Error::internal(error.strip_backtrace())
}

/// Gathers the columns of a projection over one relation.
pub(crate) struct ProjectionBuilder<'a> {
    input: &'a Relation,
    logical: &'a DFSchema,
    columns: Vec<NewColumn>,
    fields: Vec<FieldRef>,
    names: HashSet<String>,
}

/// How a column of a projection is made of the node's columns.
#[derive(Clone, Debug, PartialEq)]
enum NewColumn {
    Expression(Expr),
    Window(WindowBound),
}

impl<'a> ProjectionBuilder<'a> {
    /// Over `input`, the lowered form of a plan whose schema is `logical`.
    pub(crate) fn new(input: &'a Relation, logical: &'a DFSchema) -> Self {
        Self { input, logical, columns: Vec::new(), fields: Vec::new(), names: HashSet::new() }
    }

    /// Adds a column of its own, with the name and nullability of `field`.
    ///
    /// # Errors
    /// If the expression uses what is not there.
    pub(crate) fn push(&mut self, expr: &Expr, field: &Field) -> Result<usize> {
        let physical = self.input.physical(expr, self.logical)?;
        Ok(self.push_column(NewColumn::Expression(unaliased(physical)), field))
    }

    /// Adds a column, or finds the one that is equal.
    ///
    /// # Errors
    /// As for `push`.
    pub(crate) fn share(&mut self, expr: &Expr, field: &Field) -> Result<usize> {
        let column = NewColumn::Expression(unaliased(self.input.physical(expr, self.logical)?));
        Ok(self.find_or_push(column, field))
    }

    /// Adds a column that holds the slot's value, with the name and nullability of `field` if there is one.
    ///
    /// # Errors
    /// If the slot is nowhere.
    pub(crate) fn push_slot(&mut self, slot: Slot, field: Option<&Field>) -> Result<usize> {
        let (column, own) = match (slot.column, slot.window) {
            (Some(index), _) => {
                (NewColumn::Expression(self.input.column_expr(index)), self.input.node.schema.field(index).clone())
            }
            (None, Some(window)) => {
                let bound = WindowBound::new(window, self.input.node.schema.field(window.time));
                let own = bound.field();
                (NewColumn::Window(bound), own)
            }
            (None, None) => return Err(Error::internal("a column that is nowhere")),
        };
        Ok(self.push_column(column, field.unwrap_or(&own)))
    }

    /// Adds the time of a window, a timestamp, as the same instant in the zone of `zoned`.
    pub(crate) fn push_in_zone(&mut self, time: usize, zoned: &DataType) -> usize {
        let bound = WindowBound::in_zone(time, zoned, self.input.node.schema.field(time));
        let field = bound.field();
        self.push_column(NewColumn::Window(bound), &field)
    }

    /// Passes the node's column on, once.
    pub(crate) fn pass(&mut self, column: usize) -> usize {
        let field = self.input.node.schema.field(column).clone();
        self.find_or_push(NewColumn::Expression(self.input.column_expr(column)), &field)
    }

    fn find_or_push(&mut self, column: NewColumn, field: &Field) -> usize {
        match self.columns.iter().position(|known| *known == column) {
            Some(index) => index,
            None => self.push_column(column, field),
        }
    }

    fn push_column(&mut self, column: NewColumn, field: &Field) -> usize {
        let name = free_name(field.name(), &self.names);
        self.names.insert(name.clone());
        self.columns.push(column);
        self.fields.push(Arc::new(field.clone().with_name(name)));
        self.columns.len() - 1
    }

    /// The expressions and the schema, compiled.
    ///
    /// # Errors
    /// If an expression cannot be compiled.
    pub(crate) fn finish(self) -> Result<Projection> {
        let mut expressions: Vec<Arc<dyn Scalar>> = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            expressions.push(match column {
                NewColumn::Expression(expr) => self.input.compile_physical(&expr)?,
                NewColumn::Window(bound) => Arc::new(bound),
            });
        }
        // What is computed decides the type; the logical plan gives the name, nullability and metadata.
        let fields = self.fields.iter().zip(&expressions);
        let fields = fields.map(|(field, scalar)| Arc::new(field.as_ref().clone().with_data_type(scalar.data_type())));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        Ok(Projection { schema, expressions })
    }
}

/// What a [`ProjectionBuilder`] made.
pub(crate) struct Projection {
    schema: arrow_schema::SchemaRef,
    expressions: Vec<Arc<dyn Scalar>>,
}

impl Projection {
    /// Puts the projection above `input`, unless it changes nothing.
    pub(crate) fn over(self, input: Node) -> Node {
        let is_identity = self.expressions.len() == input.schema.fields().len()
            && self.expressions.iter().enumerate().all(|(index, scalar)| scalar.column() == Some(index))
            && self.schema.fields().iter().zip(input.schema.fields()).all(|(a, b)| a.name() == b.name());
        if is_identity {
            return Node { schema: self.schema, op: input.op };
        }
        match input.op {
            // A choice among the columns of another projection is one projection.
            NodeOp::Project { input: below, expressions }
                if self.expressions.iter().all(|scalar| scalar.column().is_some()) =>
            {
                let chosen = self.expressions.iter().filter_map(|scalar| expressions.get(scalar.column()?).cloned());
                let chosen = Self { schema: self.schema, expressions: chosen.collect() };
                chosen.over(*below)
            }
            op => {
                let input = Box::new(Node { schema: input.schema, op });
                Node { schema: self.schema, op: NodeOp::Project { input, expressions: self.expressions } }
            }
        }
    }
}

fn unaliased(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => unaliased(*alias.expr),
        other => other,
    }
}
