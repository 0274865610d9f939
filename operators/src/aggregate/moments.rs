//! Mean and spread of numbers, for VAR and STDDEV: sound also where the spread is small beside the mean.
//!
//! Words: count, mean, what the mean's last bit leaves out, sum of the squared distances to the mean. Rows are added by
//! Welford's step (<https://doi.org/10.1080/00401706.1962.10490022>), groups by that of Chan, Golub and LeVeque
//! (<http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf>). With the mean in one `f64`, the values
//! 10^9 … 10^9 + 9 give a variance that is off by 2 × 10^-9 of itself, and differently for each division of the rows; with
//! the rest of the mean beside it the result is good to the last digits.

/// Words of a state; all zero without values.
pub(super) const WORDS: usize = 4;

/// Adds a value.
pub(super) fn add(state: &mut [u64; WORDS], value: f64) {
    let (count, mean, rest, squares) = open(state);
    let distance = (value - mean) - rest;
    let (mean, rest) = add_to_mean((mean, rest), distance / (count + 1.0));
    let squares = squares + distance * ((value - mean) - rest);
    *state = [state[0] + 1, mean.to_bits(), rest.to_bits(), squares.to_bits()];
}

/// Adds the values of another state.
pub(super) fn merge(into: &mut [u64; WORDS], from: &[u64; WORDS]) {
    if from[0] == 0 {
        return;
    }
    if into[0] == 0 {
        *into = *from;
        return;
    }
    let ((count, mean, rest, squares), (more, from_mean, from_rest, from_squares)) = (open(into), open(from));
    let distance = (from_mean - mean) + (from_rest - rest);
    let total = count + more;
    let squares = squares + from_squares + distance * distance * (count * more / total);
    let (mean, rest) = add_to_mean((mean, rest), distance * (more / total));
    *into = [into[0] + from[0], mean.to_bits(), rest.to_bits(), squares.to_bits()];
}

/// The number of values and the sum of their squared distances to the mean, of the state that `words` begin with.
pub(super) fn count_and_squares(words: &[u64]) -> (u64, f64) {
    (words[0], f64::from_bits(words[3]))
}

fn open(state: &[u64; WORDS]) -> (f64, f64, f64, f64) {
    (state[0] as f64, f64::from_bits(state[1]), f64::from_bits(state[2]), f64::from_bits(state[3]))
}

/// The sum and what rounding it leaves out: Knuth's two-sum, then made small again.
fn add_to_mean((mean, rest): (f64, f64), step: f64) -> (f64, f64) {
    let (sum, error) = two_sum(mean, step);
    two_sum(sum, error + rest)
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_taken = sum - a;
    (sum, (a - (sum - b_taken)) + (b - b_taken))
}
