//! Numbers for networks: over the splits of a run, and for any bundle over any labelled clips.

use std::path::{Path, PathBuf};

use auricle_datasets::{Split, Utterance};
use rayon::prelude::*;

use super::{Run, RunError};
use crate::audio::{AudioReader, decode};
use crate::bundle::Bundle;
use crate::evaluate::{Bootstrap, EvaluateError, Judgement, Scores};
use crate::model::Combination;
use crate::search::full::Member;
use crate::search::scoring::logits;
use crate::stream::ClipClassifier;

/// Resamplings of the intervals over speakers.
const N_RESAMPLES: usize = 2_000;

/// A judgement and what it was made of.
pub struct Judged {
    pub scores: Scores,
    pub judgement: Judgement,
}

impl Run<'_> {
    /// Logits of one trained network over a split, `[n, n_classes]`.
    pub(super) fn logits(&self, member: &Member, split: Split) -> Result<Vec<f32>, RunError> {
        let network = self.network(member)?;
        let items = self.corpus.items(split);
        Ok(logits(&network, &self.corpus, &items, self.plan.device))
    }

    /// Judges members together on a split.
    pub(super) fn judge(
        &self,
        members: &[&Member],
        combination: &Combination,
        split: Split,
    ) -> Result<Judged, RunError> {
        let items = self.corpus.items(split);
        let logits = members.iter().map(|member| self.logits(member, split));
        let logits = logits.collect::<Result<Vec<_>, _>>()?;
        let n_classes = self.corpus.labels().len();
        let mut probabilities = vec![0.0; items.len() * n_classes];
        let mut row_logits = Vec::with_capacity(members.len() * n_classes);
        for (i, row) in probabilities.chunks_exact_mut(n_classes).enumerate() {
            row_logits.clear();
            for logits in &logits {
                row_logits.extend_from_slice(&logits[i * n_classes..(i + 1) * n_classes]);
            }
            combination.apply(&row_logits, row);
        }
        let utterances: Vec<&Utterance> = items
            .iter()
            .map(|&item| self.corpus.utterance(item))
            .collect();
        let scores = Scores::new(
            self.corpus.labels().to_vec(),
            items.iter().map(|&item| self.corpus.class(item)).collect(),
            probabilities,
            utterances
                .iter()
                .map(|utterance| utterance.path.display().to_string())
                .collect(),
        )?;
        let judgement = judge_scores(&scores, &speakers(&utterances), self.plan.recipe.seed)?;
        Ok(Judged { scores, judgement })
    }
}

/// Whose clips these are; a clip of nobody known counts as a speaker of its own.
pub(super) fn speakers(utterances: &[&Utterance]) -> Vec<String> {
    let name = |utterance: &&Utterance| {
        let own = || format!("clip {}", utterance.path.display());
        utterance.speaker.clone().unwrap_or_else(own)
    };
    utterances.iter().map(name).collect()
}

fn judge_scores(
    scores: &Scores,
    speakers: &[String],
    seed: u64,
) -> Result<Judgement, EvaluateError> {
    let bootstrap = Bootstrap {
        n_resamples: N_RESAMPLES,
        seed,
    };
    Judgement::of_speakers(scores, speakers, bootstrap)
}

/// A clip that could not be judged.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unjudged {
    pub path: PathBuf,
    pub reason: String,
}

/// Judges any bundle over labelled clips, decoded and classified in parallel on the present thread
/// pool. Clips that cannot be read are listed and left out.
pub fn judge_bundle(
    bundle: &Bundle,
    root: &Path,
    utterances: &[Utterance],
    seed: u64,
    watch: &dyn crate::ingest::Watch,
) -> Result<(Judged, Vec<Unjudged>), RunError> {
    let n_done = std::sync::atomic::AtomicUsize::new(0);
    let rate_hz = bundle.frontend.sample_rate_hz;
    let classified: Vec<Option<Result<Vec<f32>, String>>> = utterances
        .par_iter()
        .map_init(
            || ClipClassifier::new(bundle),
            |classifier, utterance| {
                if watch.stopped() {
                    return None;
                }
                let mut classify = || -> Result<Vec<f32>, String> {
                    let classifier = classifier.as_mut().map_err(|error| error.to_string())?;
                    let samples = read(&root.join(&utterance.path), utterance, rate_hz)?;
                    Ok(classifier.classify(&samples).to_vec())
                };
                let result = classify();
                let done = n_done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                watch.progress(done, utterances.len(), "judge");
                Some(result)
            },
        )
        .collect();
    let (mut kept, mut probabilities, mut unjudged) = (Vec::new(), Vec::new(), Vec::new());
    for (utterance, result) in utterances.iter().zip(classified) {
        match result.ok_or(RunError::Stopped)? {
            Ok(row) => {
                kept.push(utterance);
                probabilities.extend(row);
            }
            Err(reason) => unjudged.push(Unjudged {
                path: utterance.path.clone(),
                reason,
            }),
        }
    }
    let class = |utterance: &&Utterance| {
        let position = bundle
            .labels
            .iter()
            .position(|label| *label == utterance.label);
        position.expect("the caller keeps to the bundle's labels")
    };
    let scores = Scores::new(
        bundle.labels.clone(),
        kept.iter().map(class).collect(),
        probabilities,
        kept.iter()
            .map(|utterance| utterance.path.display().to_string())
            .collect(),
    )?;
    let judgement = judge_scores(&scores, &speakers(&kept), seed)?;
    Ok((Judged { scores, judgement }, unjudged))
}

fn read(path: &Path, utterance: &Utterance, rate_hz: u32) -> Result<Vec<f32>, String> {
    let whole = |_| {
        decode(path, rate_hz)
            .map(|clip| clip.samples)
            .map_err(|e| e.to_string())
    };
    let (Some(start_s), Some(end_s)) = (utterance.start_s, utterance.end_s) else {
        return whole(());
    };
    let place = |seconds: f64| (seconds.max(0.0) * f64::from(rate_hz)).round() as usize;
    let (from, to) = (place(start_s), place(end_s));
    let mut reader = AudioReader::open(path, rate_hz).map_err(|error| error.to_string())?;
    let (mut samples, mut n_skipped) = (Vec::new(), 0);
    while n_skipped + samples.len() < to {
        let is_more = reader
            .read(&mut samples)
            .map_err(|error| error.to_string())?;
        let n_before = (from.saturating_sub(n_skipped)).min(samples.len());
        samples.drain(..n_before);
        n_skipped += n_before;
        if !is_more {
            break;
        }
    }
    samples.truncate(to - from);
    Ok(samples)
}
