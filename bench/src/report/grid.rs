//! A table of texts, for a terminal or for Markdown.

/// Rows of cells under a header; the first columns are names, the others figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    names: usize,
}

impl Grid {
    /// No rows yet. The first `names` columns are aligned to the left, the others to the right.
    #[must_use]
    pub fn new(header: &[&str], names: usize) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new(), names }
    }

    /// One more row; what it lacks is empty.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// Leaves out the columns in which no row has anything.
    #[must_use]
    pub fn without_empty_columns(self) -> Self {
        let is_used = |column: &usize| *column < self.names || self.rows.iter().any(|row| !row[*column].is_empty());
        let kept: Vec<usize> = (0..self.header.len()).filter(is_used).collect();
        let pick = |row: &Vec<String>| kept.iter().map(|&column| row[column].clone()).collect();
        Self { header: pick(&self.header), rows: self.rows.iter().map(pick).collect(), names: self.names }
    }

    /// Columns in line, two spaces between them.
    #[must_use]
    pub fn text(&self) -> String {
        let widths = self.widths();
        let line = |row: &Vec<String>| self.line(row, &widths, "  ").trim_end().to_owned() + "\n";
        let rule = widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().join("  ") + "\n";
        std::iter::once(line(&self.header)).chain([rule]).chain(self.rows.iter().map(line)).collect()
    }

    /// A table of Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let widths: Vec<usize> = self.widths().into_iter().map(|width| width.max(4)).collect();
        let line = |row: &Vec<String>| format!("| {} |\n", self.line(row, &widths, " | "));
        let rules = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| if column < self.names { "-".repeat(width) } else { "-".repeat(width - 1) + ":" });
        let rule = format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
        std::iter::once(line(&self.header)).chain([rule]).chain(self.rows.iter().map(line)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize], between: &str) -> String {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            if column < self.names { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
        });
        cells.collect::<Vec<_>>().join(between)
    }

    fn widths(&self) -> Vec<usize> {
        let of = |column: usize| {
            let cells = self.rows.iter().chain([&self.header]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        (0..self.header.len()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line_and_empty_ones_left_out() {
        let mut grid = Grid::new(&["name", "×", "unused"], 1);
        grid.push(vec!["µ".to_owned(), "1.0".to_owned()]);
        grid.push(vec!["longer".to_owned(), "12.0".to_owned()]);
        let grid = grid.without_empty_columns();
        assert_eq!(grid.text(), "name       ×\n------  ----\nµ        1.0\nlonger  12.0\n");
        assert_eq!(grid.markdown(), "| name   |    × |\n| ------ | ---: |\n| µ      |  1.0 |\n| longer | 12.0 |\n");
    }
}
