//! Numbers for networks: over the splits of a run, and for any bundle over any labelled clips.

use std::path::{Path, PathBuf};

use auricle_datasets::augment::rms;
use auricle_datasets::{Split, Utterance};
use rayon::prelude::*;

use super::clip::read;
use super::{Run, RunError};
use crate::bundle::Bundle;
use crate::evaluate::breakdown::{Group, length_group, loudness_group};
use crate::evaluate::{Bootstrap, Breakdown, EvaluateError, Judgement, Scores};
use crate::model::{Combination, Network};
use crate::search::Corpus;
use crate::search::full::Member;
use crate::search::scoring::{logits, logits_of_first};
use crate::stream::ClipClassifier;

/// Resamplings of the intervals over speakers.
const N_RESAMPLES: usize = 2_000;

/// Seconds after which a whole clip is asked, besides its end.
pub(super) const HEARD_S: [f64; 4] = [1.0, 2.0, 3.0, 5.0];

/// A judgement and what it was made of.
pub struct Judged {
    pub scores: Scores,
    pub judgement: Judgement,
    /// Whose each example is; `None` where nobody is known.
    pub speakers: Option<Vec<String>>,
}

impl Run<'_> {
    /// Logits of one trained network over a split, `[n, n_classes]`.
    pub(super) fn logits(&self, member: &Member, split: Split) -> Result<Vec<f32>, RunError> {
        let network = self.network(member)?;
        let items = self.corpus.items(split);
        let corpus = self.corpus.behind(&member.hyper);
        Ok(logits(&network, corpus, &items, self.plan.device))
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
        let scores = self.scores(&items, &logits, combination)?;
        let utterances: Vec<&Utterance> = items
            .iter()
            .map(|&item| self.corpus.utterance(item))
            .collect();
        let speakers = speakers(&utterances);
        let mut judgement = judge_scores(&scores, speakers.as_deref(), self.plan.recipe.seed)?;
        judgement.breakdowns = self.by_source(&utterances, &scores)?;
        if !self.plan.recipe.data.lengths.is_fixed() {
            let by_length = self.by_length(&items, &scores)?;
            judgement.breakdowns.push(by_length);
            let networks = self.listeners(members)?;
            let mut groups = Vec::new();
            for seconds in HEARD_S {
                groups.push(self.first_seconds(seconds, &items, &networks, combination)?);
            }
            groups.push(Group::of("whole", &scores));
            judgement
                .breakdowns
                .push(Breakdown::of_groups(SECONDS_HEARD, groups));
        }
        Ok(Judged {
            scores,
            judgement,
            speakers,
        })
    }

    /// The members' common answer of those items; `logits`: one table a member.
    fn scores(
        &self,
        items: &[usize],
        logits: &[Vec<f32>],
        combination: &Combination,
    ) -> Result<Scores, RunError> {
        let n_classes = self.corpus.labels().len();
        let mut probabilities = vec![0.0; items.len() * n_classes];
        let mut row_logits = Vec::with_capacity(logits.len() * n_classes);
        for (i, row) in probabilities.chunks_exact_mut(n_classes).enumerate() {
            row_logits.clear();
            for logits in logits {
                row_logits.extend_from_slice(&logits[i * n_classes..(i + 1) * n_classes]);
            }
            combination.apply(&row_logits, row);
        }
        Ok(Scores::new(
            self.corpus.labels().to_vec(),
            items.iter().map(|&item| self.corpus.class(item)).collect(),
            probabilities,
            items
                .iter()
                .map(|&item| name(self.corpus.utterance(item)))
                .collect(),
        )?)
    }

    /// Apart by source, and by whether the source was learnt from: only what was never heard says what is worth knowing.
    fn by_source(
        &self,
        utterances: &[&Utterance],
        scores: &Scores,
    ) -> Result<Vec<Breakdown>, RunError> {
        let Some(pattern) = &self.plan.recipe.data.source else {
            return Ok(Vec::new());
        };
        let learnt: std::collections::BTreeSet<&str> = self
            .corpus
            .items(Split::Train)
            .into_iter()
            .filter_map(|item| pattern.speaker_of(&self.corpus.utterance(item).path))
            .collect();
        let sources: Vec<Option<String>> = utterances
            .iter()
            .map(|utterance| pattern.speaker_of(&utterance.path).map(str::to_owned))
            .collect();
        let side = |source: &Option<String>| {
            let is_learnt = learnt.contains(source.as_deref()?);
            let side = if is_learnt {
                "within: other voices of sources learnt from"
            } else {
                "across: sources never learnt from"
            };
            Some(side.to_owned())
        };
        let sides: Vec<Option<String>> = sources.iter().map(side).collect();
        Ok(vec![
            Breakdown::of("source", scores, &sources)?,
            Breakdown::of("within or across sources", scores, &sides)?,
        ])
    }

    fn by_length(&self, items: &[usize], scores: &Scores) -> Result<Breakdown, RunError> {
        let length = |&item: &usize| {
            let n_samples = self.corpus.recorded_samples(item);
            Some(length_group(self.corpus.seconds(n_samples)))
        };
        let lengths: Vec<Option<String>> = items.iter().map(length).collect();
        Ok(Breakdown::of("length", scores, &lengths)?)
    }

    /// Trained networks, each beside the corpus as it hears it.
    pub(super) fn listeners(
        &self,
        members: &[&Member],
    ) -> Result<Vec<(&Corpus, Network)>, RunError> {
        let listener = |member: &&Member| {
            let corpus = self.corpus.behind(&member.hyper);
            Ok((corpus, self.network(member)?))
        };
        members.iter().map(listener).collect()
    }

    /// As if only the first seconds had been heard, of clips that are as long.
    fn first_seconds(
        &self,
        seconds: f64,
        items: &[usize],
        networks: &[(&Corpus, Network)],
        combination: &Combination,
    ) -> Result<Group, RunError> {
        let name = first_name(seconds);
        let scores = self.scores_of_first(seconds, items, networks, combination)?;
        Ok(match scores {
            Some(scores) => Group::of(&name, &scores),
            None => Group::missing(&name, NONE_AS_LONG),
        })
    }

    /// The common answer of the first seconds of those items that are as long; `None` where none is.
    pub(super) fn scores_of_first(
        &self,
        seconds: f64,
        items: &[usize],
        networks: &[(&Corpus, Network)],
        combination: &Combination,
    ) -> Result<Option<Scores>, RunError> {
        let is_as_long =
            |&item: &usize| self.corpus.seconds(self.corpus.recorded_samples(item)) >= seconds;
        let items: Vec<usize> = items.iter().copied().filter(is_as_long).collect();
        if items.is_empty() {
            return Ok(None);
        }
        let n_samples = self.corpus.samples_in(seconds);
        let logits: Vec<Vec<f32>> = networks
            .iter()
            .map(|(corpus, network)| {
                logits_of_first(network, corpus, &items, n_samples, self.plan.device)
            })
            .collect();
        Ok(Some(self.scores(&items, &logits, combination)?))
    }
}

