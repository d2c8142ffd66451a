//! `auricle dataset augment-page`: each change of a recipe's augmentation, seen on one clip.

use std::io::Write;

use anyhow::{Context, bail};
use auricle_datasets::augment::{
    AugmentSpec, ChannelMix, NoiseBank, NoiseMix, RoomBank, RoomMix, augment_frames,
    augment_samples,
};
use auricle_datasets::background::noise_files;
use auricle_datasets::seeded::purpose_rng;
use auricle_features::LogMel;

use crate::audio::decode;
use crate::cli::args_dataset::AugmentPageArgs;
use crate::evaluate::report::{SoundSection, heat, sound_page, waveform};
use crate::recipe::Recipe;

/// A change by itself: what it is called, and the spec that makes it and nothing else.
struct Change {
    name: String,
    spec: AugmentSpec,
}

pub fn augment_page(args: &AugmentPageArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let recipe = Recipe::read(&args.recipe)?;
    let frontend = recipe
        .frontend()
        .context("a checked recipe has a front-end")?;
    let rate_hz = frontend.sample_rate_hz;
    let clip = decode(&args.clip, rate_hz)?.samples;
    if clip.len() < frontend.window_samples {
        bail!(
            "{}: found {} samples, expected at least {} (one window of features)",
            args.clip.display(),
            clip.len(),
            frontend.window_samples
        );
    }
    let train = if args.search {
        &recipe.search.train
    } else {
        &recipe.ensemble.train
    };
    let spec = train.augment.scaled(train.augment_strength);
    let noise = noise(args, &recipe, rate_hz)?;
    let rooms = rooms(args, &recipe, rate_hz)?;
    let plan = LogMel::new(&frontend)?;
    let seconds = clip.len() as f64 / f64::from(rate_hz);

    let plain = plan.clip(&clip).values;
    let n_mels = frontend.n_mels;
    let fill: Vec<f32> = (0..n_mels)
        .map(|band| {
            let values = plain.iter().skip(band).step_by(n_mels);
            values.sum::<f32>() / (plain.len() / n_mels) as f32
        })
        .collect();
    let ends = colours(&plain);
    let peak = clip.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let pictures = |samples: &[f32], frames: &[f32]| {
        vec![
            waveform(samples, seconds, peak),
            heat(frames, n_mels, seconds, ends),
        ]
    };
    let mut parts = vec![SoundSection {
        title: "As it was recorded".into(),
        note: "All pictures have the same scales; what is louder than here is cut off.".into(),
        pictures: pictures(&clip, &plain),
    }];
    for change in changes(&spec, !noise.is_empty(), !rooms.is_empty()) {
        let mut shown = Vec::new();
        for take in 0..args.takes.get() {
            let mut rng = purpose_rng(args.seed, &format!("{} {take}", change.name));
            let mut changed = Vec::new();
            augment_samples(&clip, &noise, &rooms, &change.spec, &mut rng, &mut changed);
            let mut frames = plan.clip(&changed).values;
            augment_frames(&mut frames, &fill, &change.spec, &mut rng);
            shown.extend(pictures(&changed, &frames));
        }
        parts.push(SoundSection {
            note: serde_json::to_string(&change.spec)?,
            title: change.name,
            pictures: shown,
        });
    }
    let mut missing = Vec::new();
    if spec.noise.is_some() && noise.is_empty() {
        missing.push("noise is not shown: none was found; say --data or --noise");
    }
    if spec.room.is_some() && rooms.is_empty() {
        missing.push("rooms are not shown: the recipe's are recordings; say --data");
    }
    let mut facts = vec![
        ("clip".to_owned(), args.clip.display().to_string()),
        ("recipe".to_owned(), args.recipe.display().to_string()),
        ("seed".to_owned(), args.seed.to_string()),
    ];
    facts.extend(
        missing
            .iter()
            .map(|why| ("missing".to_owned(), (*why).to_owned())),
    );
    let n_changes = parts.len() - 1;
    let page = sound_page("What training hears of one clip", &facts, &parts);
    std::fs::write(&args.out, page).with_context(|| args.out.display().to_string())?;
    for why in missing {
        writeln!(out, "{why}")?;
    }
    writeln!(out, "{n_changes} changes, {} times each", args.takes)?;
    writeln!(out, "  {}", args.out.display())?;
    Ok(())
}

