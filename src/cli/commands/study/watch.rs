//! `auricle study watch`: a study on a terminal, drawn anew whenever it changed, until a key says that it is enough.

mod draw;
mod reader;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::cli::args::WatchArgs;
use crate::cli::progress::{is_stopping, listen_for_stop};
use crate::recipe::Recipe;
use crate::search::StoreError;
use crate::search::store::{Place, Study, StudyAddress};

use draw::{Away, View, draw};
use reader::{Intent, Measure, Picture, Reader};

/// Most time between two attempts to reach a store that is away.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Between two looks for keys and news.
const TICK: Duration = Duration::from_millis(100);

/// What the reading thread says.
enum News {
    Picture(Box<Picture>),
    /// The store cannot be reached; it will be asked again after that time.
    Away {
        reason: String,
        wait: Duration,
    },
    /// Asking again does not help.
    Broken(StoreError),
}

pub(super) fn watch(address: &StudyAddress, args: &WatchArgs) -> anyhow::Result<()> {
    let place = address.to_string();
    anyhow::ensure!(
        std::io::stdout().is_terminal(),
        "standard output is no terminal to draw on; `auricle study show --study {place}` says the same as text, \
         with --json for programs"
    );
    anyhow::ensure!(
        (0.1..=3600.0).contains(&args.every),
        "--every: found {}, expected 0.1 to 3600 seconds",
        args.every
    );
    let store = address.open()?;
    let intent = intent(address, &store.study()?)?;
    let mut reader = Reader::new(store, intent);
    listen_for_stop();
    let every = Duration::from_secs_f64(args.every);
    let (news, heard) = channel();
    let reading = std::thread::spawn(move || keep_reading(|| reader.look(), every, &news));
    let mut screen = Screen::open().context("the terminal")?;
    let end = show(&mut screen.terminal, &place, &heard);
    drop(screen);
    match end? {
        End::Asked => Ok(()),
        End::Broken(error) => Err(error.into()),
        End::Silent => match reading.join() {
            Ok(()) => anyhow::bail!("nobody reads the study any more"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// What the recipe says: of a shared study its own, of a run that works alone the one beside it.
fn intent(address: &StudyAddress, study: &Study) -> anyhow::Result<Option<Intent>> {
    let is_alone = study.recipe.is_empty();
    let (text, path) = match &address.place {
        Place::Sqlite(path) if is_alone => {
            let path = path.with_file_name("recipe.json");
            match std::fs::read_to_string(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                text => (text.with_context(|| path.display().to_string())?, path),
            }
        }
        _ if is_alone => return Ok(None),
        _ => (study.recipe.clone(), address.to_string().into()),
    };
    let recipe = Recipe::parse_json(&text, &path)?;
    Ok(Some(Intent {
        budget: recipe.search.budget,
        n_epochs: recipe.search.train.n_epochs,
        n_workers_alone: is_alone.then_some(recipe.n_workers),
    }))
}

/// Looks again and again and tells what it saw, until nobody listens. A store that is away is asked less and less
/// often, up to [`MAX_WAIT`].
fn keep_reading(
    mut look: impl FnMut() -> Result<Picture, StoreError>,
    every: Duration,
    news: &Sender<News>,
) {
    let mut away = every;
    loop {
        let (said, wait) = match look() {
            Ok(picture) => {
                away = every;
                (News::Picture(Box::new(picture)), every)
            }
            Err(error) if error.is_passing() => {
                let (reason, wait) = (error.to_string(), away);
                away = (2 * away).min(MAX_WAIT.max(every));
                (News::Away { reason, wait }, wait)
            }
            Err(error) => {
                let _ = news.send(News::Broken(error)); // whoever left needs it no more
                return;
            }
        };
        if news.send(said).is_err() {
            return;
        }
        std::thread::sleep(wait);
    }
}

/// Why the picture is not drawn any more.
enum End {
    Asked,
    Broken(StoreError),
    /// The reading thread is gone.
    Silent,
}

/// When the store was last seen, and why not since.
struct Outage {
    since: Instant,
    reason: String,
    next: Instant,
}

fn show(
    terminal: &mut DefaultTerminal,
    address: &str,
    heard: &Receiver<News>,
) -> std::io::Result<End> {
    let mut picture: Option<Box<Picture>> = None;
    let mut outage: Option<Outage> = None;
    let mut measure = Measure::Loss;
    let mut is_new = true;
    loop {
        if is_new || outage.is_some() {
            let now = Instant::now();
            let away = outage.as_ref().map(|outage| Away {
                seconds: (now - outage.since).as_secs_f64(),
                reason: &outage.reason,
                retry_seconds: outage.next.saturating_duration_since(now).as_secs_f64(),
            });
            let view = View {
                address,
                picture: picture.as_deref(),
                away,
                measure,
            };
            terminal.draw(|frame| draw(frame, &view))?;
            is_new = false;
        }
        if event::poll(TICK)? {
            is_new = true;
            match key(&event::read()?) {
                Key::Leave => return Ok(End::Asked),
                Key::Measure => measure = measure.other(),
                Key::Other => {}
            }
        }
        if is_stopping() {
            return Ok(End::Asked);
        }
        loop {
            match heard.try_recv() {
                Ok(News::Picture(new)) => {
                    picture = Some(new);
                    outage = None;
                }
                Ok(News::Away { reason, wait }) => {
                    let now = Instant::now();
                    let since = outage.map_or(now, |before| before.since);
                    outage = Some(Outage {
                        since,
                        reason,
                        next: now + wait,
                    });
                }
                Ok(News::Broken(error)) => return Ok(End::Broken(error)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(End::Silent),
            }
            is_new = true;
        }
    }
}

enum Key {
    Leave,
    Measure,
    /// Of no meaning, or a new size: drawn anew.
    Other,
}

fn key(event: &Event) -> Key {
    let Event::Key(key) = event else {
        return Key::Other;
    };
    if key.kind == KeyEventKind::Release {
        return Key::Other;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Leave,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Key::Leave,
        KeyCode::Char('m' | 'M') => Key::Measure,
        _ => Key::Other,
    }
}

/// The terminal while it shows a picture: as it was before when this is dropped, and also where the program panics,
/// before the panic is told.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> std::io::Result<Self> {
        let opened = ratatui::try_init();
        if opened.is_err() {
            let _ = ratatui::try_restore(); // half of it may have been done
        }
        opened.map(|terminal| Self { terminal })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The hook of a panic has done it, and what it said would be written over.
        if !std::thread::panicking() {
            ratatui::restore();
        }
    }
}
