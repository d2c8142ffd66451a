//! `auricle devices`.

use std::io::Write;

use crate::cli::device;

pub fn devices(out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Compute devices (--device):")?;
    writeln!(out, "  cpu       {}", device::cpu().name)?;
    let gpus = device::gpus();
    for gpu in &gpus {
        let note = if gpu.is_real {
            ""
        } else {
            "  (software: auto does not take it)"
        };
        writeln!(
            out,
            "  {:<9} {}{note}",
            gpu.choice.to_string(),
            gpu.chosen.name
        )?;
    }
    let auto = gpus.iter().find(|gpu| gpu.is_real);
    let auto = auto.map_or("cpu".to_owned(), |gpu| gpu.choice.to_string());
    writeln!(out, "  auto      takes {auto}")?;
    writeln!(out, "Microphones (--mic --device):")?;
    microphones(out)
}

#[cfg(feature = "mic")]
fn microphones(out: &mut dyn Write) -> anyhow::Result<()> {
    match crate::audio::capture::input_devices() {
        Ok(found) if found.is_empty() => writeln!(out, "  none")?,
        Ok(found) => {
            for (index, device) in found.iter().enumerate() {
                writeln!(out, "  {index}  {device}")?;
            }
        }
        Err(error) => writeln!(out, "  none: {error}")?,
    }
    Ok(())
}

#[cfg(not(feature = "mic"))]
fn microphones(out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "  this build has no microphone; build with `--features mic`"
    )?;
    Ok(())
}
