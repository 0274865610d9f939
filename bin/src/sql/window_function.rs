//! The window functions: their names and parameters, and the windows that their arguments make.

use sqlparser::ast::{Expr, Spanned};
use sqlparser::tokenizer::Span;
use thalweg_operators::spec::{WindowKind, WindowShape};

use super::rewrite::Rewriter;
use super::table_function::interval_ms;
use super::window::WindowNames;
use crate::error::{Error, Result};

/// Windows that may hold one row.
const OVERLAPS_MAX: i64 = 1_000_000;

/// A function that puts rows into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowFunction {
    pub(crate) kind: WindowKind,
    /// In capitals.
    pub(crate) name: &'static str,
    /// Its parameters as a table function, in their order, under Flink's names.
    pub(crate) parameters: &'static [&'static str],
    /// An example in FROM.
    pub(crate) form: &'static str,
    /// An example in GROUP BY; CUMULATE has none there.
    pub(crate) group_form: Option<&'static str>,
    /// Columns of the older form.
    pub(crate) names: WindowNames,
}

/// All of them.
pub(crate) const FUNCTIONS: [WindowFunction; 4] = [
    WindowFunction {
        kind: WindowKind::Tumble,
        name: "TUMBLE",
        parameters: &["DATA", "TIMECOL", "SIZE", "OFFSET"],
        form: "TABLE(TUMBLE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE))",
        group_form: Some("GROUP BY TUMBLE(time_column, INTERVAL '1' MINUTE)"),
        names: WindowNames::TUMBLE,
    },
    WindowFunction {
        kind: WindowKind::Hop,
        name: "HOP",
        parameters: &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
        form: "TABLE(HOP(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE))",
        group_form: Some("GROUP BY HOP(time_column, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)"),
        names: WindowNames::HOP,
    },
    WindowFunction {
        kind: WindowKind::Cumulate,
        name: "CUMULATE",
        parameters: &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
        form: "TABLE(CUMULATE(TABLE t, DESCRIPTOR(time_column), INTERVAL '1' HOUR, INTERVAL '1' DAY))",
        group_form: None,
        names: WindowNames::TABLE_FUNCTION,
    },
    WindowFunction {
        kind: WindowKind::Session,
        name: "SESSION",
        parameters: &["DATA", "TIMECOL", "GAP"],
        form: "TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(time_column), INTERVAL '1' MINUTE))",
        group_form: Some("GROUP BY k, SESSION(time_column, INTERVAL '1' MINUTE)"),
        names: WindowNames::SESSION,
    },
];

impl WindowFunction {
    /// The function of this name in capitals.
    pub(crate) fn named(upper: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == upper)
    }

    /// How many intervals it takes, besides an offset.
    pub(crate) fn intervals(&self) -> usize {
        self.parameters.iter().filter(|name| !["DATA", "TIMECOL", "OFFSET"].contains(name)).count()
    }

    /// The windows that its intervals make, as many as [`intervals`](Self::intervals), and its offset.
    ///
    /// # Errors
    /// If one of them is none, or they do not fit each other.
    pub(crate) fn shape(
        &self,
        rewriter: &Rewriter<'_>,
        intervals: &[Expr],
        offset: Option<&Expr>,
    ) -> Result<WindowShape> {
        let mut lengths = Vec::with_capacity(intervals.len());
        for (interval, parameter) in intervals.iter().zip(&self.parameters[2..]) {
            let length = interval_ms(rewriter, interval)?;
            if length <= 0 {
                let message = format!("a window's {} must be greater than zero", parameter.to_lowercase());
                return Err(rewriter.refuse(interval.span(), message, "INTERVAL '1' MINUTE"));
            }
            lengths.push(length);
        }
        let offset_ms = offset.map_or(Ok(0), |offset| interval_ms(rewriter, offset))?;
        let Some(&size_ms) = lengths.last() else { return Err(Error::internal("a window without a size")) };
        if self.kind == WindowKind::Session {
            return Ok(WindowShape { kind: self.kind, size_ms, step_ms: 1, offset_ms: 0 });
        }
        let step_ms = lengths[0];
        let shape = WindowShape { kind: self.kind, size_ms, step_ms, offset_ms };
        self.check(rewriter, shape, Span::union_iter(intervals.iter().map(Spanned::span)))?;
        Ok(shape)
    }

    fn check(&self, rewriter: &Rewriter<'_>, shape: WindowShape, span: Span) -> Result<()> {
        let WindowShape { kind, size_ms, step_ms, .. } = shape;
        let order =
            format!("{} comes first, {} second", self.parameters[2], self.parameters[self.parameters.len() - 2]);
        if kind == WindowKind::Hop && step_ms > size_ms {
            let message = "HOP's slide is longer than its size: rows in between would be in no window";
            return Err(rewriter.refuse(span, message, order));
        }
        if kind == WindowKind::Cumulate && size_ms % step_ms != 0 {
            let message = "CUMULATE's greatest size must be a multiple of its step";
            return Err(rewriter.refuse(span, message, order));
        }
        if size_ms / step_ms > OVERLAPS_MAX {
            let message = format!("each row would be in {} windows", size_ms / step_ms);
            return Err(rewriter.refuse(span, message, format!("at most {OVERLAPS_MAX}: take a longer step")));
        }
        Ok(())
    }
}