/// Every change of the spec alone and always, then all of them as training draws them.
fn changes(spec: &AugmentSpec, has_noise: bool, has_rooms: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut put = |name: &str, spec: AugmentSpec| {
        changes.push(Change {
            name: name.to_owned(),
            spec,
        });
    };
    let none = AugmentSpec::none;
    if spec.time_shift_ms > 0.0 {
        let time_shift_ms = spec.time_shift_ms;
        put(
            "Time shift",
            AugmentSpec {
                time_shift_ms,
                ..none()
            },
        );
    }
    if spec.gain_db.is_some() {
        let gain_db = spec.gain_db;
        put("Gain", AugmentSpec { gain_db, ..none() });
    }
    if spec.speed.is_some() {
        let speed = spec.speed;
        put("Speed", AugmentSpec { speed, ..none() });
    }
    if spec.room.is_some() && has_rooms {
        let room = Some(RoomMix { probability: 1.0 });
        put("Room", AugmentSpec { room, ..none() });
    }
    if let Some(noise) = spec.noise.as_ref().filter(|_| has_noise) {
        let noise = Some(NoiseMix {
            probability: 1.0,
            ..noise.clone()
        });
        put("Noise", AugmentSpec { noise, ..none() });
    }
    for kind in spec.channel.iter().flat_map(|channel| &channel.kinds) {
        let channel = Some(ChannelMix {
            probability: 1.0,
            kinds: vec![kind.clone()],
        });
        let name = serde_json::to_value(kind).ok();
        let name = name.as_ref().and_then(|value| value["kind"].as_str());
        let title = format!("Channel: {}", name.unwrap_or("one"));
        put(&title, AugmentSpec { channel, ..none() });
    }
    if spec.spec_augment.is_some() || spec.max_frame_shift > 0 {
        let masks = AugmentSpec {
            spec_augment: spec.spec_augment.clone(),
            max_frame_shift: spec.max_frame_shift,
            ..none()
        };
        put("Masks over features", masks);
    }
    put("All together, as training draws them", spec.clone());
    changes
}

fn noise(args: &AugmentPageArgs, recipe: &Recipe, rate_hz: u32) -> anyhow::Result<NoiseBank> {
    let mut bank = NoiseBank::new(rate_hz);
    let mut background = recipe.data.background.clone();
    let root = match (&args.data, args.noise.as_slice()) {
        (None, []) => return Ok(bank),
        (Some(data), []) => data.clone(),
        (_, folders) => {
            background.folders = folders
                .iter()
                .map(std::path::absolute)
                .collect::<Result<_, _>>()?;
            args.data.clone().unwrap_or_default()
        }
    };
    for path in noise_files(&root, &background)? {
        let samples = decode(&root.join(path), rate_hz)?.samples;
        let quantised = samples.iter().map(|x| (x * 32_767.0) as i16);
        bank.push(quantised.collect());
    }
    Ok(bank)
}

fn rooms(args: &AugmentPageArgs, recipe: &Recipe, rate_hz: u32) -> anyhow::Result<RoomBank> {
    if let Some(data) = &args.data {
        return Ok(crate::run::rooms(recipe, data, rate_hz)?.0);
    }
    let mut bank = RoomBank::new(rate_hz);
    let simulated = recipe
        .data
        .rooms
        .iter()
        .filter_map(|rooms| rooms.simulated.as_ref());
    for rooms in simulated {
        bank.simulate(rooms, recipe.seed);
    }
    Ok(bank)
}

/// Where the colours of features end: all but the lowest and highest hundredth of the values lie between.
fn colours(values: &[f32]) -> [f32; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    [at(0.01), at(0.99)]
}
