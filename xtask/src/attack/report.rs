//! What is told: a row for each statement, and what was found.

use super::target::{Asked, MIB, Round, clipped};

/// So much of a statement is shown in the table.
const SHOWN: usize = 110;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<String>,
}

impl Report {
    /// The head of the table.
    pub(super) fn head() {
        println!("\n| statement | end | seconds | peak MB |");
        println!("| --- | --- | --- | --- |");
    }

    /// A row of the table for a statement, or for several at once.
    pub(super) fn row(&mut self, name: &str, round: &Round) {
        println!("{}", row(name, round));
        self.note(name, round);
    }

    /// What a statement of the fuzzer has done. Others are not told.
    pub(super) fn found(&mut self, round: &Round, of: &str) {
        let name = round.asked.iter().map(|asked| asked.statement.as_str()).collect::<Vec<_>>().join(" ;;; ");
        println!("FOUND, {of}: {name}\n      {}", round.findings.join("\n      "));
        self.note(&format!("{of}: {name}"), round);
    }

    /// Memory after a while.
    pub(super) fn settled(&mut self, (now, finding): (Option<u64>, Option<String>)) {
        match (now, finding) {
            (_, Some(finding)) => {
                println!("FOUND: {finding}");
                self.findings.push(finding);
            }
            (Some(now), None) => println!("\nmemory went back to {} MB", now / MIB),
            (None, None) => println!("\nthis system does not tell how much memory there is"),
        }
    }

    fn note(&mut self, name: &str, round: &Round) {
        self.findings
            .extend(round.findings.iter().map(|finding| format!("{finding}: {}", clipped(name, 400))));
    }

    /// An error if there is something.
    pub(super) fn end(self) -> crate::Outcome {
        match self.findings.as_slice() {
            [] => Ok(()),
            some => Err(format!("\n{} findings:\n- {}", some.len(), some.join("\n- "))),
        }
    }
}

fn row(name: &str, round: &Round) -> String {
    let mut ends: Vec<String> = Vec::new();
    for end in round.asked.iter().map(|asked| asked.end.to_string()) {
        if !ends.contains(&end) {
            ends.push(end);
        }
    }
    let seconds = round.asked.iter().map(|asked: &Asked| asked.seconds).fold(0.0, f64::max);
    let peak = round.peak.map_or("-".to_owned(), |peak| (peak / MIB).to_string());
    let mut end = ends.join(", ");
    for finding in &round.findings {
        end.push_str(&format!("; **{}**", escaped(&clipped(finding, 120))));
    }
    format!("| `{}` | {end} | {seconds:.1} | {peak} |", escaped(&clipped(name, SHOWN)))
}

/// As it may stand in a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::ask::End;
    use super::*;

    fn round(ends: &[End], findings: &[&str]) -> Round {
        let asked = ends.iter().map(|end| Asked {
            statement: "SELECT 1".to_owned(),
            end: end.clone(),
            seconds: 1.25,
        });
        let findings = findings.iter().map(|finding| (*finding).to_owned()).collect();
        Round { asked: asked.collect(), peak: Some(3 * MIB), findings }
    }

    #[test]
    fn a_row_says_each_end_once_and_what_was_found() {
        let ends = [End::Answered(200), End::Silent, End::Answered(200)];
        let expected = "| `SELECT a\\|\\|b` | 200, no answer; **status 500** | 1.2 | 3 |";
        assert_eq!(row("SELECT a||b", &round(&ends, &["status 500"])), expected);
    }

    #[test]
    fn a_report_with_a_finding_is_an_error() {
        let mut report = Report::default();
        report.note("SELECT 1", &round(&[End::Answered(200)], &[]));
        report.settled((Some(1), None));
        report.note("SELECT 2", &round(&[End::Silent], &["no answer"]));
        assert_eq!(report.end().unwrap_err(), "\n1 findings:\n- no answer: SELECT 2");
    }
}
