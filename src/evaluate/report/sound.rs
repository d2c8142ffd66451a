//! Pictures of a sound: its waveform, its features, and numbers over its time.
//!
//! It is given samples and values and draws them; it computes no feature and knows no network.

use super::axis::Axis;
use super::html::{frame_with_media, section};
use super::svg::{Drawing, Mark, escape};
use super::tables::put;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 24.0;

/// Colours of the heat map, darkest first.
const COLOURS: [[u8; 3]; 5] = [
    [12, 12, 40],
    [54, 36, 124],
    [170, 50, 110],
    [240, 130, 60],
    [252, 244, 190],
];

/// A part of a page of pictures.
pub struct SoundSection {
    pub title: String,
    pub note: String,
    /// Pictures, as the functions of this file give them.
    pub pictures: Vec<String>,
}

/// What a player on the page plays.
pub enum Media<'a> {
    /// A WAV file's bytes, which become part of the page.
    Wav(&'a [u8]),
    /// The address of a file, as the page's folder sees it.
    Link(&'a str),
}

/// A player with a line above it. A page of linked sounds asks for the files when they are played.
pub fn player(caption: &str, media: Media) -> String {
    let source = match media {
        Media::Wav(bytes) => format!("data:audio/wav;base64,{}", base64(bytes)),
        Media::Link(address) => escape(address),
    };
    format!(
        "<p class=\"meta\">{}</p>\n<audio controls preload=\"none\" src=\"{source}\"></audio>\n",
        escape(caption)
    )
}

/// A line in place of a sound that there is not.
pub fn silence(why: &str) -> String {
    format!("<p class=\"nothing\">{}</p>\n", escape(why))
}

/// A page of pictures and players as one HTML file; it needs nothing else but the sounds that it links to.
pub fn sound_page(title: &str, facts: &[(String, String)], parts: &[SoundSection]) -> String {
    let mut html = String::new();
    put(&mut html, format_args!("<h1>{}</h1>\n", escape(title)));
    for (name, value) in facts {
        put(
            &mut html,
            format_args!(
                "<p class=\"meta\">{}: {}</p>\n",
                escape(name),
                escape(value)
            ),
        );
    }
    for part in parts {
        section(&mut html, &part.title, &part.note, &part.pictures.concat());
    }
    frame_with_media(title, &html, "data: file: *")
}

/// A waveform of `seconds`, up to `peak` either way.
pub fn waveform(samples: &[f32], seconds: f64, peak: f32) -> String {
    let height = 120.0;
    let mut drawing = Drawing::new(WIDTH, height);
    let (top, bottom) = (8.0, height - 26.0);
    let middle = (top + bottom) / 2.0;
    let peak = f64::from(peak).max(1e-9);
    let y = |value: f32| middle - (f64::from(value) / peak).clamp(-1.0, 1.0) * (bottom - top) / 2.0;
    drawing.line("grid", (LEFT, middle), (RIGHT, middle));
    let n_columns = (RIGHT - LEFT) as usize;
    let mut points = Vec::with_capacity(2 * n_columns);
    for column in 0..n_columns {
        let part = |column: usize| column * samples.len() / n_columns;
        let of_column =
            &samples[part(column)..part(column + 1).max(part(column) + 1).min(samples.len())];
        let x = LEFT + column as f64;
        let (low, high) = of_column
            .iter()
            .filter(|x| x.is_finite())
            .fold((0.0_f32, 0.0_f32), |(low, high), &x| {
                (low.min(x), high.max(x))
            });
        points.push((x, y(low)));
        points.push((x, y(high)));
    }
    drawing.path("wave", &points);
    drawing.text(
        "tick",
        (LEFT - 7.0, top + 8.0),
        super::svg::Anchor::End,
        &format!("{peak:.2}"),
    );
    time_axis(&mut drawing, seconds, bottom);
    drawing.finish("waveform")
}

/// Features over time, frame-major `[n_frames, n_bands]`, low bands below; `[lowest, highest]` are the ends of the colours.
pub fn heat(frames: &[f32], n_bands: usize, seconds: f64, [low, high]: [f32; 2]) -> String {
    let height = 190.0;
    let mut drawing = Drawing::new(WIDTH, height);
    let (top, bottom) = (8.0, height - 26.0);
    let picture = bitmap(frames, n_bands, [low, high]);
    drawing.image(
        (LEFT, top),
        (RIGHT - LEFT, bottom - top),
        &format!("data:image/bmp;base64,{}", base64(&picture)),
    );
    drawing.text(
        "tick",
        (LEFT - 7.0, top + 8.0),
        super::svg::Anchor::End,
        &format!("band {n_bands}"),
    );
    drawing.text("tick", (LEFT - 7.0, bottom), super::svg::Anchor::End, "1");
    time_axis(&mut drawing, seconds, bottom);
    drawing.finish("features over time")
}

/// Shares between 0 and 1 over time, each a name and points of seconds and value; at most four are told apart. A level that
/// counts is dashed, and moments are marked.
pub fn shares(
    lines: &[(String, Vec<(f64, f64)>)],
    seconds: f64,
    level: Option<f64>,
    moments: &[(f64, String)],
) -> String {
    let height = 260.0;
    let mut drawing = Drawing::new(WIDTH, height);
    let strokes = ["curve c1", "curve c2", "curve c3", "curve c4"];
    let legend: Vec<(Option<Mark>, &str, &str)> = lines
        .iter()
        .zip(strokes)
        .map(|((name, _), class)| (None, class, name.as_str()))
        .collect();
    let n_rows = drawing.legend((LEFT, 14.0), RIGHT, &legend);
    let (top, bottom) = (24.0 + 17.0 * n_rows as f64, height - 26.0);
    let x = |at_s: f64| LEFT + (at_s / seconds.max(1e-9)).clamp(0.0, 1.0) * (RIGHT - LEFT);
    let y = |share: f64| bottom - share.clamp(0.0, 1.0) * (bottom - top);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        drawing.line("grid", (LEFT, y(share)), (RIGHT, y(share)));
        drawing.text(
            "tick",
            (LEFT - 7.0, y(share) + 4.0),
            super::svg::Anchor::End,
            &format!("{share:.2}"),
        );
    }
    if let Some(level) = level {
        drawing.path("curve plain dashed", &[(LEFT, y(level)), (RIGHT, y(level))]);
    }
    for ((_, points), stroke) in lines.iter().zip(strokes) {
        let drawn: Vec<(f64, f64)> = points
            .iter()
            .map(|&(at, share)| (x(at), y(share)))
            .collect();
        drawing.path(stroke, &drawn);
    }
    for (at_s, name) in moments {
        drawing.line("best", (x(*at_s), top), (x(*at_s), bottom));
        drawing.text(
            "label",
            (x(*at_s), top - 3.0),
            super::svg::Anchor::Middle,
            name,
        );
    }
    time_axis(&mut drawing, seconds, bottom);
    drawing.finish("probabilities over time")
}

