//! The program espeak-ng: is it there, what can it speak, and its speech as samples.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::{Engine, Installed, Timbres};
use super::near::sounds_of;
use super::program::{run, run_for_wav};
use super::{SAMPLE_RATE_HZ, SynthError, SynthUtterance};

/// espeak-ng on this machine.
#[derive(Clone, Debug)]
pub struct Espeak {
    program: PathBuf,
    version: String,
}

impl Espeak {
    /// Finds the program `espeak-ng` on the path.
    pub fn find() -> Result<Self, SynthError> {
        Self::find_at(Path::new("espeak-ng"))
    }

    /// Takes the program at a path.
    pub fn find_at(program: &Path) -> Result<Self, SynthError> {
        let mut espeak = Self {
            program: program.to_path_buf(),
            version: String::new(),
        };
        let said = espeak.listing("--version")?;
        // "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/..."
        let version = said
            .split_once("text-to-speech:")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        match version {
            Some(version) => espeak.version = version.to_owned(),
            None => {
                return Err(SynthError::Program {
                    command: format!("{} --version", program.display()),
                    found: said.trim().to_owned(),
                    expected: "the version of eSpeak NG text-to-speech",
                });
            }
        }
        Ok(espeak)
    }

    /// The sounds of each word as a voice says it, without stress; none for what is not spoken.
    pub fn sounds(&self, words: &[String], voice: &str) -> Result<Vec<Vec<String>>, SynthError> {
        // Much more would fill the pipe before anybody reads it.
        const N_AT_A_TIME: usize = 500;
        let mut sounds = Vec::with_capacity(words.len());
        for some in words.chunks(N_AT_A_TIME) {
            // A paragraph each: a line of sounds comes back for each.
            let text: Vec<String> = some.iter().map(|word| word.replace('_', " ")).collect();
            let said = self.phonetic(&text.join("\n\n"), voice)?;
            let lines: Vec<&str> = said.lines().collect();
            if lines.len() == some.len() {
                sounds.extend(lines.into_iter().map(sounds_of));
                continue;
            }
            // A word that is not spoken leaves no line, and nobody could tell which it was.
            for word in text {
                sounds.push(sounds_of(&self.phonetic(&word, voice)?));
            }
        }
        Ok(sounds)
    }

    /// A text in phonetic letters, sounds apart by `_`.
    fn phonetic(&self, text: &str, voice: &str) -> Result<String, SynthError> {
        let mut command = Command::new(&self.program);
        command.args(["-q", "--ipa", "--sep=_", "-v", voice, "--stdin"]);
        let output = run(&mut command, text.as_bytes())?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn listing(&self, flag: &str) -> Result<String, SynthError> {
        let output = run(Command::new(&self.program).arg(flag), &[])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Engine for Espeak {
    fn name(&self) -> &'static str {
        "espeak-ng"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn installed(&self) -> Result<Installed, SynthError> {
        // " 5  en-gb-scotland  --/M  English_(Scotland)  gmw/en-GB-scotland  (en 4)"
        let voices = self.listing("--voices")?;
        let accents = voices.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (language, file) = (fields.next()?, fields.nth(2)?);
            // MBROLA voices need another program and its data.
            (!file.starts_with("mb/")).then(|| language.to_owned())
        });
        // " 5  variant  --/F  female3  !v/f3"; a name with a space cannot be told from what follows it.
        let variants = self.listing("--voices=variant")?;
        let variants = variants
            .lines()
            .filter_map(|line| {
                line.split_once("!v/")?
                    .1
                    .split_whitespace()
                    .next()
                    .map(str::to_owned)
            })
            .collect();
        Ok(Installed {
            engine: self.name(),
            version: self.version.clone(),
            accents: accents.collect(),
            variants,
            timbres: Timbres::OfAnyAccent,
            for_training: Vec::new(),
        })
    }

    fn speak(&self, utterance: &SynthUtterance) -> Result<Vec<i16>, SynthError> {
        let mut command = Command::new(&self.program);
        command
            .args(["-v", &utterance.voice])
            .args(["-p", &utterance.pitch.to_string()])
            .args(["-s", &utterance.speed_wpm.to_string()])
            .args(["-a", &utterance.amplitude.to_string()])
            .args(["-z", "-b", "1", "--stdout", "--", &utterance.text]);
        let expected = "a WAV of 16-bit mono speech at 22,050 Hz";
        run_for_wav(&mut command, SAMPLE_RATE_HZ, expected)
    }
}
