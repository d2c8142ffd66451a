//! Echoes are where geometry puts them, and a room rings as long as it says.

use rand::SeedableRng;

use super::*;

const RATE_HZ: u32 = 16_000;

fn room() -> Room {
    Room {
        size_m: [5.0, 4.0, 3.0],
        source_m: [1.0, 2.0, 1.5],
        microphone_m: [3.0, 2.0, 1.5],
        reflection: 0.8,
    }
}

#[test]
fn the_first_echoes_come_from_the_walls_that_mirrors_would_show() {
    // On one line, 2 m apart in the middle of a room of 5 x 4 x 3 m. By mirrors: directly 2 m; off floor and off ceiling
    // sqrt(2^2 + 3^2) m; off the wall behind the mouth 1 + 3 m; off both side walls sqrt(2^2 + 4^2) m; off the wall behind the
    // microphone 4 + 2 m. At this rate a metre is a hundred samples.
    const RATE_HZ: u32 = 34_300;
    let loudness = |way_m: f64| 1.0 / (4.0 * std::f64::consts::PI * way_m);
    let dry = Room {
        reflection: 0.0,
        ..room()
    };
    let response = dry.response(RATE_HZ, 2_000);
    let energy: f64 = response.iter().map(|&x| f64::from(x).powi(2)).sum();
    assert!(
        (energy.sqrt() / loudness(2.0) - 1.0).abs() < 0.05,
        "one click"
    );
    let wet = room().response(RATE_HZ, 2_000);
    for (way_m, n_walls) in [(2.0, 0), (4.0, 1), (6.0, 1)] {
        let expected = 0.8f64.powi(n_walls) * loudness(way_m);
        let found = f64::from(wet[(100.0 * way_m) as usize]);
        assert!(
            (found / expected - 1.0).abs() < 0.1,
            "{way_m} m: {found}, expected about {expected}"
        );
    }
    // Between two samples the click is spread over some, the largest of which hold most of it.
    for way_m in [13f64.sqrt(), 20f64.sqrt()] {
        let expected = 2.0 * 0.8 * loudness(way_m);
        let at = (100.0 * way_m) as usize;
        let found: f64 = wet[at - 4..=at + 5]
            .iter()
            .map(|&x| f64::from(x).powi(2))
            .sum();
        assert!(
            (found.sqrt() / expected - 1.0).abs() < 0.15,
            "{way_m} m: {}, expected about {expected}",
            found.sqrt()
        );
    }
    // Before the sound can be there, there is none.
    assert!(wet[..200 - SPREAD].iter().all(|&x| x == 0.0));
}

/// The decay time by Schroeder's backward integral: the line from -5 to -25 dB, drawn on to -60.
fn rt60_s(response: &[f32]) -> f64 {
    let mut left: Vec<f64> = response
        .iter()
        .rev()
        .scan(0.0, |sum, &x| {
            *sum += f64::from(x) * f64::from(x);
            Some(*sum)
        })
        .collect();
    left.reverse();
    let reaches = |db: f64| {
        let level = left[0] * 10f64.powf(db / 10.0);
        left.iter().position(|&x| x < level).expect("it decays") as f64
    };
    3.0 * (reaches(-25.0) - reaches(-5.0)) / f64::from(RATE_HZ)
}

#[test]
fn a_room_rings_about_as_long_as_it_is_asked_to() {
    for (size_m, asked_s) in [
        ([5.0, 4.0, 3.0], 0.3),
        ([5.0, 4.0, 3.0], 0.6),
        ([8.0, 6.0, 3.0], 0.4),
        ([3.0, 3.0, 2.5], 0.2),
    ] {
        let room = Room {
            size_m,
            source_m: [1.0, 1.3, 1.5],
            microphone_m: [2.1, 1.9, 1.1],
            reflection: Room::reflection_for(size_m, asked_s),
        };
        let response = room.response(RATE_HZ, (1.5 * asked_s * f64::from(RATE_HZ)) as usize);
        let found_s = rt60_s(&response);
        // Eyring's formula is of diffuse sound; a box of flat walls decays somewhat slower.
        assert!(
            (0.8..=1.6).contains(&(found_s / asked_s)),
            "{size_m:?}: asked for {asked_s} s, found {found_s} s"
        );
    }
}