/// Whose clips these are, if somebody is known; then a clip of nobody known counts as a speaker of its own.
fn speakers(utterances: &[&Utterance]) -> Option<Vec<String>> {
    utterances.iter().find(|clip| clip.speaker.is_some())?;
    let name = |utterance: &&Utterance| {
        let own = || format!("clip {}", utterance.path.display());
        let speaker = utterance.speaker.as_ref();
        speaker.map_or_else(own, ToString::to_string)
    };
    Some(utterances.iter().map(name).collect())
}

fn judge_scores(
    scores: &Scores,
    speakers: Option<&[String]>,
    seed: u64,
) -> Result<Judgement, EvaluateError> {
    match speakers {
        Some(speakers) => Judgement::of_speakers(scores, speakers, bootstrap(seed)),
        None => Judgement::of(scores),
    }
}

/// How intervals over speakers are drawn.
pub(super) fn bootstrap(seed: u64) -> Bootstrap {
    Bootstrap {
        n_resamples: N_RESAMPLES,
        seed,
    }
}

/// A clip that could not be judged.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Unjudged {
    pub path: PathBuf,
    pub reason: String,
}

/// What is asked besides the numbers over all clips.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// Tells the clips apart, in any number of ways.
    pub by: &'a [Column],
    /// Apart by their own length.
    pub by_length: bool,
    /// Apart by their own loudness.
    pub by_loudness: bool,
    /// As if only the first so many seconds had been heard, of clips that are as long.
    pub seconds: &'a [f64],
}

/// A property of clips, such as their source.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// `[n_utterances]`
    pub values: Vec<Option<String>>,
}

/// What a bundle says of one clip.
struct Said {
    n_samples: usize,
    dbfs: f64,
    whole: Vec<f32>,
    /// Of each of the asked beginnings, where the clip is as long.
    of_first: Vec<Option<Vec<f32>>>,
}

