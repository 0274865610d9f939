//! How a function of SQL becomes a loop over columns.
//!
//! A function is declared by name (`Declared`); that is what DataFusion's front-end finds while it plans. Once the
//! types of the arguments are known, the declaration is bound (`Bound`): the types to which the arguments are cast,
//! the type of the result, and one kernel for exactly these types. A bound call never changes its type again, whatever
//! an optimizer later puts in the place of its arguments.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::{Error, Result};
use crate::sql::types::FlinkType;

/// An argument as a function sees it when it is planned.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    /// Its type.
    pub flink: FlinkType,
    /// Its value, where that is a constant.
    pub literal: Option<ScalarValue>,
}

/// When a result is NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nullness {
    /// Exactly when an argument is.
    OfArguments,
    /// Also when no argument is.
    Possible,
    /// Never.
    Impossible,
}

/// A column, or one value that stands for a column of any length.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// One entry for each row, or exactly one.
    pub array: ArrayRef,
    /// Whether the one entry stands for every row.
    pub is_scalar: bool,
}

impl Value {
    /// A column.
    pub fn column(array: ArrayRef) -> Self {
        Self { array, is_scalar: false }
    }

    /// A constant: an array of length 1.
    pub fn scalar(array: ArrayRef) -> Self {
        debug_assert_eq!(array.len(), 1);
        Self { array, is_scalar: true }
    }

    /// What to multiply a row number by to find its entry.
    pub fn stride(&self) -> usize {
        usize::from(!self.is_scalar)
    }

    /// Whether the entry of `row` is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row * self.stride())
    }
}

/// Computes a column of `rows` entries from arguments of the bound types; the message says why a row has no value.
pub(crate) type Kernel = Arc<dyn Fn(&[Value], usize) -> Result<ArrayRef, String> + Send + Sync>;

/// A function with types.
#[derive(Clone)]
pub(crate) struct Binding {
    /// What the arguments are cast to; as many as arguments.
    pub arguments: Vec<FlinkType>,
    /// What comes out.
    pub result: FlinkType,
    /// When it is NULL.
    pub nullness: Nullness,
    /// How it is computed.
    pub kernel: Kernel,
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {:?}", self.arguments, self.result)
    }
}

impl Binding {
    /// A function that is NULL exactly when an argument is.
    pub fn strict(
        arguments: Vec<FlinkType>,
        result: FlinkType,
        kernel: impl Fn(&[Value], usize) -> Result<ArrayRef, String> + Send + Sync + 'static,
    ) -> Self {
        Self { arguments, result, nullness: Nullness::OfArguments, kernel: Arc::new(kernel) }
    }

    /// The same function, with another rule for NULL.
    pub fn with_nullness(mut self, nullness: Nullness) -> Self {
        self.nullness = nullness;
        self
    }

    /// The value for each row. A constant comes out where only constants go in.
    pub fn call(&self, arguments: &[Value], rows: usize) -> Result<Value, String> {
        let is_scalar = arguments.iter().all(|argument| argument.is_scalar);
        let rows = if is_scalar { 1 } else { rows };
        // A kernel that panics is a bug, but one that must cost a row's error and not a worker.
        let array = catch_unwind(AssertUnwindSafe(|| (self.kernel)(arguments, rows)))
            .unwrap_or_else(|_| Err("internal error: the function failed on these values".to_owned()))?;
        if array.len() != rows || *array.data_type() != self.result.to_arrow() {
            return Err(format!("internal error: {} × {} came out", array.len(), array.data_type()));
        }
        Ok(Value { array, is_scalar })
    }
}

/// How a call is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// `NAME(a, b)`.
    Call,
    /// `a name b`; a `$` in front of the name keeps it from being called.
    Infix,
    /// `-a`.
    Negation,
    /// `CAST(a AS type)` or `TRY_CAST(a AS type)`.
    Cast,
    /// A cast that nobody wrote: only `a` is shown.
    Implicit,
    /// `NAME[a, b]`, whose name begins with a `$`.
    Listed,
    /// `a[b]`.
    Item,
    /// `a.b`.
    Field,
}

impl Form {
    /// The call as text, from the text of its arguments.
    pub fn write(self, name: &str, result: FlinkType, arguments: &[String]) -> String {
        match (self, arguments) {
            (Self::Infix, [left, right]) => format!("{left} {} {right}", name.trim_start_matches('$')),
            (Self::Negation, [operand]) => format!("-{operand}"),
            (Self::Cast, [operand]) => format!("{name}({operand} AS {result})"),
            (Self::Implicit, [operand]) => operand.clone(),
            (Self::Listed, values) => format!("{}[{}]", name.trim_start_matches('$'), values.join(", ")),
            (Self::Item, [value, index]) => format!("{value}[{index}]"),
            (Self::Field, [row, name]) => format!("{row}.{}", name.trim_matches('\'')),
            _ => format!("{name}({})", arguments.join(", ")),
        }
    }
}

