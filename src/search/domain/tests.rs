use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

/// Two slots and one to four parts of three kinds, with and without fields.
pub(crate) fn chains() -> Domain {
    let part = Alphabet::new(vec![vec![2, 3], vec![], vec![4]]).unwrap();
    let slots = vec![
        Alphabet::new(vec![vec![2, 2]]).unwrap(),
        Alphabet::plain(2).unwrap(),
    ];
    Domain::new(slots, vec![part], [1, 4]).unwrap()
}

/// Six positions of five plain options each, as a table of cells has.
pub(crate) fn cells() -> Domain {
    Domain::new(vec![], vec![Alphabet::plain(5).unwrap()], [6, 6]).unwrap()
}

/// Up to three positions, each with an alphabet of its own.
fn positions() -> Domain {
    let parts = [2, 3, 4].map(|n| Alphabet::plain(n).unwrap()).to_vec();
    Domain::new(vec![], parts, [1, 3]).unwrap()
}

fn domains() -> [Domain; 3] {
    [chains(), cells(), positions()]
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[test]
fn options_and_their_digits_are_two_names_of_one_thing() {
    let alphabet = Alphabet::new(vec![vec![2, 3], vec![], vec![4, 1, 5]]).unwrap();
    assert_eq!(alphabet.n_options(), 6 + 1 + 20);
    let mut seen = HashSet::new();
    for option in 0..alphabet.n_options() {
        let digits: Vec<u32> = alphabet.digits(option).collect();
        let kind = alphabet.kind(option);
        assert_eq!(alphabet.option(kind, &digits), option);
        assert!(seen.insert((kind, digits)));
    }
}

#[test]
fn an_alphabet_too_large_to_number_is_refused_and_one_of_millions_is_not() {
    assert!(Alphabet::new(vec![vec![200, 200, 200]]).is_ok());
    let error = Alphabet::new(vec![vec![100_000, 100_000]]).unwrap_err();
    assert_eq!(error, DomainError::TooManyOptions);
    assert_eq!(Alphabet::new(vec![vec![3, 0]]), Err(DomainError::NoChoice));
}

#[test]
fn every_move_leads_to_another_point_of_the_domain() {
    for domain in domains() {
        let mut rng = rng(1);
        for _ in 0..2_000 {
            let (a, b) = (domain.draw(&mut rng), domain.draw(&mut rng));
            assert!(domain.contains(&a));
            let moved = [
                domain.replace(&a, &mut rng),
                domain.replace_part(&a, &mut rng),
                domain.vary(&a, &mut rng),
                domain.grow(&a, &mut rng),
                domain.insert(&a, &mut rng),
                domain.shrink(&a, &mut rng),
                domain.swap(&a, &mut rng),
                domain.cross(&a, &b, &mut rng),
                domain.mutate(&a, &mut rng).map(|(moved, _)| moved),
            ];
            for moved in moved.into_iter().flatten() {
                assert!(domain.contains(&moved), "{moved:?}");
                assert_ne!(moved, a);
            }
        }
    }
}

#[test]
fn a_varied_field_keeps_the_kind_and_all_other_fields() {
    let domain = chains();
    let mut rng = rng(2);
    for _ in 0..500 {
        let point = domain.draw(&mut rng);
        let Some(varied) = domain.vary(&point, &mut rng) else {
            continue;
        };
        let encoder = Encoder::new(&domain, Align::Head);
        let (before, after) = (encoder.active(&point), encoder.active(&varied));
        let n_changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert_eq!((n_changed, before.len()), (1, after.len()));
    }
}

#[test]
fn every_number_is_a_different_point_and_together_they_are_all_points() {
    for domain in domains() {
        let n_points = domain.n_points().unwrap();
        let points: HashSet<Point> = (0..n_points).filter_map(|i| domain.nth(i)).collect();
        assert_eq!(points.len() as u64, n_points);
        assert!(points.iter().all(|point| domain.contains(point)));
        assert_eq!(domain.nth(n_points), None);
    }
    // 8 = 4 x 2 ways of the slots, times chains of one to four of 11 options.
    assert_eq!(chains().n_points(), Some(8 * (11 + 121 + 1331 + 14641)));
    assert_eq!(cells().n_points(), Some(15_625));
}

#[test]
fn neighbours_are_different_points_of_the_domain_and_neighbourhood_is_mutual() {
    let all = |domain: &Domain, point: &Point| -> HashSet<Point> {
        let numbers = 0..domain.n_neighbours(point);
        numbers
            .filter_map(|i| Some(domain.neighbour(point, i)?.0))
            .collect()
    };
    for domain in domains() {
        let mut rng = rng(3);
        for _ in 0..10 {
            let point = domain.draw(&mut rng);
            let neighbours = all(&domain, &point);
            assert!(!neighbours.contains(&point));
            for neighbour in neighbours.iter().take(40) {
                assert!(domain.contains(neighbour));
                assert!(all(&domain, neighbour).contains(&point));
            }
        }
    }
    // Six positions with four other options each, and the swaps of unequal parts.
    let point = cells().nth(1).unwrap();
    assert_eq!(all(&cells(), &point).len(), 24 + 5);
}

#[test]
fn a_search_for_an_admitted_point_finds_the_only_one_and_knows_when_there_is_none() {
    for domain in domains() {
        let n_points = domain.n_points().unwrap();
        let only = domain.nth(n_points / 3).unwrap();
        let found = domain.find(&|point| *point == only, &mut rng(4));
        if n_points <= MAX_ENUMERATED {
            assert_eq!(found, Some(only));
        }
        assert_eq!(domain.find(&|_| false, &mut rng(4)), None);
    }
}

#[test]
fn shuffling_gives_every_number_once() {
    for n in [1, 2, 7, 30, 97, 128] {
        let mut numbers: Vec<u64> = shuffled(n, &mut rng(n)).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..n).collect::<Vec<_>>());
    }
    assert_eq!(shuffled(0, &mut rng(0)).count(), 0);
}

