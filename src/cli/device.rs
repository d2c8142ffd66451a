//! Which device computes: the only place that names a backend.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;
use burn::tensor::Device;

/// What `--device` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the CPU. Never a software GPU.
    Auto,
    Cpu,
    Wgpu(usize),
    Cuda(usize),
}

/// A device that was chosen.
pub struct ChosenDevice {
    /// Without autodiff.
    pub device: Device,
    /// `cpu`, `wgpu` or `cuda`.
    pub kind: &'static str,
    pub name: String,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, index) = text.split_once(':').unwrap_or((text, "0"));
        let expected = || format!("found `{text}`, expected auto, cpu, wgpu[:N] or cuda[:N]");
        let index: usize = index.parse().map_err(|_| expected())?;
        match kind {
            "auto" if text == kind => Ok(Self::Auto),
            "cpu" if text == kind => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu(index)),
            "cuda" => Ok(Self::Cuda(index)),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    pub fn open(self) -> anyhow::Result<ChosenDevice> {
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Auto => Ok(gpus()
                .into_iter()
                .find(|gpu| gpu.is_real)
                .map_or_else(cpu, |gpu| gpu.chosen)),
            Self::Wgpu(index) => nth("wgpu", index),
            Self::Cuda(index) => nth("cuda", index),
        }
    }
}

/// A GPU that this program can use.
pub struct Gpu {
    pub chosen: ChosenDevice,
    /// A card, and not a program that plays one.
    pub is_real: bool,
    /// As `--device` names it.
    pub choice: DeviceChoice,
}

/// The CPU.
pub fn cpu() -> ChosenDevice {
    ChosenDevice {
        device: Device::flex(),
        kind: "cpu",
        name: format!("CPU ({})", std::env::consts::ARCH),
    }
}

/// All GPUs of all kinds that were compiled in, CUDA before wgpu.
pub fn gpus() -> Vec<Gpu> {
    #[allow(unused_mut)]
    let mut gpus = Vec::new();
    #[cfg(feature = "cuda")]
    gpus.extend(list(
        burn::tensor::DeviceType::Cuda,
        "cuda",
        DeviceChoice::Cuda,
    ));
    #[cfg(feature = "wgpu")]
    gpus.extend(list(
        burn::tensor::DeviceType::Wgpu,
        "wgpu",
        DeviceChoice::Wgpu,
    ));
    gpus
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn list(
    kind: burn::tensor::DeviceType,
    name: &'static str,
    choice: fn(usize) -> DeviceChoice,
) -> Vec<Gpu> {
    // A driver that is not there may panic in its binding: that is no GPU, not an error.
    let found = std::panic::catch_unwind(|| Device::enumerate(kind).into_vec()).unwrap_or_default();
    let describe = |(index, device): (usize, Device)| {
        let identity = device.identity();
        let is_real = identity
            .as_ref()
            .is_some_and(|identity| identity.physical.is_some());
        Gpu {
            is_real,
            choice: choice(index),
            chosen: ChosenDevice {
                name: identity.map_or_else(|| "unnamed".into(), |identity| identity.name),
                device,
                kind: name,
            },
        }
    };
    found.into_iter().enumerate().map(describe).collect()
}

fn nth(kind: &str, index: usize) -> anyhow::Result<ChosenDevice> {
    if !compiled_in(kind) {
        bail!(
            "--device {kind}: this build has no {kind}, expected one built with `--features {kind}`"
        );
    }
    let mut found: Vec<Gpu> = gpus();
    found.retain(|gpu| gpu.chosen.kind == kind);
    let names: Vec<String> = found.iter().map(|gpu| gpu.chosen.name.clone()).collect();
    match found.into_iter().nth(index) {
        Some(gpu) => Ok(gpu.chosen),
        None => bail!(
            "--device {kind}:{index}: found {} such devices ({}); `auricle devices` lists them",
            names.len(),
            names.join(", ")
        ),
    }
}

fn compiled_in(kind: &str) -> bool {
    match kind {
        "wgpu" => cfg!(feature = "wgpu"),
        "cuda" => cfg!(feature = "cuda"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_the_help_says() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("wgpu", DeviceChoice::Wgpu(0)),
            ("wgpu:1", DeviceChoice::Wgpu(1)),
            ("cuda:2", DeviceChoice::Cuda(2)),
        ] {
            assert_eq!(text.parse(), Ok(choice));
        }
        for text in ["", "gpu", "cpu:0", "wgpu:", "wgpu:x", "cuda:-1"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(
                error.ends_with("expected auto, cpu, wgpu[:N] or cuda[:N]"),
                "{error}"
            );
        }
    }
}
