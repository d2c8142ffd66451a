//! The program flite beside espeak-ng: few voices, made of what people recorded, where espeak-ng's are many and made of rules.
//!
//! They are too few to hold any back, so they speak for training only. They speak English.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::{Engine, Installed, USUAL_WPM};
use super::program::{describe, run, run_for_wav};
use super::{Espeak, SAMPLE_RATE_HZ, SynthError, SynthUtterance};
use crate::augment::change_speed;

/// The voices of 16 kHz that come with it, apart from one that only tells the time.
const VOICES: [&str; 4] = ["awb", "kal16", "rms", "slt"];

/// Their rate.
const RATE_HZ: u32 = 16_000;

/// flite on this machine.
#[derive(Clone, Debug)]
pub struct Flite {
    program: PathBuf,
    version: String,
    voices: Vec<String>,
}

impl Flite {
    /// Finds the program `flite` on the path.
    ///
    /// # Errors
    ///
    /// [`SynthError::ProgramMissing`], [`SynthError::Program`] where it is another program or has none of the voices.
    pub fn find() -> Result<Self, SynthError> {
        Self::find_at(Path::new("flite"))
    }

    /// Takes the program at a path.
    pub fn find_at(program: &Path) -> Result<Self, SynthError> {
        let ask = |flag| {
            let mut command = Command::new(program);
            let output = run(command.arg(flag), &[])?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok::<_, SynthError>((describe(&command), said))
        };
        let strange = |command, found: &str, expected| SynthError::Program {
            command,
            found: found.trim().to_owned(),
            expected,
        };
        // "  version: flite-2.2-current Sep 2018 (http://cmuflite.org)"; with it comes success or not, by the version.
        let (command, said) = ask("--help")?;
        let version = said.split_once("version: flite-");
        let version = version.and_then(|(_, rest)| rest.split([' ', '-']).next());
        let Some(version) = version else {
            return Err(strange(command, &said, "the version of flite"));
        };
        // "Voices available: kal awb_time kal16 awb rms slt"
        let (command, said) = ask("-lv")?;
        let listed: Vec<&str> = said.split_whitespace().collect();
        let voices = VOICES.iter().filter(|voice| listed.contains(voice));
        let voices: Vec<String> = voices.map(|&voice| voice.to_owned()).collect();
        if voices.is_empty() {
            return Err(strange(command, &said, "one of awb, kal16, rms and slt"));
        }
        Ok(Self {
            program: program.to_path_buf(),
            version: version.to_owned(),
            voices,
        })
    }

    /// Speaks at the rate asked for. Pitch is that of the voice at 50, and its whole timbre goes with it, a quarter of an octave
    /// for 25.
    fn speak(&self, utterance: &SynthUtterance) -> Result<Vec<i16>, SynthError> {
        let raised = 2f32.powf((f32::from(utterance.pitch) - 50.0) / 100.0);
        let stretch = raised * USUAL_WPM / f32::from(utterance.speed_wpm);
        let mut command = Command::new(&self.program);
        command
            .args(["-voice", &utterance.voice])
            .args(["--setf", &format!("duration_stretch={stretch:.3}")])
            .args(["-o", "/dev/stdout", "-t", &utterance.text]);
        let expected = "a WAV of 16-bit mono speech at 16,000 Hz";
        let samples = run_for_wav(&mut command, RATE_HZ, expected)?;
        let gain = utterance.gain();
        let level = |x: f32| (gain * x).round() as i16;
        Ok(at_rate(&samples, raised).into_iter().map(level).collect())
    }
}

/// Samples of [`RATE_HZ`] at [`SAMPLE_RATE_HZ`], raised in pitch by a factor.
fn at_rate(samples: &[i16], raised: f32) -> Vec<f32> {
    let factor = raised * RATE_HZ as f32 / SAMPLE_RATE_HZ as f32;
    // Room for what gets longer, since a change of speed keeps the length.
    let n_more = (samples.len() as f32 * (1.0 / factor - 1.0)).max(0.0) as usize / 2 + 1;
    let mut padded = vec![0.0; samples.len() + 2 * n_more];
    for (x, &sample) in padded[n_more..].iter_mut().zip(samples) {
        *x = f32::from(sample);
    }
    let mut changed = Vec::new();
    change_speed(&padded, factor, &mut changed);
    changed
}

/// espeak-ng, and flite for training.
#[derive(Clone, Debug)]
pub struct EspeakAndFlite {
    espeak: Espeak,
    flite: Flite,
    version: String,
}

impl EspeakAndFlite {
    /// Takes both programs.
    pub fn new(espeak: Espeak, flite: Flite) -> Self {
        let version = format!("{} and flite {}", espeak.version(), flite.version);
        Self {
            espeak,
            flite,
            version,
        }
    }
}

impl Engine for EspeakAndFlite {
    fn name(&self) -> &'static str {
        self.espeak.name()
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn installed(&self) -> Result<Installed, SynthError> {
        Ok(Installed {
            for_training: self.flite.voices.clone(),
            ..self.espeak.installed()?
        })
    }

    fn speak(&self, utterance: &SynthUtterance) -> Result<Vec<i16>, SynthError> {
        match self.flite.voices.contains(&utterance.voice) {
            true => self.flite.speak(utterance),
            false => self.espeak.speak(utterance),
        }
    }
}