/// Judges any bundle over labelled clips, decoded and classified in parallel on the present thread
/// pool. Clips that cannot be read are listed and left out. All labels must be the bundle's.
pub fn judge_bundle(
    bundle: &Bundle,
    root: &Path,
    utterances: &[Utterance],
    asked: Asked,
    seed: u64,
    watch: &dyn crate::ingest::Watch,
) -> Result<(Judged, Vec<Unjudged>), RunError> {
    let n_done = std::sync::atomic::AtomicUsize::new(0);
    let rate_hz = bundle.frontend.sample_rate_hz;
    let n_first: Vec<usize> = asked
        .seconds
        .iter()
        .map(|seconds| (seconds * f64::from(rate_hz)).round() as usize)
        .collect();
    let classified: Vec<Option<Result<Said, String>>> = utterances
        .par_iter()
        .map_init(
            || ClipClassifier::new(bundle),
            |classifier, utterance| {
                if watch.stopped() {
                    return None;
                }
                let mut classify = || -> Result<Said, String> {
                    let classifier = classifier.as_mut().map_err(|error| error.to_string())?;
                    let samples = read(&root.join(&utterance.path), utterance, &bundle.frontend)?;
                    let mut first = |&n: &usize| {
                        let samples = samples.get(..n).filter(|_| n > 0)?;
                        Some(classifier.classify(samples).to_vec())
                    };
                    let of_first = n_first.iter().map(&mut first).collect();
                    Ok(Said {
                        n_samples: samples.len(),
                        dbfs: 20.0 * rms(&samples).log10(),
                        of_first,
                        whole: classifier.classify(&samples).to_vec(),
                    })
                };
                let result = classify();
                let done = n_done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                watch.progress(done, utterances.len(), "judge");
                Some(result)
            },
        )
        .collect();
    let (mut kept, mut said, mut unjudged) = (Vec::new(), Vec::new(), Vec::new());
    for (at, result) in classified.into_iter().enumerate() {
        match result.ok_or(RunError::Stopped)? {
            Ok(answer) => {
                kept.push(at);
                said.push(answer);
            }
            Err(reason) => unjudged.push(Unjudged {
                path: utterances[at].path.clone(),
                reason,
            }),
        }
    }
    if let (true, Some(first)) = (kept.is_empty(), unjudged.first()) {
        return Err(RunError::NothingJudged {
            n_clips: unjudged.len(),
            first: first.reason.clone(),
        });
    }
    let class = |utterance: &Utterance| {
        let position = bundle
            .labels
            .iter()
            .position(|label| *label == utterance.label);
        position.expect("the caller keeps to the bundle's labels")
    };
    let clips: Vec<&Utterance> = kept.iter().map(|&at| &utterances[at]).collect();
    let table = |rows: &[(usize, &[f32])]| {
        Scores::new(
            bundle.labels.clone(),
            rows.iter().map(|&(clip, _)| class(clips[clip])).collect(),
            rows.iter().flat_map(|(_, row)| row.to_vec()).collect(),
            rows.iter().map(|&(clip, _)| name(clips[clip])).collect(),
        )
    };
    let whole: Vec<(usize, &[f32])> = said
        .iter()
        .enumerate()
        .map(|(clip, said)| (clip, said.whole.as_slice()))
        .collect();
    let scores = table(&whole)?;
    let speakers = speakers(&clips);
    let mut judgement = judge_scores(&scores, speakers.as_deref(), seed)?;
    for column in asked.by {
        let values: Vec<Option<String>> =
            kept.iter().map(|&at| column.values[at].clone()).collect();
        let breakdown = Breakdown::of(&column.name, &scores, &values)?;
        judgement.breakdowns.push(breakdown);
    }
    if asked.by_length {
        let length = |said: &Said| length_group(said.n_samples as f64 / f64::from(rate_hz));
        let values: Vec<Option<String>> = said.iter().map(|said| Some(length(said))).collect();
        judgement
            .breakdowns
            .push(Breakdown::of("length", &scores, &values)?);
    }
    if asked.by_loudness {
        let values: Vec<Option<String>> = said
            .iter()
            .map(|said| Some(loudness_group(said.dbfs)))
            .collect();
        judgement
            .breakdowns
            .push(Breakdown::of("loudness", &scores, &values)?);
    }
    if !asked.seconds.is_empty() {
        let mut groups = Vec::new();
        for (at, seconds) in asked.seconds.iter().enumerate() {
            let heard = said.iter().enumerate();
            let heard: Vec<(usize, &[f32])> = heard
                .filter_map(|(clip, said)| Some((clip, said.of_first[at].as_deref()?)))
                .collect();
            groups.push(match heard.as_slice() {
                [] => Group::missing(&first_name(*seconds), NONE_AS_LONG),
                heard => Group::of(&first_name(*seconds), &table(heard)?),
            });
        }
        groups.push(Group::of("whole", &scores));
        judgement
            .breakdowns
            .push(Breakdown::of_groups(SECONDS_HEARD, groups));
    }
    Ok((
        Judged {
            scores,
            judgement,
            speakers,
        },
        unjudged,
    ))
}

/// What a clip is called: its path, and where in it the clip starts if not at its start.
fn name(utterance: &Utterance) -> String {
    let path = utterance.path.display();
    match utterance.start_s {
        Some(start_s) => format!("{path} from {start_s} s"),
        None => path.to_string(),
    }
}

const SECONDS_HEARD: &str = "seconds heard";
const NONE_AS_LONG: &str = "no clip is as long";

fn first_name(seconds: f64) -> String {
    format!("first {seconds} s")
}