fn time_axis(drawing: &mut Drawing, seconds: f64, bottom: f64) {
    let axis = Axis::exactly(0.0, seconds);
    drawing.line("axis", (LEFT, bottom), (RIGHT, bottom));
    for tick in axis.ticks(10) {
        let x = LEFT + tick.place * (RIGHT - LEFT);
        drawing.line("tickmark", (x, bottom), (x, bottom + 4.0));
        drawing.text(
            "tick",
            (x, bottom + 17.0),
            super::svg::Anchor::Middle,
            &format!("{:.2} s", tick.value),
        );
    }
}

/// A bitmap of 256 colours, a pixel a value; rows from below, as features are counted.
fn bitmap(frames: &[f32], n_bands: usize, [low, high]: [f32; 2]) -> Vec<u8> {
    let n_frames = frames.len() / n_bands.max(1);
    let row_bytes = n_frames.next_multiple_of(4);
    let start = 14 + 40 + 4 * 256;
    let n_bytes = start + row_bytes * n_bands;
    let mut file = Vec::with_capacity(n_bytes);
    file.extend(b"BM");
    for word in [
        n_bytes as u32,
        0,
        start as u32,
        40,
        n_frames as u32,
        n_bands as u32,
    ] {
        file.extend(word.to_le_bytes());
    }
    file.extend(1u16.to_le_bytes()); // planes
    file.extend(8u16.to_le_bytes()); // bits a pixel
    for word in [0, (row_bytes * n_bands) as u32, 2_835, 2_835, 256, 0] {
        file.extend(word.to_le_bytes());
    }
    for shade in 0..256_usize {
        let place = shade as f32 / 255.0 * (COLOURS.len() - 1) as f32;
        let below = (place as usize).min(COLOURS.len() - 2);
        let share = place - below as f32;
        let mix = |channel: usize| {
            let (a, b) = (COLOURS[below][channel], COLOURS[below + 1][channel]);
            (f32::from(a) + share * (f32::from(b) - f32::from(a))).round() as u8
        };
        file.extend([mix(2), mix(1), mix(0), 0]);
    }
    let span = (high - low).max(f32::MIN_POSITIVE);
    for band in 0..n_bands {
        let pixel = |frame: usize| {
            let share = (frames[frame * n_bands + band] - low) / span;
            (share.clamp(0.0, 1.0) * 255.0) as u8 // not a number becomes 0
        };
        file.extend((0..n_frames).map(pixel));
        file.extend(std::iter::repeat_n(0, row_bytes - n_frames));
    }
    file
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for digit in 0..4 {
            if digit <= three.len() {
                let at = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[at as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_bitmap_has_a_pixel_a_value_and_the_size_that_it_says() {
        let frames = [0.0, 1.0, 0.5, f32::NAN, 2.0, -7.0];
        let file = bitmap(&frames, 2, [0.0, 1.0]);
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!((word(2) as usize, word(18), word(22)), (file.len(), 3, 2));
        let start = word(10) as usize;
        // Below: the first band of the three frames, padded to four bytes.
        assert_eq!(&file[start..start + 4], &[0, 127, 255, 0]);
        assert_eq!(&file[start + 4..], &[255, 0, 0, 0]);
    }

    #[test]
    fn a_page_of_an_empty_and_of_a_broken_sound_is_drawn_all_the_same() {
        for samples in [vec![], vec![0.5], vec![f32::NAN; 10]] {
            let parts = [SoundSection {
                title: "<a>".into(),
                note: String::new(),
                pictures: vec![
                    waveform(&samples, 0.0, 0.0),
                    heat(&samples, 1, 0.0, [0.0, 0.0]),
                    shares(&[("x".into(), vec![(0.0, 0.5)])], 0.0, Some(0.5), &[]),
                ],
            }];
            let page = sound_page("t", &[], &parts);
            assert!(page.contains("&lt;a&gt;") && !page.contains("NaN"));
        }
    }
}