/// Finds types and kernel for these arguments, or says why there are none.
pub(crate) type Bind = fn(name: &'static str, arguments: &[Argument]) -> Result<Binding>;

/// A function by name.
pub(crate) struct Declared {
    /// As the user writes it, in capitals.
    pub name: &'static str,
    /// The same in small letters, by which the front-end looks it up.
    key: String,
    /// How a call is written.
    pub form: Form,
    /// Its types.
    pub bind: Bind,
    signature: Signature,
}

impl Declared {
    /// The function as DataFusion holds it.
    pub fn udf(name: &'static str, form: Form, bind: Bind) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, key: name.to_ascii_lowercase(), form, bind, signature }))
    }

    fn binding_of(&self, fields: &[FieldRef], literals: &[Option<&ScalarValue>]) -> Result<Binding> {
        let argument = |(field, literal): (&FieldRef, &Option<&ScalarValue>)| {
            Ok(Argument { flink: FlinkType::from_field(field)?, literal: literal.cloned() })
        };
        let arguments = fields.iter().zip(literals).map(argument).collect::<Result<Vec<_>>>()?;
        (self.bind)(self.name, &arguments)
    }
}

/// A function with types, and the kernel for them.
pub(crate) struct Bound {
    /// As the user writes it.
    pub name: &'static str,
    /// How a call is written.
    pub form: Form,
    /// Types and kernel.
    pub binding: Binding,
    signature: Signature,
}

impl Bound {
    /// The function as DataFusion holds it.
    pub fn udf(name: &'static str, form: Form, binding: Binding) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, form, binding, signature }))
    }
}

/// An error on its way through DataFusion; [`from_datafusion`] finds it again.
pub(crate) fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The error that a hook of ours raised, or DataFusion's own as an error in the statement.
pub fn from_datafusion(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::internal(other.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Internal(message) => Error::internal(message),
        DataFusionError::Plan(message) | DataFusionError::NotImplemented(message) => Error::statement(message),
        other => Error::statement(other.strip_backtrace()),
    }
}

impl PartialEq for Declared {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.form == other.form
    }
}

impl Eq for Declared {}

impl Hash for Declared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.form.hash(state);
    }
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

// Two bindings of one name are one function exactly when their types agree: constants that select a kernel stay
// arguments of the call.
impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.form == other.form
            && self.binding.arguments == other.binding.arguments
            && self.binding.result == other.binding.result
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.binding.result.hash(state);
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name, self.binding)
    }
}

fn written(form: Form, name: &str, result: FlinkType, arguments: &[Expr]) -> String {
    let texts: Vec<_> = arguments.iter().map(|argument| argument.schema_name().to_string()).collect();
    form.write(name, result, &texts)
}

impl ScalarUDFImpl for Declared {
    fn name(&self) -> &str {
        &self.key
    }

    fn schema_name(&self, args: &[Expr]) -> datafusion_common::Result<String> {
        Ok(written(self.form, self.name, FlinkType::Null, args))
    }

    fn display_name(&self, args: &[Expr]) -> datafusion_common::Result<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> datafusion_common::Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> datafusion_common::Result<DataType> {
        Err(DataFusionError::Internal(format!("{} is asked for its type without its arguments", self.name)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> datafusion_common::Result<FieldRef> {
        let binding = self.binding_of(args.arg_fields, args.scalar_arguments).map_err(to_datafusion)?;
        Ok(result_field(self.name, &binding, args.arg_fields))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> datafusion_common::Result<ColumnarValue> {
        Err(DataFusionError::Internal(format!("{} is called before its types are known", self.name)))
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> datafusion_common::Result<String> {
        Ok(written(self.form, self.name, self.binding.result, args))
    }

    fn display_name(&self, args: &[Expr]) -> datafusion_common::Result<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> datafusion_common::Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> datafusion_common::Result<DataType> {
        Ok(self.binding.result.to_arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> datafusion_common::Result<FieldRef> {
        Ok(result_field(self.name, &self.binding, args.arg_fields))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion_common::Result<ColumnarValue> {
        let value = |argument: &ColumnarValue| match argument {
            ColumnarValue::Array(array) => Ok(Value::column(Arc::clone(array))),
            ColumnarValue::Scalar(scalar) => Ok(Value::scalar(scalar.to_array_of_size(1)?)),
        };
        let values = args.args.iter().map(value).collect::<datafusion_common::Result<Vec<_>>>()?;
        let result = self.binding.call(&values, args.number_rows).map_err(DataFusionError::Execution)?;
        match result.is_scalar {
            false => Ok(ColumnarValue::Array(result.array)),
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result.array, 0)?)),
        }
    }
}

fn result_field(name: &str, binding: &Binding, arguments: &[FieldRef]) -> FieldRef {
    let nullable = match binding.nullness {
        Nullness::OfArguments => arguments.iter().any(|argument| argument.is_nullable()),
        Nullness::Possible => true,
        Nullness::Impossible => false,
    };
    // Only what Arrow's type does not say already need be remembered.
    match FlinkType::from_arrow(&binding.result.to_arrow()) {
        Ok(widest) if widest == binding.result => Arc::new(Field::new(name, binding.result.to_arrow(), nullable)),
        _ => Arc::new(binding.result.to_field(name, nullable)),
    }
}
