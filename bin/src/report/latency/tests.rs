use std::sync::mpsc;

use thalweg_runtime::Nanos;
use thalweg_runtime::latency::{Latencies, Origin, Span};

use super::*;
use crate::job::JobControl;
use crate::sql::{Outcome, Session, SessionOptions};

fn report() -> LatencyReport {
    let latencies = Latencies::on();
    let mut recorder = latencies.recorder();
    for row in 1..=10_000_u64 {
        recorder.record_at(Point::Merged, Span::at(Nanos(0), 1, Origin::Row), Nanos(row * 1_000));
        recorder.record_at(Point::Decoded, Span::at(Nanos(0), 1, Origin::Row), Nanos(row * 100));
    }
    drop(recorder);
    let mut seconds = Seconds::default();
    seconds.push(Second { at: Duration::from_secs(1), rows: 10_000, ..Second::default() });
    LatencyReport {
        title: "a </script> & \"b\"".to_owned(),
        conditions: vec![("machine".to_owned(), "two <cores>".to_owned())],
        elapsed: Duration::from_millis(1_500),
        rows: 10_000,
        latency: LatencyAccount { histograms: latencies.total() },
        seconds,
        control: vec![("before".to_owned(), thalweg_runtime::latency::histogram())],
    }
}

#[test]
fn files_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let report = report();
    report.write(directory.path()).unwrap();
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("latency.json")).unwrap();
    assert_eq!(json["headline"], "merged");
    let merged = &json["points"][1];
    assert_eq!((merged["point"].as_str(), merged["rows"].as_u64()), (Some("merged"), Some(10_000)));
    let p50 = merged["p50_ns"].as_u64().unwrap();
    assert!((4_990_000..5_010_000).contains(&p50), "{p50}");
    assert_eq!(merged["curve"].as_array().unwrap().last().unwrap()[0], 1.0);
    // The table of percentiles, as tools read it: value in microseconds, share, rows so far.
    let hgrm = read("latency.hgrm");
    let rows: Vec<Vec<f64>> = hgrm
        .lines()
        .skip(2)
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
        .collect();
    let half = rows.iter().find(|row| row[1] >= 0.5).unwrap();
    assert!((half[0] * 1e3 - p50 as f64).abs() < 10.0, "{half:?}");
    assert_eq!(rows.last().unwrap()[2], 10_000.0);
    assert!(hgrm.contains("Total count    =        10000]"), "{hgrm}");
    // What is shown cannot end the script that it is in.
    let html = read("latency.html");
    assert_eq!(html.matches("</script>").count(), 2);
    let data = html.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let shown: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(shown[0], json);
    assert!(
        !html.contains("http://")
            || html.matches("http://").count() == html.matches("http://www.w3.org/2000/svg").count()
    );
    let both = compare(&[
        directory.path().to_str().unwrap().to_owned(),
        directory.path().join("latency.json").to_str().unwrap().to_owned(),
    ])
    .unwrap();
    let data = both.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(data).unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn what_is_no_report_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    assert!(compare(std::slice::from_ref(&path)).unwrap_err().message.starts_with("cannot read"));
    fs::write(directory.path().join("latency.json"), "{}").unwrap();
    assert!(compare(&[path]).unwrap_err().message.contains("is no latency report"));
}

#[test]
fn the_interval_log_holds_what_was_recorded() {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let control = JobControl::new();
    let sql = "CREATE TABLE t (k INT) WITH ('connector' = 'datagen', 'number-of-rows' = '10000', 'rows-per-second' = '1000000');
               CREATE TABLE s (n BIGINT) WITH ('connector' = 'blackhole');
               INSERT INTO s SELECT COUNT(*) FROM t GROUP BY k";
    let mut session = Session::new(SessionOptions::default());
    let (script, errors) = session.read(sql);
    assert!(errors.is_empty());
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement).unwrap() {
            crate::job::run(plan, &crate::job::JobOptions::default(), &control).unwrap();
        }
    }
    let (sender, ended) = mpsc::channel::<()>();
    drop(sender);
    let mut log = Vec::new();
    watch(&control, &ended, Some(&mut log)).unwrap();
    let total = control.latencies().total();
    let mut found = 0;
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let point = Point::ALL
                .into_iter()
                .find(|point| Some(point.name()) == interval.tag().map(|tag| tag.as_str()))
                .unwrap();
            let bytes = base64(interval.encoded_histogram());
            let read: Histogram<u64> = Deserializer::new().deserialize(&mut std::io::Cursor::new(bytes)).unwrap();
            assert_eq!(Some(&read), total.at(point), "{}", point.name());
            found += 1;
        }
    }
    assert_eq!(found, Point::ALL.into_iter().filter(|point| total.at(*point).is_some()).count());
    assert!(found > 0);
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|digit| *digit == byte)
    };
    let digits: Vec<u32> = text.bytes().filter_map(digit).map(|digit| digit as u32).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
