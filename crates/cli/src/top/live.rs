//! The live view on a terminal: asks every so often, and does what keys say in between.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::socket::Target;
use super::view::{Order, View, Wish};
use crate::failure::Failure;

/// Lines that a page key moves by.
const PAGE: isize = 15;

/// Shows it until the user has seen enough, or the process has ended.
///
/// # Errors
/// There is no terminal, or nothing (more) is told.
pub fn run(target: &Target, every: Duration) -> Result<(), Failure> {
    // Before the screen is taken, so that what is wrong from the first is just said.
    let view = View::new(target.ask()?.report);
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let mut terminal = ratatui::try_init().map_err(Failure::Output)?;
    let ended = watch(&mut terminal, view, target, every);
    ratatui::restore();
    ended
}

fn watch(terminal: &mut DefaultTerminal, mut view: View, target: &Target, every: Duration) -> Result<(), Failure> {
    let mut next = Instant::now() + every;
    loop {
        terminal.draw(|frame| view.draw(frame)).map_err(Failure::Output)?;
        if event::poll(next.saturating_duration_since(Instant::now())).map_err(Failure::Output)? {
            match event::read().map_err(Failure::Output)? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if is_end(key) {
                        return Ok(());
                    }
                    if let Some(wish) = wish(key) {
                        view.wish(wish);
                    }
                }
                // Another size, say: it is drawn anew.
                _ => {}
            }
        }
        if Instant::now() >= next {
            view.take(target.ask()?.report);
            next = Instant::now() + every;
        }
    }
}

fn is_end(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

fn wish(key: KeyEvent) -> Option<Wish> {
    Some(match key.code {
        KeyCode::Char('c') => Wish::Sort(Order::Committed),
        KeyCode::Char('s') => Wish::Sort(Order::Size),
        KeyCode::Char('d') => Wish::Sort(Order::Dirty),
        KeyCode::Char('n') => Wish::Sort(Order::Name),
        KeyCode::Char('k') => Wish::Sort(Order::Koid),
        KeyCode::Tab => Wish::Switch,
        KeyCode::Up => Wish::Move(-1),
        KeyCode::Down => Wish::Move(1),
        KeyCode::PageUp => Wish::Move(-PAGE),
        KeyCode::PageDown => Wish::Move(PAGE),
        KeyCode::Home => Wish::Move(isize::MIN),
        KeyCode::End => Wish::Move(isize::MAX),
        KeyCode::Char(' ') | KeyCode::Enter => Wish::Fold,
        _ => return None,
    })
}