fn spec() -> SimulatedRooms {
    SimulatedRooms {
        n_rooms: 6,
        size_m: [2.5, 7.0],
        rt60_ms: [100.0, 400.0],
        distance_m: [0.5, 3.0],
    }
}

#[test]
fn the_same_seed_builds_the_same_rooms_and_another_seed_others() {
    let built = |seed| {
        let mut bank = RoomBank::new(RATE_HZ);
        bank.simulate(&spec(), seed);
        bank.responses().to_vec()
    };
    let rooms = built(7);
    assert_eq!(rooms.len(), 6);
    assert_eq!(rooms, built(7));
    assert_ne!(rooms, built(8));
    assert!(rooms.iter().all(|r| r.iter().all(|x| x.is_finite())));
    assert_ne!(rooms[0], rooms[1]);
}

#[test]
fn a_clip_is_heard_as_loud_and_when_it_was_and_rings_on() {
    let mut bank = RoomBank::new(RATE_HZ);
    bank.simulate(&spec(), 3);
    let mut click = vec![0.0; 8_000];
    click[1_000] = 1.0;
    for room in 0..bank.len() {
        let mut heard = click.clone();
        bank.hear(&mut heard, room);
        assert_eq!(heard.len(), click.len());
        assert!((rms(&heard) / rms(&click) - 1.0).abs() < 1e-4);
        let peak = heard.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        assert_eq!(heard.iter().position(|x| x.abs() == peak), Some(1_000));
        assert!(heard[1_200..].iter().any(|x| x.abs() > 0.003));
    }
    let mut silence = vec![0.0; 100];
    bank.hear(&mut silence, 0);
    assert_eq!(silence, [0.0; 100]);
}

#[test]
fn convolution_is_the_sum_it_stands_for() {
    let bank = RoomBank::new(RATE_HZ);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (n_clip, n_response) in [(1, 1), (1, 7), (33, 5), (100, 250)] {
        let mut drawn = |n| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (clip, response) = (drawn(n_clip), drawn(n_response));
        let found = bank.convolve(&clip, &response);
        assert_eq!(found.len(), n_clip + n_response - 1);
        for (i, x) in found.iter().enumerate() {
            let expected: f32 = (0..n_clip)
                .filter(|&j| i >= j && i - j < n_response)
                .map(|j| clip[j] * response[i - j])
                .sum();
            assert!((x - expected).abs() < 1e-4, "{i}: {x} for {expected}");
        }
    }
}

#[test]
fn recorded_responses_are_cut_to_what_sounds_and_silent_ones_passed_over() {
    let mut bank = RoomBank::new(RATE_HZ);
    bank.push(vec![0.0; 50]);
    bank.push(vec![]);
    bank.push(vec![f32::NAN, 1.0]);
    assert!(bank.is_empty());
    let mut response = vec![0.0; 5_000];
    response[1_000] = 0.5;
    response[1_400] = -0.1;
    response[3_000] = 0.000_1;
    bank.push(response);
    let kept = &bank.responses()[0];
    assert_eq!(kept.len(), 80 + 401);
    assert_eq!((kept[80], kept[480]), (0.5, -0.1));
}

#[test]
fn rooms_that_cannot_be_are_refused_by_name() {
    let with = |change: fn(&mut SimulatedRooms)| {
        let mut simulated = spec();
        change(&mut simulated);
        let spec = RoomsSpec {
            folders: vec![],
            simulated: Some(simulated),
        };
        spec.validate().map_err(|error| error.field)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|s| s.n_rooms = 0), Err("rooms.simulated.n_rooms"));
    assert_eq!(
        with(|s| s.rt60_ms = [400.0, 100.0]),
        Err("rooms.simulated.rt60_ms")
    );
    assert_eq!(
        with(|s| s.size_m = [0.2, 4.0]),
        Err("rooms.simulated.size_m")
    );
    assert_eq!(
        with(|s| s.distance_m = [f32::NAN, 4.0]),
        Err("rooms.simulated.distance_m")
    );
    let none = RoomsSpec {
        folders: vec![],
        simulated: None,
    };
    assert!(none.validate().is_err());
}
