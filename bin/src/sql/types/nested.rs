//! The types that hold other types.
//!
//! A type within another says itself whether its values may be NULL. Fields of Arrow's types carry no metadata, so that
//! equal shapes are equal types to Arrow; the column's own field keeps the declared type as a whole.
//!
//! What is within is interned: kept once for each different type, as long as the process lives, so that a type stays a
//! small value that is copied. There are as many as the user's statements name.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow_schema::{DataType, Field, Fields};
use sqlparser::ast::{self, ArrayElemTypeDef};

use super::FlinkType;
use crate::error::{Error, Result};

/// How deep types may be nested.
pub(crate) const NESTING_MAX: usize = 32;

/// A type within another, with its nullability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeWithin {
    /// The type.
    pub flink: FlinkType,
    /// Whether values may be NULL.
    pub is_nullable: bool,
}

/// The types of a MAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapType {
    /// Of its keys, which are never NULL here.
    pub key: FlinkType,
    /// Of its values.
    pub value: TypeWithin,
}

/// The fields of a ROW, in order: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowType {
    /// The fields.
    pub fields: Box<[RowField]>,
}

/// A field of a ROW.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowField {
    /// Its name, unique within the row.
    pub name: String,
    /// Its type.
    pub value: TypeWithin,
}

impl From<FlinkType> for TypeWithin {
    /// Nullable.
    fn from(flink: FlinkType) -> Self {
        Self { flink, is_nullable: true }
    }
}

impl FlinkType {
    /// An ARRAY of nullable values.
    #[must_use]
    pub fn array(element: Self) -> Self {
        Self::array_of(element.into())
    }

    /// A MAP to nullable values.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::map_of(MapType { key, value: value.into() })
    }

    /// A ROW of nullable fields.
    #[must_use]
    pub fn row(fields: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::row_of(fields.into_iter().map(|(name, flink)| RowField { name, value: flink.into() }).collect())
    }

    /// An ARRAY.
    #[must_use]
    pub fn array_of(element: TypeWithin) -> Self {
        static KNOWN: Interner<TypeWithin> = LazyLock::new(Mutex::default);
        Self::Array(interned(&KNOWN, element))
    }

    /// A MAP.
    #[must_use]
    pub fn map_of(map: MapType) -> Self {
        static KNOWN: Interner<MapType> = LazyLock::new(Mutex::default);
        Self::Map(interned(&KNOWN, map))
    }

    /// A ROW of these fields, whose names are distinct.
    #[must_use]
    pub fn row_of(fields: Vec<RowField>) -> Self {
        static KNOWN: Interner<RowType> = LazyLock::new(Mutex::default);
        Self::Row(interned(&KNOWN, RowType { fields: fields.into() }))
    }
}

type Interner<T> = LazyLock<Mutex<HashSet<&'static T>>>;

fn interned<T: Eq + Hash + 'static>(known: &Interner<T>, value: T) -> &'static T {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(&value) {
        return found;
    }
    let kept: &'static T = Box::leak(Box::new(value));
    known.insert(kept);
    kept
}

impl TypeWithin {
    fn to_arrow(self, name: &str) -> Field {
        Field::new(name, self.flink.to_arrow(), self.is_nullable)
    }

    fn from_arrow(field: &Field) -> Result<Self> {
        Ok(Self { flink: FlinkType::from_field(field)?, is_nullable: field.is_nullable() })
    }
}

pub(super) fn array_to_arrow(element: &TypeWithin) -> DataType {
    DataType::List(Arc::new(element.to_arrow("element")))
}

pub(super) fn map_to_arrow(map: &MapType) -> DataType {
    let key = Field::new("key", map.key.to_arrow(), false);
    let entries = DataType::Struct(Fields::from(vec![key, map.value.to_arrow("value")]));
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

pub(super) fn row_to_arrow(row: &RowType) -> DataType {
    DataType::Struct(row.fields.iter().map(|field| field.value.to_arrow(&field.name)).collect())
}

pub(super) fn from_arrow(data_type: &DataType) -> Result<FlinkType> {
    Ok(match data_type {
        DataType::List(element) => FlinkType::array_of(TypeWithin::from_arrow(element)?),
        DataType::Struct(fields) => {
            let of =
                |field: &Arc<Field>| Ok(RowField { name: field.name().clone(), value: TypeWithin::from_arrow(field)? });
            FlinkType::row_of(fields.iter().map(of).collect::<Result<_>>()?)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let key = FlinkType::from_field(&fields[0])?;
                FlinkType::map_of(MapType { key, value: TypeWithin::from_arrow(&fields[1])? })
            }
            other => return Err(Error::internal(format!("a map with entries {other}"))),
        },
        other => return Err(Error::internal(format!("{other} is not nested"))),
    })
}

/// The type that [`type_syntax`](super::super::type_syntax) has read: what is nullable within it stands in `Nullable`.
pub(super) fn from_ast(name: &ast::DataType) -> Result<FlinkType> {
    use ast::DataType as T;
    match name {
        T::Array(ArrayElemTypeDef::AngleBracket(element)) => Ok(FlinkType::array_of(within(element)?)),
        T::Map(key, value) => {
            let (key, value) = (within(key)?.flink, within(value)?);
            Ok(FlinkType::map_of(MapType { key, value }))
        }
        T::Struct(fields, _) => {
            let mut names = HashSet::new();
            let mut row = Vec::with_capacity(fields.len());
            for field in fields {
                let name = field.field_name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
                if !names.insert(name.clone()) {
                    return Err(Error::statement(format!("two fields of a ROW are called `{name}`"))
                        .help("give one of them another name"));
                }
                row.push(RowField { name, value: within(&field.field_type)? });
            }
            Ok(FlinkType::row_of(row))
        }
        _ => Err(Error::statement(format!("the type {name} is not Flink's"))
            .help("ARRAY<INT>, MAP<STRING, INT>, ROW<a INT, b STRING>")),
    }
}

fn within(name: &ast::DataType) -> Result<TypeWithin> {
    match name {
        ast::DataType::Nullable(inner) => Ok(FlinkType::from_ast(inner)?.into()),
        inner => Ok(TypeWithin { flink: FlinkType::from_ast(inner)?, is_nullable: false }),
    }
}
