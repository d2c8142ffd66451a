//! The program piper (neural voices, one file each): is it there, which voices lie in a folder, and its speech as samples.
//!
//! Both forms of it are understood, the one of C++ (rhasspy/piper) and the one of Python (OHF-Voice/piper1-gpl), by the options
//! that they share. Its noise is turned off, so that a corpus comes out the same again: clips differ by voice, rate, level and hiss.
//! A process is begun for each word and loads its voice, so a corpus takes far longer than with espeak-ng.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::engine::{Engine, Installed, Timbres, USUAL_WPM};
use super::program::{describe, run};
use super::{SAMPLE_RATE_HZ, SynthError, SynthUtterance};

/// piper on this machine, with its voices.
#[derive(Clone, Debug)]
pub struct Piper {
    program: PathBuf,
    version: String,
    folder: PathBuf,
    voices: BTreeMap<String, Voice>,
}

/// One speaker of one model.
#[derive(Clone, Debug)]
struct Voice {
    model: PathBuf,
    /// Among the speakers of its model, where there are several.
    speaker: Option<usize>,
}

/// What is read of `MODEL.onnx.json`.
#[derive(Deserialize)]
struct ModelConfig {
    audio: AudioConfig,
    #[serde(default)]
    num_speakers: usize,
}

#[derive(Deserialize)]
struct AudioConfig {
    sample_rate: u32,
}

impl Piper {
    /// Finds the program `piper` on the path, and the voices in a folder.
    ///
    /// # Errors
    ///
    /// [`SynthError::PiperMissing`]; a folder that cannot be read, or a voice's description in it.
    pub fn find(voices: &Path) -> Result<Self, SynthError> {
        Self::find_at(Path::new("piper"), voices)
    }

    /// Takes the program at a path.
    pub fn find_at(program: &Path, folder: &Path) -> Result<Self, SynthError> {
        let mut help = Command::new(program);
        let output = run(help.arg("--help"), &[]).map_err(|error| match error {
            SynthError::ProgramMissing { program } => SynthError::PiperMissing { program },
            other => other,
        })?;
        let said = [output.stdout, output.stderr].concat();
        if !String::from_utf8_lossy(&said).contains("--model") {
            return Err(SynthError::Program {
                command: describe(&help),
                found: "a program without --model".into(),
                expected: "piper, the text to speech program",
            });
        }
        // The one of Python does not tell its version.
        let version = run(Command::new(program).arg("--version"), &[]).ok();
        let version =
            version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let version =
            version.filter(|version| !version.is_empty() && !version.contains(char::is_whitespace));
        Ok(Self {
            program: program.to_path_buf(),
            version: version.unwrap_or_else(|| "of an unknown version".into()),
            folder: folder.to_path_buf(),
            voices: voices_in(folder)?,
        })
    }
}

/// The voices of a folder: each speaker of each model that has its description beside it and speaks at 22,050 Hz.
fn voices_in(folder: &Path) -> Result<BTreeMap<String, Voice>, SynthError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SynthError::Io { path, source }
    };
    let mut voices = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let model = entry.map_err(io(folder))?.path();
        let name = model
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(name) = name.strip_suffix(".onnx") else {
            continue;
        };
        let path = folder.join(format!("{name}.onnx.json"));
        if !path.exists() {
            continue;
        }
        let text = std::fs::read(&path).map_err(io(&path))?;
        let config: ModelConfig =
            serde_json::from_slice(&text).map_err(|error| SynthError::Corpus {
                path,
                found: error.to_string(),
                expected: "the description of a voice of piper".into(),
            })?;
        if config.audio.sample_rate != SAMPLE_RATE_HZ {
            continue;
        }
        let voice = |speaker| Voice {
            model: model.clone(),
            speaker,
        };
        if config.num_speakers < 2 {
            voices.insert(name.to_owned(), voice(None));
        }
        for speaker in 0..config.num_speakers.max(1) {
            if config.num_speakers > 1 {
                voices.insert(format!("{name}-{speaker:03}"), voice(Some(speaker)));
            }
        }
    }
    Ok(voices)
}

impl Engine for Piper {
    fn name(&self) -> &'static str {
        "piper"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn installed(&self) -> Result<Installed, SynthError> {
        if self.voices.is_empty() {
            return Err(SynthError::NoPiperVoices {
                folder: self.folder.clone(),
            });
        }
        let language = |name: &String| name.split('-').next().unwrap_or(name).to_owned();
        Ok(Installed {
            engine: self.name(),
            version: self.version.clone(),
            accents: self.voices.keys().map(language).collect(),
            variants: self.voices.keys().cloned().collect(),
            timbres: Timbres::OfOneAccent,
            for_training: Vec::new(),
        })
    }

    fn speak(&self, utterance: &SynthUtterance) -> Result<Vec<i16>, SynthError> {
        let voice = self.voices.get(&utterance.voice);
        let voice = voice.ok_or_else(|| SynthError::VoiceMissing {
            engine: self.name(),
            version: self.version.clone(),
            missing: utterance.voice.clone(),
            found: self.voices.keys().cloned().collect::<Vec<_>>().join(" "),
        })?;
        let length_scale = USUAL_WPM / f32::from(utterance.speed_wpm);
        let mut command = Command::new(&self.program);
        command
            .arg("--model")
            .arg(&voice.model)
            .arg("--output_raw")
            .args(["--length_scale", &format!("{length_scale:.3}")])
            .args(["--noise_scale", "0", "--noise_w", "0"]);
        if let Some(speaker) = voice.speaker {
            command.args(["--speaker", &speaker.to_string()]);
        }
        let text = format!("{}\n", utterance.text);
        let output = run(&mut command, text.as_bytes())?;
        let (pairs, _) = output.stdout.as_chunks::<2>();
        // It brings every sentence to full scale.
        let gain = utterance.gain();
        let sample = |pair: &[u8; 2]| (f32::from(i16::from_le_bytes(*pair)) * gain) as i16;
        Ok(pairs.iter().map(sample).collect())
    }
}