#[test]
fn features_tell_points_apart_and_missing_parts_stand_where_the_alignment_says() {
    let domain = chains();
    for align in [Align::Head, Align::Base] {
        let encoder = Encoder::new(&domain, align);
        let mut seen = HashSet::new();
        for index in (0..domain.n_points().unwrap()).step_by(17) {
            let point = domain.nth(index).unwrap();
            let active = encoder.active(&point);
            assert!(active.is_sorted());
            assert!(active.iter().all(|f| (*f as usize) < encoder.n_features()));
            assert!(seen.insert(active));
        }
    }
    let short = Point {
        slots: vec![0, 0],
        parts: vec![6],
    };
    let at = |align| {
        let encoder = Encoder::new(&domain, align);
        [2, 3, 4, 5].map(|dim| encoder.option_at(&short, dim))
    };
    assert_eq!(at(Align::Head), [Some(6), None, None, None]);
    assert_eq!(at(Align::Base), [None, None, None, Some(6)]);
}

#[test]
fn distance_counts_differing_positions_and_less_for_fields_alone() {
    let domain = chains();
    let encoder = Encoder::new(&domain, Align::Head);
    let codes = |parts: &[u32]| {
        let mut codes = Vec::new();
        let point = Point {
            slots: vec![0, 0],
            parts: parts.to_vec(),
        };
        encoder.push_codes(&point, &mut codes);
        assert_eq!(codes.len(), encoder.n_codes().next_multiple_of(16));
        codes
    };
    let distance = |a: &[u32], b: &[u32]| encoder.distance(&codes(a), &codes(b));
    let whole = u32::from(encoding::POSITION_WEIGHT);
    assert_eq!(distance(&[0, 6], &[0, 6]), 0);
    assert_eq!(distance(&[0, 6], &[0, 7]), whole);
    assert_eq!(distance(&[0, 6], &[0]), whole);
    assert_eq!(distance(&[0, 6, 0], &[6, 0, 7]), 3 * whole);
    assert_eq!(distance(&[0], &[1]), whole / 4);
    assert_eq!(distance(&[0], &[5]), whole / 2);
}

#[test]
fn a_points_name_depends_on_every_option_and_its_place() {
    let point = |slots: &[u32], parts: &[u32]| Point {
        slots: slots.to_vec(),
        parts: parts.to_vec(),
    };
    let points = [
        point(&[], &[1, 2]),
        point(&[1], &[2]),
        point(&[1, 2], &[]),
        point(&[], &[2, 1]),
        point(&[], &[1, 2, 0]),
    ];
    let names: HashSet<String> = points.iter().map(Point::hash_hex).collect();
    assert_eq!(names.len(), points.len());
}

#[test]
fn a_domain_without_sense_is_refused() {
    let part = || Alphabet::plain(3).unwrap();
    let depth = Domain::new(vec![], vec![part()], [3, 2]);
    assert_eq!(depth, Err(DomainError::Depth { low: 3, high: 2 }));
    let alphabets = Domain::new(vec![], vec![part(), part()], [1, 3]);
    assert_eq!(alphabets, Err(DomainError::Alphabets { found: 2, high: 3 }));
}
