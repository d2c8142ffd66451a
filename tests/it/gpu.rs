//! wgpu without a GPU: a tiny network trained through SwiftShader, its losses next to the CPU's.

use std::fs;
use std::path::Path;
use std::process::Command;

use auricle::search::Trial;
use auricle::search::store::{SqliteStore, StudyStore};

use crate::pipeline::run_folder;
use crate::tones;

fn first_trial(folder: &Path, device: &str, vulkan: Option<&str>) -> Trial {
    let runs = folder.join(device.replace(':', "-"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_auricle"));
    command
        .arg("search")
        .arg(folder.join("tones.toml"))
        .arg("--data")
        .arg(folder.join("corpus"))
        .arg("--runs")
        .arg(&runs)
        .args(["--device", device, "--workers", "1"]);
    if let Some(vulkan) = vulkan {
        command
            .env("VK_DRIVER_FILES", vulkan)
            .env("VK_ICD_FILENAMES", vulkan);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let run = run_folder(&runs);
    let fingerprint = run.file_name().unwrap().to_string_lossy().into_owned();
    let store = SqliteStore::open(&run.join("study.sqlite"), &fingerprint).unwrap();
    store.trials().unwrap().remove(0)
}

#[test]
fn a_network_trained_on_wgpu_loses_as_much_as_on_the_cpu() {
    if !cfg!(feature = "wgpu") {
        println!("skipped: this build has no wgpu");
        return;
    }
    let Ok(vulkan) = std::env::var("AURICLE_TEST_VULKAN") else {
        println!(
            "skipped: AURICLE_TEST_VULKAN names no software Vulkan driver (`make test` sets one up)"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    tones::corpus(&folder.path().join("corpus"), &tones::words(4), 8);
    let recipe = tones::recipe(folder.path(), 1);
    let text = fs::read_to_string(&recipe).unwrap();
    fs::write(
        &recipe,
        text.replace("{ kind = \"residual\"", "# { kind = \"residual\""),
    )
    .unwrap();
    let cpu = first_trial(folder.path(), "cpu", None);
    let gpu = first_trial(folder.path(), "wgpu:0", Some(&vulkan));
    assert_eq!(cpu.genome, gpu.genome);
    assert_eq!(cpu.curve.len(), gpu.curve.len());
    for (cpu, gpu) in cpu.curve.iter().zip(&gpu.curve) {
        println!(
            "epoch {}: loss {} on the CPU, {} on wgpu",
            cpu.epoch, cpu.train_loss, gpu.train_loss
        );
        assert!(
            (cpu.train_loss - gpu.train_loss).abs() < 1e-3,
            "{cpu:?} {gpu:?}"
        );
        assert!(
            (cpu.validation_loss - gpu.validation_loss).abs() < 1e-2,
            "{cpu:?} {gpu:?}"
        );
    }
}

#[test]
fn auto_never_takes_a_software_gpu() {
    let Ok(vulkan) = std::env::var("AURICLE_TEST_VULKAN") else {
        println!("skipped: AURICLE_TEST_VULKAN names no software Vulkan driver");
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_auricle"))
        .arg("devices")
        .env("VK_DRIVER_FILES", &vulkan)
        .env("VK_ICD_FILENAMES", &vulkan)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if cfg!(feature = "wgpu") {
        assert!(
            text.contains("wgpu:0") && text.contains("software"),
            "{text}"
        );
    }
    assert!(text.contains("auto      takes cpu"), "{text}");
}
