//! Who is measured: a strategy or the pure engine, over one of the data models, metered or not.

use thalweg_operators::kernels::Kernels;
use thalweg_runtime::state::StrategyName;

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One thread that folds and closes, and shares nothing.
    Pure,
    /// Workers that share state.
    Shared(StrategyName),
}

/// How rows and groups are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataModel {
    /// As the engine does.
    Columns,
    /// As the analysed job server did.
    Rows,
}

/// One competitor of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// What runs.
    pub subject: Subject,
    /// Over which rows.
    pub model: DataModel,
    /// Are costs measured?
    pub is_metered: bool,
    /// How loops over columns are computed. Rows have none.
    pub kernels: Kernels,
}

impl Contender {
    /// A strategy over columns.
    #[must_use]
    pub fn shared(name: StrategyName, is_metered: bool, kernels: Kernels) -> Self {
        Self { subject: Subject::Shared(name), model: DataModel::Columns, is_metered, kernels }
    }

    /// The pure engine over columns.
    #[must_use]
    pub fn pure(is_metered: bool, kernels: Kernels) -> Self {
        Self { subject: Subject::Pure, model: DataModel::Columns, is_metered, kernels }
    }

    /// The same over rows.
    #[must_use]
    pub fn by_row(self) -> Self {
        Self { model: DataModel::Rows, ..self }
    }

    /// What its loops are computed with, in reports.
    #[must_use]
    pub fn kernels(&self) -> &'static str {
        match self.model {
            DataModel::Columns => self.kernels.name(),
            DataModel::Rows => "",
        }
    }

    /// Its name in reports, without metrics and kernels.
    #[must_use]
    pub fn name(&self) -> String {
        let subject = match self.subject {
            Subject::Pure => "pure engine",
            Subject::Shared(name) => name.as_str(),
        };
        match self.model {
            DataModel::Columns => subject.to_owned(),
            DataModel::Rows => format!("{subject}, row at a time"),
        }
    }

    /// `on` or `off`.
    #[must_use]
    pub fn metrics(&self) -> &'static str {
        if self.is_metered { "on" } else { "off" }
    }

    /// Is this the job server as it was, but for its data model or with it?
    #[must_use]
    pub fn is_current(&self, model: DataModel) -> bool {
        self.subject == Subject::Shared(StrategyName::CloneSwap) && self.model == model
    }
}
