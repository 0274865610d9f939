//! A distribution as its percentiles: for the eye, and as the text that HdrHistogram's tools plot.

use std::fmt::Write;

use thalweg_runtime::latency::Histogram;

/// Steps of a percentile curve in each half of what is left: as HdrHistogram's own tools take them.
const STEPS_PER_HALF: u32 = 5;

/// Share of rows (0 to 1) and the nanoseconds within which they were done, up to all of them: fine where few are left.
#[must_use]
pub fn curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let steps = histogram.iter_quantiles(STEPS_PER_HALF);
    let mut curve: Vec<(f64, u64)> = Vec::new();
    for step in steps {
        let nanos = step.value_iterated_to().min(histogram.max());
        curve.push((step.quantile_iterated_to(), nanos));
    }
    curve
}

/// The percentile table of `HistogramLogProcessor` and `outputPercentileDistribution`, in microseconds.
#[must_use]
pub fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let micros = |nanos: f64| nanos / 1e3;
    let mut counted = 0;
    // Writing to a String does not fail.
    for step in histogram.iter_quantiles(STEPS_PER_HALF) {
        counted += step.count_since_last_iteration();
        let (value, share) =
            (micros(step.value_iterated_to().min(histogram.max()) as f64), step.quantile_iterated_to());
        let _ = write!(text, "{value:12.3} {share:14.12} {counted:10}");
        let _ = if share < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - share)) } else { writeln!(text) };
    }
    let (mean, deviation) = (micros(histogram.mean()), micros(histogram.stdev()));
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ =
        writeln!(text, "#[Max     = {:12.3}, Total count    = {:12}]", micros(histogram.max() as f64), histogram.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), SUB_BUCKETS);
    text
}

/// Of a histogram of three significant digits.
const SUB_BUCKETS: u32 = 2_048;
