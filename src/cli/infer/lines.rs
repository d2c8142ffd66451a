//! How what was heard is written: JSON lines for programs, plain text for people, each line at once.

use std::io::{self, Write};

use anyhow::{Context, bail};
use serde::{Serialize, Serializer};

use crate::stream::{Answer, Detection, Occasion, Opinion};

/// Languages that a line of text names, from the most probable on.
const N_RANKED: usize = 3;

/// Standard output, or what stands for it.
pub struct Lines<'a> {
    out: &'a mut dyn Write,
    pretty: bool,
}

/// Nobody reads any more.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output has gone")]
pub struct OutputClosed;

#[derive(Serialize)]
struct DetectionLine<'a> {
    file: &'a str,
    keyword: &'a str,
    /// Where the score was highest.
    time_s: f64,
    score: f32,
    decided_s: f64,
    /// Where the word itself lies.
    start_s: f64,
    end_s: f64,
    /// From its end to the decision.
    latency_s: f64,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    file: &'a str,
    label: &'a str,
    score: f32,
    probabilities: ByLabel<'a>,
}

#[derive(Serialize)]
struct TraceLine<'a> {
    file: &'a str,
    answer_s: f64,
    raw: ByLabel<'a>,
    smoothed: ByLabel<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<f32>,
}

#[derive(Serialize)]
struct OpinionLine<'a> {
    file: &'a str,
    heard_s: f64,
    occasion: &'a str,
    /// `None`: undecided.
    language: Option<&'a str>,
    /// Of the most probable language, decided or not.
    score: f32,
    posterior: ByLabel<'a>,
}

/// Values by label, in the order of the labels.
struct ByLabel<'a>(&'a [String], &'a [f32]);

impl Serialize for ByLabel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1))
    }
}

impl<'a> Lines<'a> {
    pub fn new(out: &'a mut dyn Write, pretty: bool) -> Self {
        Self { out, pretty }
    }

    /// A keyword in a stream.
    pub fn detection(
        &mut self,
        file: &str,
        detection: &Detection,
        sample_rate_hz: u32,
    ) -> anyhow::Result<()> {
        let seconds = |sample: u64| sample as f64 / f64::from(sample_rate_hz);
        let line = DetectionLine {
            file,
            keyword: &detection.keyword,
            time_s: seconds(detection.at_sample),
            score: detection.score,
            decided_s: seconds(detection.decided_at_sample),
            start_s: seconds(detection.start_sample),
            end_s: seconds(detection.end_sample),
            latency_s: seconds(detection.latency_samples()),
        };
        if self.pretty {
            let time = clock(line.start_s);
            return self.text(&format!(
                "{file}  {time}  {}  {:.2}",
                line.keyword, line.score
            ));
        }
        self.json(&line)
    }

    /// What a whole clip is.
    pub fn answer(
        &mut self,
        file: &str,
        labels: &[String],
        probabilities: &[f32],
    ) -> anyhow::Result<()> {
        if probabilities
            .iter()
            .any(|probability| !probability.is_finite())
        {
            bail!("{file}: the networks' answer is no number");
        }
        // The earlier label where two are equal.
        let pairs = labels.iter().zip(probabilities).rev();
        let Some((label, score)) = pairs.max_by(|a, b| a.1.total_cmp(b.1)) else {
            bail!("{file}: found no labels, expected at least one");
        };
        if self.pretty {
            return self.text(&format!("{file}  {label}  {score:.2}"));
        }
        self.json(&AnswerLine {
            file,
            label,
            score: *score,
            probabilities: ByLabel(labels, probabilities),
        })
    }

    /// One answer of the networks in a stream.
    pub fn trace(
        &mut self,
        file: &str,
        labels: &[String],
        answer: &Answer,
        sample_rate_hz: u32,
    ) -> anyhow::Result<()> {
        self.json(&TraceLine {
            file,
            answer_s: answer.at_sample as f64 / f64::from(sample_rate_hz),
            raw: ByLabel(labels, answer.raw),
            smoothed: ByLabel(labels, answer.smoothed),
            voice: answer.voice,
        })
    }

    /// Which language it is so far.
    pub fn opinion(
        &mut self,
        file: &str,
        labels: &[String],
        opinion: &Opinion,
        sample_rate_hz: u32,
    ) -> anyhow::Result<()> {
        let line = OpinionLine {
            file,
            heard_s: opinion.heard_samples as f64 / f64::from(sample_rate_hz),
            occasion: match opinion.occasion {
                Occasion::Heard => "heard",
                Occasion::Change => "change",
                Occasion::End => "end",
            },
            language: opinion.language.map(|index| labels[index].as_str()),
            score: opinion.posterior.iter().copied().fold(0.0, f32::max),
            posterior: ByLabel(labels, opinion.posterior),
        };
        if !self.pretty {
            return self.json(&line);
        }
        let mut ranked: Vec<(&String, f32)> = labels
            .iter()
            .zip(opinion.posterior.iter().copied())
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let told: Vec<String> = ranked
            .iter()
            .take(N_RANKED)
            .map(|(label, p)| format!("{label} {p:.2}"))
            .collect();
        let language = line.language.unwrap_or("undecided");
        let (time, told) = (clock(line.heard_s), told.join(", "));
        self.text(&format!("{file}  {time}  {language}  ({told})"))
    }

    /// Any line of text.
    pub fn text(&mut self, line: &str) -> anyhow::Result<()> {
        let line = format!("{line}\n");
        match self
            .out
            .write_all(line.as_bytes())
            .and_then(|()| self.out.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
            other => other.context("standard output"),
        }
    }

    fn json(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(line).context("a line of output")?;
        self.text(&line)
    }
}

/// `0:03.27`, and `1:02:03.27` from an hour on.
fn clock(seconds: f64) -> String {
    let hundredths = (seconds * 100.0).round() as u64;
    let (minutes, hundredths) = (hundredths / 6000, hundredths % 6000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let seconds = format!("{:02}.{:02}", hundredths / 100, hundredths % 100);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds}")
    } else {
        format!("{minutes}:{seconds}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(clock(3.265), "0:03.27");
        assert_eq!(clock(59.999), "1:00.00");
        assert_eq!(clock(3723.5), "1:02:03.50");
    }
}
